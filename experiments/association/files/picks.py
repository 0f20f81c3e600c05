"""picks.csv: `station_id, phase_time, phase_type[, phase_score]`, times as ISO-8601 or seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.clock import Clock, read_times
from experiments.association.files.table import Table, read_table, want_columns

COLUMNS = ("station_id", "phase_time", "phase_type")
_PHASES = {"P": 0, "S": 1, "p": 0, "s": 1}


@dataclass(frozen=True)
class PickTable:
    """Picks as read, in the order of the file.

    Args:
        table: The rows.
        clock: How the file tells the time.
        station: `(pick,)` int, index of its station.
        phase: `(pick,)` int, 0 for P, 1 for S.
        time_s: `(pick,)` float64, seconds on the clock.
    """

    table: Table
    clock: Clock
    station: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)


def read_picks(
    path: Path,
    station_ids: Sequence[str],
    columns: Mapping[str, str] | None = None,
    stations_path: Path | None = None,
    any_order: bool = False,
) -> PickTable:
    """Read picks.

    Args:
        path: The file, in order of time, or station by station with each in order of time. Further columns are kept.
        station_ids: The stations, in their order.
        columns: Our name -> the file's name, for columns that are called otherwise there.
        stations_path: Where the stations stand, for messages.
        any_order: Whether rows may stand in any order.

    Raises:
        DataError: When something in the file is wrong.
    """
    table = read_table(path, columns)
    want_columns(table, (COLUMNS,), "--pick_columns", "phase_score", "a file of picks")
    if not table.rows:
        raise DataError(f"{path}: there are no picks below the first line; at least four are wanted.")
    index = {name: number for number, name in enumerate(station_ids)}
    names = table.column("station_id")
    try:
        station = np.array([index[name] for name in names])
    except KeyError:
        row = next(row for row, name in enumerate(names) if name not in index)
        raise DataError(_unknown_station(table, row, names[row], index, stations_path)) from None
    types = table.column("phase_type")
    try:
        phase = np.array([_PHASES[name] for name in types])
    except KeyError:
        row = next(row for row, name in enumerate(types) if name not in _PHASES)
        raise DataError(
            f"{table.where(row)}: phase_type is {types[row]!r}, P or S is wanted; mend or delete the row."
        ) from None
    clock, time_s = read_times(table, "phase_time")
    if "phase_score" in table.header:
        table.numbers("phase_score")
    _refuse_duplicates(table, station, phase, time_s)
    if not any_order:
        _refuse_disorder(table, station, phase, time_s)
    return PickTable(table, clock, station, phase, time_s)


def _unknown_station(table: Table, row: int, name: str, index: Mapping[str, int], path: Path | None) -> str:
    import difflib

    near = difflib.get_close_matches(name, index, 1, cutoff=0.5) or [known for known in index if name in known][:1]
    meant = f"; {near[0]} is there" if near else ""
    return (
        f"{table.where(row)}: station {name!r} is not among the {len(index)} stations of "
        f"{path or 'the file of stations'}{meant}; add it there, or delete its picks."
    )


def _refuse_duplicates(table: Table, station: np.ndarray, phase: np.ndarray, time_s: np.ndarray) -> None:
    order = np.lexsort((np.arange(len(time_s)), time_s, phase, station))
    same = np.ones(len(time_s) - 1, bool)
    for values in (station, phase, time_s):
        same &= np.diff(values[order]) == 0
    if same.any():
        seconds, firsts = order[1:][same], order[:-1][same]
        at = int(seconds.argmin())
        raise DataError(
            f"{table.where(int(seconds[at]))}: the pick stands in row {firsts[at] + 1} already "
            "(same station, phase and time); delete one of the two."
        )


def _refuse_disorder(table: Table, station: np.ndarray, phase: np.ndarray, time_s: np.ndarray) -> None:
    backward = np.diff(time_s) < 0
    if not backward.any():
        return
    for keys in (station, station * 2 + phase):
        starts = np.flatnonzero(np.diff(keys) != 0) + 1
        in_blocks = len(starts) + 1 == len(np.unique(keys))
        if in_blocks and not (backward & (np.diff(keys) == 0)).any():
            return
    row = int(np.flatnonzero(backward)[0]) + 1
    raise DataError(
        f"{table.where(row)}: picks are not sorted by time: this one is {time_s[row - 1] - time_s[row]:.6g} s before "
        "the row above; sort the file by phase_time (or each station's block of rows), or give --any_order."
    )
