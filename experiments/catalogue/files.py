"""events.csv and picks.csv of a catalogue."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from experiments.association.files.pick_stream import PickStream
from experiments.association.geography import LocalProjection
from experiments.association.stream.catalogue import CatalogueEvents

_OURS = ("event_index", "residual_s")


@dataclass(frozen=True)
class Listed:
    """The events that are kept.

    Args:
        events: They, in order of time; counts and rms as the filters left them.
        outside: `(event,)` bool, outside the network.
        start: What 0 s stands for, UTC.
        projection: Of the stations; None where they came in kilometres.
    """

    events: CatalogueEvents
    outside: np.ndarray
    start: datetime
    projection: LocalProjection | None

    def __len__(self) -> int:
        return len(self.events)

    def time_text(self, number: int) -> str:
        """Origin time of an event, ISO-8601 UTC."""
        return iso_utc(self.start, float(self.events.times_s[number]))

    def degrees(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitudes and longitudes; NaN where the stations came in kilometres."""
        if self.projection is None:
            return np.full(len(self), np.nan), np.full(len(self), np.nan)
        return self.projection.to_degrees(self.events.positions_km[:, 0], self.events.positions_km[:, 1])


def iso_utc(start: datetime, time_s: float) -> str:
    """A time as ISO-8601 in UTC, to the microsecond."""
    time = start + timedelta(microseconds=round(time_s * 1e6))
    return time.isoformat("T", "microseconds").replace("+00:00", "Z")


def write_events(path: Path, listed: Listed) -> None:
    """One row an event, in order of time; what is not determined is left empty.

    Errors are standard errors, those of latitude and longitude in kilometres north and east.
    """
    events = listed.events
    latitude, longitude = listed.degrees()
    east, north, down = events.positions_km.T
    geographic = {"latitude": (latitude, 6), "longitude": (longitude, 6)} if listed.projection else {}
    names = ("longitude", "latitude", "depth") if geographic else ("x", "y", "z")
    errors = dict(zip(names, events.position_errors_km.T, strict=True))
    if geographic:
        errors = {name: errors[name] for name in ("latitude", "longitude", "depth")}
    columns: dict[str, tuple[np.ndarray, int]] = {
        **geographic,
        "depth_km": (down, 3),
        "time_error_s": (events.time_errors_s, 4),
        **{f"{name}_error_km": (values, 3) for name, values in errors.items()},
        "n_picks": (events.n_p + events.n_s, 0),
        "n_p": (events.n_p, 0),
        "n_s": (events.n_s, 0),
        "rms_s": (events.rms_s, 4),
        "gap_deg": (events.gap_deg, 1),
        "nearest_station_km": (events.nearest_station_km, 2),
        "seen_share": (events.expected_share, 3),
        "evidence": (events.evidence, 1),
        "outside_network": (listed.outside.astype(int), 0),
        "on_edge": (events.at_bound.astype(int), 0),
        "x_km": (east, 4),
        "y_km": (north, 4),
        "z_km": (down, 4),
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["event_index", "time", *columns])
        for number in range(len(listed)):
            cells = [_text(float(values[number]), digits) for values, digits in columns.values()]
            writer.writerow([str(number), listed.time_text(number), *cells])


def write_picks(path: Path, stream: PickStream, event: np.ndarray, residual_s: np.ndarray) -> None:
    """Every row of the input, in its order and as it was, with `event_index` (-1: none) and `residual_s`.

    Args:
        path: The file.
        stream: The picks as read.
        event: `(pick,)`, in the order of the stream; -1 for none. May be a memory map.
        residual_s: `(pick,)`, likewise.
    """
    place = stream.order()
    if place is not None:  # rows in another order, or some left out
        by_row = np.full(len(stream.facts), -1, np.int64)
        by_row[place] = np.arange(len(place))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        rows = stream.rows()
        header = [cell.strip() for cell in next(rows)]
        kept = [index for index, name in enumerate(header) if name not in _OURS]
        writer.writerow([*(header[index] for index in kept), *_OURS])
        if place is None:
            numbers: Iterator[int] = iter(range(len(stream.facts)))
        else:
            numbers = iter(by_row.tolist())
        for row, number in zip(rows, numbers, strict=True):
            cells = row if len(kept) == len(row) else [row[index] for index in kept]
            mine = int(event[number]) if number >= 0 else -1
            writer.writerow([*cells, str(mine), _text(float(residual_s[number]), 4) if mine >= 0 else ""])


def _text(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return ""
    text = f"{value:.{digits}f}"
    return text[1:] if float(text) == 0 and text.startswith("-") else text
