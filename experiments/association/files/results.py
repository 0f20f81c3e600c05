"""What the runner writes: events.csv, picks.csv, and the estimated wave speed where it was unknown."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.association.files.clock import Clock
from experiments.association.files.grids import Grid, description
from experiments.association.files.picks import PickTable
from experiments.association.geography import LocalProjection
from experiments.run_folder import write_bytes, write_json, write_text

if TYPE_CHECKING:
    from experiments.association.problem import Association

_EVENT = ("event_index", "time", "x_km", "y_km", "z_km")
_GEOGRAPHIC = ("latitude", "longitude", "depth_km")
_QUALITY = ("x_error_km", "y_error_km", "z_error_km", "time_error_s", "n_picks", "n_p", "n_s", "rms_s")
_PICK = ("event_index", "residual_s")


def write_events(
    path: Path, association: "Association", phase: np.ndarray, clock: Clock, projection: LocalProjection | None
) -> None:
    """One row an event, in order of time; what is not determined is left empty.

    Args:
        path: The file.
        association: The solution.
        phase: `(pick,)`, 0 for P, 1 for S.
        clock: Of the picks.
        projection: Of the stations; None where they came in kilometres.
    """
    events, member = association.events, association.event_of_pick
    rms, counts = rms_of_events(association), [np.bincount(member[(member >= 0) & (phase == k)], minlength=len(events))
                                               for k in (0, 1)]  # fmt: skip
    rows: list[list[str]] = [[*_EVENT, *(_GEOGRAPHIC if projection else ()), *_QUALITY]]
    for number, (position, time) in enumerate(zip(events.positions_km, events.times_s, strict=True)):
        row = [str(number), clock.text(float(time)), *(_text(x) for x in position)]
        if projection:
            latitude, longitude = projection.to_degrees(position[0], position[1])
            row += [f"{float(latitude):.7f}", f"{float(longitude):.7f}", _text(position[2])]
        row += [_text(x) for x in association.position_errors_km[number]]
        row += [_text(association.time_errors_s[number])]
        row += [str(counts[0][number] + counts[1][number]), str(counts[0][number]), str(counts[1][number])]
        rows.append([*row, _text(rms[number])])
    write_text(path, _csv(rows))


def write_picks(path: Path, picks: PickTable, association: "Association") -> None:
    """Every row of the input, in its order and as it was, with `event_index` (-1: none) and `residual_s` (or empty)."""
    kept = [index for index, name in enumerate(picks.table.header) if name not in _PICK]
    rows: list[list[str]] = [[*(picks.table.header[index] for index in kept), *_PICK]]
    for row, event, residual in zip(
        picks.table.rows, association.event_of_pick.tolist(), association.residuals_s.tolist(), strict=True
    ):
        cells = row if len(kept) == len(row) else [row[index] for index in kept]
        rows.append([*cells, str(event), _text(residual) if event >= 0 else ""])
    write_text(path, _csv(rows))


def write_wave_speed(folder: Path, wave_speed_km_s: np.ndarray, grid: Grid, facts: dict[str, Any]) -> None:
    """The estimated wave speed `(nx, ny, nz)`, km/s, and beside it what its axes are; both serve as `--wave_speed`."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(wave_speed_km_s, np.float32))
    write_bytes(folder / "wave_speed_km_s.npy", content.getvalue())
    write_json(folder / "wave_speed_km_s.json", {**description(grid), **facts})


def rms_of_events(association: "Association") -> np.ndarray:
    """Root mean square residual of each event's picks, seconds, `(event,)`; NaN for one without picks."""
    member = association.event_of_pick
    squares = np.bincount(
        member[member >= 0], association.residuals_s[member >= 0] ** 2, minlength=len(association.events)
    )
    n_picks = np.bincount(member[member >= 0], minlength=len(association.events))
    rms = np.full(len(association.events), np.nan)
    np.sqrt(np.divide(squares, n_picks, out=rms, where=n_picks > 0), out=rms, where=n_picks > 0)
    return rms


def _text(value: float) -> str:
    if not np.isfinite(value):
        return ""
    text = f"{value:.6f}"
    return text[1:] if text == "-0.000000" else text


def _csv(rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
