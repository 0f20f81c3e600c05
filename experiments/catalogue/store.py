"""Picks and their association on disk, so that memory does not grow with the catalogue.

Columns are raw arrays in a folder that lasts as long as the run. Events are few and stay in memory; their picks are
read a thousand events at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

_COLUMNS = {"station": np.int32, "phase": np.int8, "time_s": np.float64, "event": np.int32, "residual_s": np.float64}
EVENTS_AT_ONCE, _AT_ONCE = 1000, 1_000_000


@dataclass(frozen=True)
class EventPicks:
    """The picks of some events, event by event and in order of time within each.

    Args:
        first_event: Number of the first of these events.
        n_events: How many they are.
        pick: `(pick,)` int, number of each pick in the catalogue.
        event: `(pick,)` int, its event.
        station: `(pick,)` int.
        phase: `(pick,)` int, 0 P, 1 S.
        time_s: `(pick,)`.
        residual_s: `(pick,)`, pick minus predicted arrival.
    """

    first_event: int
    n_events: int
    pick: np.ndarray
    event: np.ndarray
    station: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray
    residual_s: np.ndarray


class PickStore:
    """Columns of all picks, in the order of the stream.

    Args:
        folder: Where the columns are written; made here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths = {name: folder / f"{name}.raw" for name in _COLUMNS}
        self._files: dict[str, IO[bytes]] = {}
        self.n_picks = 0
        self._n_associated = 0

    def __enter__(self) -> "PickStore":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files = {name: path.open("wb") for name, path in self._paths.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def add_picks(self, station: np.ndarray, phase: np.ndarray, time_s: np.ndarray) -> None:
        """Append picks that come in."""
        self.n_picks += len(time_s)
        self._write(station=station, phase=phase, time_s=time_s)

    def add_association(self, event: np.ndarray, residual_s: np.ndarray) -> None:
        """Append what became of the next picks."""
        self._n_associated += len(event)
        self._write(event=event, residual_s=residual_s)

    def _write(self, **columns: np.ndarray) -> None:
        for name, values in columns.items():
            self._files[name].write(np.ascontiguousarray(values, _COLUMNS[name]).data)

    def column(self, name: str) -> np.ndarray:
        """A column as a memory map, `(pick,)`; what is written to it is kept."""
        if not self.n_picks:
            return np.empty(0, _COLUMNS[name])
        return np.memmap(self._paths[name], _COLUMNS[name], "r+", shape=(self.n_picks,))

    def renumber_stations(self, number: np.ndarray) -> None:
        """Give stations other numbers, `(station,)` int."""
        if (number == np.arange(len(number))).all():
            return
        station = self.column("station")
        for low in range(0, self.n_picks, _AT_ONCE):
            station[low : low + _AT_ONCE] = number[station[low : low + _AT_ONCE]]

    def largest_residual_s(self) -> float:
        """Of the picks associated; 1 where there are none."""
        event, residual_s = self.column("event"), self.column("residual_s")
        largest = 0.0
        for low in range(0, self.n_picks, _AT_ONCE):
            mine = np.asarray(event[low : low + _AT_ONCE]) >= 0
            largest = max(largest, float(np.abs(residual_s[low : low + _AT_ONCE][mine]).max(initial=0.0)))
        return largest or 1.0

    def by_event(self, times_s: np.ndarray, longest_s: float, at_once: int = EVENTS_AT_ONCE) -> Iterator[EventPicks]:
        """The picks of all events, some events at a time.

        Args:
            times_s: `(event,)`, origin times, ascending.
            longest_s: No pick is later after its event, seconds.
            at_once: Events at a time.
        """
        columns = {name: self.column(name) for name in _COLUMNS}
        for first in range(0, len(times_s), at_once):
            last = min(first + at_once, len(times_s))
            low, high = np.searchsorted(columns["time_s"], [times_s[first] - 1.0, times_s[last - 1] + longest_s])
            event = np.asarray(columns["event"][low:high])
            mine = np.flatnonzero((event >= first) & (event < last))
            mine = mine[np.argsort(event[mine], kind="stable")]
            parts = {name: np.asarray(columns[name][low:high][mine]) for name in _COLUMNS}
            yield EventPicks(
                first,
                last - first,
                low + mine,
                parts["event"].astype(np.int64),
                parts["station"].astype(np.int64),
                parts["phase"].astype(np.int64),
                parts["time_s"],
                parts["residual_s"],
            )
