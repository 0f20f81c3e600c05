"""Picks of a whole catalogue, read block by block, so that memory does not grow with the file.

The file is gone through once before anything is computed: every mistake in it is told, by row, and its size is known.
Rows in order of time are then streamed; rows in any other order are read as a whole and sorted.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.clock import Clock, read_times
from experiments.association.files.formats import StationNames, in_order, merged, pick_columns
from experiments.association.files.table import Table, read_table, want_columns

if TYPE_CHECKING:
    from experiments.association.problem import Picks

COLUMNS = ("station_id", "phase_time", "phase_type")
BLOCK_ROWS = 100_000
_PHASES = {"P": 0, "S": 1, "p": 0, "s": 1}


@dataclass(frozen=True)
class PickFacts:
    """What a first look at the file tells.

    Args:
        program: Whose columns they are.
        columns: Our name -> the file's, where they differ.
        clock: 0 s is the whole second before the earliest pick.
        counts: `(station, 2)` int, P and S picks of each station.
        duration_s: From the earliest to the latest pick.
        sorted: Whether rows stand in order of time.
        n_unknown: Rows of stations that the file of stations does not have; they are left out.
        unknown: Some of their names.
    """

    program: str
    columns: dict[str, str]
    clock: Clock
    counts: np.ndarray
    duration_s: float
    sorted: bool
    n_unknown: int
    unknown: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.counts.sum()) + self.n_unknown


class PickStream:
    """A file of picks.

    Args:
        path: The file.
        station_ids: The stations, in their order.
        columns: Our name -> the file's, for columns that are not recognised.
        skip_unknown: Whether picks of unknown stations are left out, else they are refused.

    Raises:
        DataError: When something in the file is wrong.
    """

    def __init__(
        self,
        path: Path,
        station_ids: Sequence[str],
        columns: Mapping[str, str] | None = None,
        skip_unknown: bool = False,
    ) -> None:
        self.path = path
        self._names = StationNames(station_ids)
        self._given = dict(columns or {})
        self._skip_unknown = skip_unknown
        self._order: np.ndarray | None = None
        self.facts = self._look()

    def _look(self) -> PickFacts:
        counts = np.zeros((len(self._names.ids), 2), np.int64)
        clock: Clock | None = None
        first_s = last_s = previous_s = 0.0
        ordered, n_unknown = True, 0
        unknown: dict[str, None] = {}
        program, columns = pick_columns(_header(self.path))
        for table in _blocks(self.path, merged(columns, self._given), BLOCK_ROWS):
            clock, time_s = _times(table, clock)
            if not len(time_s):
                continue
            station, phase = self._station(table), _phase(table)
            known = station >= 0
            n_unknown += int((~known).sum())
            names = table.column("station_id")
            unknown.update(dict.fromkeys(names[row] for row in np.flatnonzero(~known)[:9].tolist()))
            np.add.at(counts, (station[known], phase[known]), 1)
            ordered = ordered and in_order(time_s) and bool(time_s[0] >= previous_s)
            first_s, last_s = min(first_s, float(time_s.min())), max(last_s, float(time_s.max()))
            previous_s = float(time_s[-1])
        if clock is None or not counts.sum():
            what = f" of the {len(counts)} stations" if n_unknown else ""
            raise DataError(f"{self.path}: there are no picks{what} below the first line; at least four are wanted.")
        shift = int(np.floor(first_s))
        clock = _moved(clock, shift)
        return PickFacts(
            program, columns, clock, counts, last_s - first_s, ordered, n_unknown, tuple(list(unknown)[:5])
        )  # fmt: skip

    def _station(self, table: Table) -> np.ndarray:
        names = table.column("station_id")
        found: dict[str, int] = {}
        station = np.empty(len(names), np.int64)
        for row, name in enumerate(names):
            index = found.get(name)
            if index is None:
                index = self._find(table, row, name)
                found[name] = index
            station[row] = index
        return station

    def _find(self, table: Table, row: int, name: str) -> int:
        try:
            index = self._names.find(name)
        except DataError as error:
            raise DataError(f"{table.where(row)}: {error}") from None
        if index is not None:
            return index
        if self._skip_unknown:
            return -1
        raise DataError(
            f"{table.where(row)}: station {name!r} is not among the {len(self._names.ids)} stations; add it to the "
            "file of stations, or leave such picks out with --skip_unknown_stations."
        )

    def blocks(self, block_rows: int = BLOCK_ROWS) -> "Iterator[Picks]":
        """The picks of known stations in order of time, block by block."""
        from experiments.association.problem import Picks

        if not self.facts.sorted:
            yield self._whole()
            return
        for table in _blocks(self.path, merged(self.facts.columns, self._given), block_rows):
            _, time_s = _times(table, self.facts.clock)
            station = self._station(table)
            known = station >= 0
            if known.any():
                yield Picks(station[known], _phase(table)[known], time_s[known])

    def _whole(self) -> "Picks":
        from experiments.association.problem import Picks

        parts = [
            (self._station(table), _phase(table), _times(table, self.facts.clock)[1])
            for table in _blocks(self.path, merged(self.facts.columns, self._given), BLOCK_ROWS)
        ]
        station, phase, time_s = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = self.order()
        return Picks(station[order], phase[order], time_s[order])

    def order(self) -> np.ndarray | None:
        """Row of each pick that `blocks` gives; None where that is their own order and none was left out."""
        if self.facts.sorted and not self.facts.n_unknown:
            return None
        if self._order is None:
            parts = [
                (self._station(table), _times(table, self.facts.clock)[1])
                for table in _blocks(self.path, merged(self.facts.columns, self._given), BLOCK_ROWS)
            ]
            station, time_s = (np.concatenate(column) for column in zip(*parts, strict=True))
            known = np.flatnonzero(station >= 0)
            self._order = known[np.argsort(time_s[known], kind="stable")]
        return self._order

    def rows(self) -> Iterator[list[str]]:
        """The header, then every row, as they stand in the file."""
        with self.path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.reader(file):
                if row and (len(row) > 1 or row[0].strip()):
                    yield row

    def scores(self) -> np.ndarray | None:
        """`(pick,)`, in the order of `blocks`; None where the file has none."""
        columns = merged(self.facts.columns, self._given)
        name = columns.get("phase_score", "phase_score")
        if name not in _header(self.path):
            return None
        values = np.concatenate([t.numbers("phase_score") for t in _blocks(self.path, columns, BLOCK_ROWS)])
        order = self.order()
        return values if order is None else values[order]


def _header(path: Path) -> list[str]:
    """The columns; a file that cannot be read, or has none, is told as `read_table` does."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = [cell.strip() for cell in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        header = []
    return header if any(header) and len(set(header)) == len(header) else read_table(path).header


def _blocks(path: Path, columns: Mapping[str, str], block_rows: int) -> Iterator[Table]:
    header = _header(path)
    names = read_header(path, header, columns)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        next(reader)
        rows: list[list[str]] = []
        lines: list[int] = []
        done = 0
        try:
            for row in reader:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{path}, row {done + len(rows) + 1} (line {reader.line_num}): there are {len(row)} cells "
                        f"where the first line names {len(header)} columns; mend or delete the row."
                    )
                rows.append(row)
                lines.append(reader.line_num)
                if len(rows) == block_rows:
                    yield Table(path, names, rows, lines, done)
                    done += len(rows)
                    rows, lines = [], []
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: this cannot be read as a UTF-8 CSV file ({error}); give another file.") from None
        if rows:
            yield Table(path, names, rows, lines, done)


def read_header(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """The columns under our names.

    Raises:
        DataError: When one is not there that is wanted or named.
    """
    for ours, theirs in columns.items():
        if theirs not in header:
            raise DataError(
                f"{path}: there is no column {theirs!r} to be taken as {ours}; the file has {', '.join(header)}."
            )
    ours_of = {theirs: ours for ours, theirs in columns.items()}
    names = [ours_of.get(name, name) for name in header]
    want_columns(Table(path, names, [], []), (COLUMNS,), "--pick_columns", "phase_score", "a file of picks")
    return names


def _phase(table: Table) -> np.ndarray:
    types = table.column("phase_type")
    try:
        return np.array([_PHASES[name] for name in types], np.int64)
    except KeyError:
        row = next(row for row, name in enumerate(types) if name not in _PHASES)
        raise DataError(
            f"{table.where(row)}: phase_type is {types[row]!r}, P or S is wanted; mend or delete the row."
        ) from None


def _times(table: Table, clock: Clock | None) -> tuple[Clock, np.ndarray]:
    """Seconds on a clock, which the first block sets."""
    own, time_s = read_times(table, "phase_time")
    if clock is None:
        return own, time_s
    if own.is_iso != clock.is_iso:
        raise DataError(
            f"{table.where(0)}: mixed time formats: phase_time has {own.name}, and rows before it {clock.name}; "
            "write all times in one form."
        )
    if isinstance(own.start, datetime) and isinstance(clock.start, datetime):
        if (own.start.tzinfo is None) != (clock.start.tzinfo is None):
            raise DataError(f"{table.where(0)}: some times have a time zone and others none; write all times alike.")
        return clock, time_s + (own.start - clock.start).total_seconds()
    assert isinstance(own.start, float)
    assert isinstance(clock.start, float)
    return clock, time_s + (own.start - clock.start)


def _moved(clock: Clock, seconds: int) -> Clock:
    from datetime import timedelta

    start = clock.start + timedelta(seconds=seconds) if isinstance(clock.start, datetime) else clock.start + seconds
    return Clock(start, clock.separator, clock.zulu)


def utc_start(clock: Clock) -> datetime:
    """What 0 s of a clock stands for, in UTC: dates without a zone are UTC, seconds are those since 1970."""
    if not isinstance(clock.start, datetime):
        return datetime.fromtimestamp(clock.start, UTC)
    return clock.start.replace(tzinfo=UTC) if clock.start.tzinfo is None else clock.start.astimezone(UTC)
