"""A CSV file with named columns: every mistake in it is told by file and row.

Rows are kept as the text they are, so that they can be given back unchanged.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError

# What other programs call our columns. Compared without case, blanks, underscores and brackets.
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "station_id": ("id", "station", "sta", "stationcode", "stationname", "name", "traceid", "code"),
    "phase_time": ("timestamp", "time", "peaktime", "arrivaltime", "picktime", "phasearrivaltime", "t", "times"),
    "phase_type": ("type", "phase", "phasehint", "phaselabel", "picktype", "phasename"),
    "phase_score": ("prob", "probability", "score", "phaseprob", "peakvalue", "confidence"),
    "latitude": ("lat", "stationlatitude", "stationlat", "stla"),
    "longitude": ("lon", "lng", "long", "stationlongitude", "stationlon", "stlo"),
    "elevation_m": ("elevation", "elev", "elevationm", "elevm", "stel"),
    "x_km": ("x", "xkm", "eastkm"),
    "y_km": ("y", "ykm", "northkm"),
    "z_km": ("z", "zkm", "depthkm"),
    "depth_km": ("depth", "depthkm", "z", "zkm"),
    "vp_km_s": ("vp", "p", "pvelocity", "pvel", "vpkms"),
    "vs_km_s": ("vs", "s", "svelocity", "svel", "vskms"),
}
# Which program writes these columns; the first whose columns are all there is named.
_PROGRAMS = (
    ("GaMMA's", {"id", "timestamp", "type", "prob"}),
    ("GaMMA's", {"id", "x(km)", "y(km)", "z(km)"}),
    ("SeisBench's", {"trace_id", "peak_time", "phase"}),
    ("PyOcto's", {"station", "phase", "time"}),
    ("PyOcto's", {"id", "x", "y", "z"}),
    ("PhaseNet's", {"station_id", "begin_time", "phase_time"}),
)


@dataclass(frozen=True)
class Table:
    """Rows of a CSV file.

    Args:
        path: The file.
        header: Names of the columns, as the file has them.
        rows: `[row][column]`, text.
        lines: Line of the file on which each row ends, from 1.
        first_row: Rows of the file before these, where it is read in parts.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    first_row: int = 0

    def where(self, row: int) -> str:
        """The file and the row, both counted as data row and as line, for a message."""
        return f"{self.path}, row {self.first_row + row + 1} (line {self.lines[row]})"

    def column(self, name: str) -> list[str]:
        """The texts of a column, blanks at the ends removed."""
        index = self.header.index(name)
        return [row[index].strip() for row in self.rows]

    def numbers(self, name: str, lowest: float = -math.inf, highest: float = math.inf) -> np.ndarray:
        """The finite numbers of a column, `(row,)` float64.

        Raises:
            DataError: When a cell is not a finite number from `lowest` to `highest`.
        """
        values = np.empty(len(self.rows))
        for row, text in enumerate(self.column(name)):
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise DataError(f"{self.where(row)}: {name} is {text!r}, a finite number is wanted; mend or delete it.")
            if not lowest <= value <= highest:
                raise DataError(
                    f"{self.where(row)}: {name} is {text}, a value {_range(lowest, highest)} is wanted; mend it."
                )
            values[row] = value
        return values


def _range(lowest: float, highest: float) -> str:
    return f"of at least {lowest:g}" if highest == math.inf else f"from {lowest:g} to {highest:g}"


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """Read a CSV file.

    Args:
        path: The file: comma-separated, UTF-8, the first line names the columns.
        columns: Our name -> the file's name, for columns that are called otherwise there.

    Raises:
        DataError: When there is no such file, it is empty or cannot be read, or a row has another number of cells.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [cell.strip() for cell in next(reader, [])]
            rows: list[list[str]] = []
            lines: list[int] = []
            for row in reader:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{path}, row {len(rows) + 1} (line {reader.line_num}): there are {len(row)} cells where the "
                        f"first line names {len(header)} columns; mend or delete the row."
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: this cannot be read as a UTF-8 CSV file ({reason}); give another file.") from None
    if not any(header):
        raise DataError(f"{path}: the file is empty; its first line names the columns, then comes a row each.")
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; rename one.")
    return Table(path, _renamed(path, header, columns or {}), rows, lines)


def _renamed(path: Path, header: list[str], columns: Mapping[str, str]) -> list[str]:
    for ours, theirs in columns.items():
        if theirs not in header:
            raise DataError(
                f"{path}: there is no column {theirs!r} to be taken as {ours}; the file has {', '.join(header)}."
            )
        if ours in header and ours != theirs:
            raise DataError(f"{path}: there is a column {ours} already; do not take {theirs!r} as {ours}.")
    ours_of = {theirs: ours for ours, theirs in columns.items()}
    return [ours_of.get(name, name) for name in header]


def want_columns(
    table: Table, wanted: Sequence[Sequence[str]], option: str, optional: str = "", what_of: str = "the file"
) -> None:
    """Refuse a table without one of the sets of columns that are wanted, and offer the likely mapping.

    Args:
        table: The table.
        wanted: Sets of columns, each enough by itself; the first is the usual one.
        option: The option by which columns can be taken under another name.
        optional: A column that may be there too.
        what_of: What such a file holds, for the message.

    Raises:
        DataError: When no set is there as a whole.
    """
    if any(set(names) <= set(table.header) for names in wanted):
        return
    text = " or ".join(", ".join(names) for names in wanted) + (f" (and {optional}, if known)" if optional else "")
    found = f"{table.path}: {what_of} wants the columns {text}, but this has {', '.join(table.header)}"
    if len(table.header) == 1:
        for separator, name in ((";", "semicolons"), ("\t", "tabs"), (" ", "blanks")):
            if separator in table.header[0]:
                raise DataError(f"{found}: it is separated by {name}; write it with commas.")
    mapping, missing = min(
        (_mapping(table.header, [*names, *([optional] if optional else [])], names) for names in wanted),
        key=lambda pair: len(pair[1]),
    )
    if not mapping:
        raise DataError(f"{found}; rename them, or give {option} with our name = the file's.")
    program = next((f" ({name} names)" for name, columns in _PROGRAMS if columns <= set(table.header)), "")
    offered = ", ".join(f"{theirs!r} as {ours}" for ours, theirs in mapping.items())
    rest = f"; nothing there looks like {', '.join(missing)}" if missing else ""
    pairs = " ".join(f"{ours}='{theirs}'" if " " in theirs or "(" in theirs else f"{ours}={theirs}"
                     for ours, theirs in mapping.items())  # fmt: skip
    raise DataError(f"{found}{program}: likely {offered}{rest}; rename them, or give {option} {pairs}.")


def _mapping(header: list[str], names: Sequence[str], needed: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    plain = {_plain(theirs): theirs for theirs in reversed(header) if theirs not in names}
    mapping: dict[str, str] = {}
    for ours in names:
        if ours in header:
            continue
        for other in (_plain(ours), *_OTHER_NAMES.get(ours, ())):
            if other in plain and plain[other] not in mapping.values():
                mapping[ours] = plain[other]
                break
    return mapping, [name for name in needed if name not in header and name not in mapping]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
