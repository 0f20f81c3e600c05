"""Files of picks, stations and speeds as other programs write them, recognised by their columns.

| program | picks | stations |
|---|---|---|
| SeisBench | `trace_id, peak_time, peak_value, phase`, or `station, time, probability, phase` | `id, latitude, longitude, elevation` |
| PhaseNet | `station_id, begin_time, phase_index, phase_time, phase_score, phase_type` | `station_id, longitude, latitude, elevation_m` |
| GaMMA | `id, timestamp, type, prob[, amp]` | `id, longitude, latitude, elevation(m)`, or `id, x(km), y(km), z(km)` |
| PyOcto | `station, phase, time[, probability]` | `id, latitude, longitude, elevation`, or `id, x, y, z` |

Elevations are metres up, z is kilometres down in all of them; times are ISO-8601 or seconds since 1970. Where a file of
stations has degrees and kilometres, degrees are taken: they say where the kilometres start.
"""  # noqa: E501 - a table

from collections.abc import Mapping, Sequence

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.table import Table

# Program, then its columns: ours -> theirs. The first whose columns are all there is meant.
_PICKS: tuple[tuple[str, dict[str, str]], ...] = (
    ("SeisBench", {"station_id": "trace_id", "phase_time": "peak_time", "phase_type": "phase"}),
    ("GaMMA", {"station_id": "id", "phase_time": "timestamp", "phase_type": "type"}),
    ("PyOcto", {"station_id": "station", "phase_time": "time", "phase_type": "phase"}),
    ("GaMMA", {"station_id": "station_id", "phase_time": "timestamp", "phase_type": "type"}),
)
_SCORES = {"SeisBench": ("peak_value", "probability"), "PyOcto": ("probability", "peak_value"), "GaMMA": ("prob",)}
_STATION_IDS = ("station_id", "id", "station", "trace_id")
_ELEVATIONS = ("elevation_m", "elevation(m)", "elevation")
_KILOMETRES = (("x(km)", "y(km)", "z(km)"), ("x", "y", "z"))
OURS = "our own"


def pick_columns(header: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Who wrote a file of picks, and its columns.

    Args:
        header: The columns.

    Returns:
        The program, and our name -> the file's name where they differ; ours and nothing where it is not recognised.
    """
    there = set(header)
    if {"station_id", "phase_time", "phase_type"} <= there:
        return ("PhaseNet" if "begin_time" in there else OURS), {}
    for program, columns in _PICKS:
        if set(columns.values()) <= there:
            score = next((name for name in _SCORES[program] if name in there), None)
            mapping = {ours: theirs for ours, theirs in columns.items() if ours != theirs and ours not in there}
            return program, mapping | ({"phase_score": score} if score and "phase_score" not in there else {})
    return OURS, {}


def station_columns(header: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Who wrote a file of stations, and its columns; see `pick_columns`."""
    there = set(header)
    name = next((name for name in _STATION_IDS if name in there), None)
    if name is None:
        return OURS, {}
    mapping = {} if name == "station_id" else {"station_id": name}
    if {"latitude", "longitude"} <= there:
        elevation = next((name for name in _ELEVATIONS if name in there), None)
        if elevation is None:
            return OURS, {}
        program = {"elevation(m)": "GaMMA", "elevation": "PyOcto", "elevation_m": OURS}[elevation]
        return program, mapping | ({} if elevation == "elevation_m" else {"elevation_m": elevation})
    for program, names in zip(("GaMMA", "PyOcto"), _KILOMETRES, strict=True):
        if set(names) <= there:
            return program, mapping | dict(zip(("x_km", "y_km", "z_km"), names, strict=True))
    return OURS, mapping


def without_kilometres(table: Table) -> Table:
    """A table of stations whose kilometres are called otherwise, where it has degrees as well."""
    if not {"latitude", "longitude", "x_km"} <= set(table.header):
        return table
    header = [f"{name} as given" if name in ("x_km", "y_km", "z_km") else name for name in table.header]
    return Table(table.path, header, table.rows, table.lines)


class StationNames:
    """Which station a pick's name means: `IV.T1247`, `IV.T1247.`, `IV.T1247..HHZ` and `T1247` may all be one.

    A name that stands in the file of stations is that station. Else what both sides have of network, station and
    location decides, if it fits one station only.

    Args:
        ids: Names in the file of stations, in its order.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        self._known: dict[str, int] = {name: number for number, name in enumerate(ids)}
        self._by_code: dict[str, list[int]] = {}
        for number, name in enumerate(ids):
            self._by_code.setdefault(_parts(name)[1], []).append(number)

    def find(self, name: str) -> int | None:
        """Index of the station that is meant; None for none.

        Raises:
            DataError: When it may be any of several.
        """
        if name in self._known:
            return self._known[name]
        wanted = _parts(name)
        alike = [number for number in self._by_code.get(wanted[1], []) if _agree(wanted, _parts(self.ids[number]))]
        if len(alike) > 1:
            both = ", ".join(self.ids[number] for number in alike)
            raise DataError(f"station {name!r} may be any of {both}; name it as the file of stations does.")
        if not alike:
            return None
        self._known[name] = alike[0]
        return alike[0]


def _parts(name: str) -> tuple[str, str, str]:
    """Network, station and location of `NET.STA.LOC.CHA`; empty where not told."""
    parts = name.strip().rstrip(".").split(".")
    if len(parts) == 1:
        return "", parts[0], ""
    network, code, *rest = parts
    return network, code, rest[0] if rest else ""


def _agree(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    return all(not a or not b or a == b for a, b in zip(one, other, strict=True))


def merged(recognised: Mapping[str, str], given: Mapping[str, str] | None) -> dict[str, str]:
    """The columns recognised, with those that were given by option before them."""
    return {**{ours: theirs for ours, theirs in recognised.items() if theirs not in (given or {}).values()},
            **(given or {})}  # fmt: skip


def in_order(time_s: np.ndarray) -> bool:
    """Whether times never go back."""
    return bool((np.diff(time_s) >= 0).all())
