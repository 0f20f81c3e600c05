"""A catalogue against a reference: which events are matched one to one, missed or new, and how far apart they are."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.clock import read_times
from experiments.association.files.pick_stream import utc_start
from experiments.association.files.table import Table, read_table, want_columns
from experiments.association.geography import LocalProjection

WITHIN_S, WITHIN_KM = 3.0, 10.0
_NAMES = {
    "time": ("origin_time", "origintime", "datetime", "event_time"),
    "latitude": ("lat",),
    "longitude": ("lon", "long"),
    "depth_km": ("depth", "depth(km)", "z(km)"),
    "magnitude": ("mag", "ml", "mw"),
}


@dataclass(frozen=True)
class Reference:
    """Catalogued events, in order of time.

    Args:
        times_s: `(event,)`, on the clock of the picks.
        positions_km: `(event, 3)`.
        magnitudes: `(event,)`; NaN where not told.
        texts: Of each event its time, as the file has it.
    """

    times_s: np.ndarray
    positions_km: np.ndarray
    magnitudes: np.ndarray
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True)
class Comparison:
    """A catalogue against a reference.

    Args:
        ours: `(match,)` int, events of ours that are matched.
        theirs: `(match,)` int, the reference's events that they match.
        missed: `(n,)` int, the reference's other events.
        new: `(n,)` int, ours within the span of the reference that match none.
        time_s: `(match,)`, ours minus theirs.
        east_km: `(match,)`.
        north_km: `(match,)`.
        depth_km: `(match,)`.
    """

    ours: np.ndarray
    theirs: np.ndarray
    missed: np.ndarray
    new: np.ndarray
    time_s: np.ndarray
    east_km: np.ndarray
    north_km: np.ndarray
    depth_km: np.ndarray

    @property
    def recall(self) -> float:
        """Share of the reference that is matched; NaN for an empty one."""
        n = len(self.theirs) + len(self.missed)
        return len(self.theirs) / n if n else float("nan")

    @property
    def epicentral_km(self) -> np.ndarray:
        """`(match,)`."""
        return np.asarray(np.hypot(self.east_km, self.north_km))


def read_reference(path: Path, start: datetime, projection: LocalProjection | None) -> Reference:
    """Read a catalogue: `time, latitude, longitude, depth_km[, magnitude]`.

    Args:
        path: The file.
        start: What 0 s stands for, UTC.
        projection: Of the stations.

    Raises:
        DataError: When something in the file is wrong, or the stations are in kilometres.
    """
    if projection is None:
        raise DataError(
            f"{path}: a reference is compared by latitude and longitude, and the stations are in kilometres; "
            "give stations with latitude and longitude, or leave --reference out."
        )
    table = _renamed(read_table(path))
    want_columns(table, (("time", "latitude", "longitude", "depth_km"),), "--reference", "magnitude", "a reference")
    if not table.rows:
        raise DataError(f"{path}: there are no events below the first line; leave --reference out.")
    clock, seconds = read_times(table, "time")
    times = seconds + (utc_start(clock) - start.astimezone(UTC)).total_seconds()
    x, y = projection.to_km(table.numbers("latitude", -90, 90), table.numbers("longitude", -180, 360))
    depth = table.numbers("depth_km")
    magnitude = np.full(len(times), np.nan)
    if "magnitude" in table.header:
        magnitude = np.array([float(text) if text else np.nan for text in table.column("magnitude")])
    order = np.argsort(times, kind="stable")
    texts = table.column("time")
    return Reference(
        times[order], np.stack([x, y, depth], axis=1)[order], magnitude[order], tuple(texts[i] for i in order.tolist())
    )


def _renamed(table: Table) -> Table:
    names = list(table.header)
    for ours, others in _NAMES.items():
        if ours not in names:
            found = next((i for i, name in enumerate(names) if name.lower() in others), None)
            if found is not None:
                names[found] = ours
    return Table(table.path, names, table.rows, table.lines)


def compare(
    times_s: np.ndarray,
    positions_km: np.ndarray,
    reference: Reference,
    within_s: float = WITHIN_S,
    within_km: float = WITHIN_KM,
) -> Comparison:
    """Match events one to one, the most pairs, and of those the nearest.

    Args:
        times_s: `(event,)`, ours.
        positions_km: `(event, 3)`, ours.
        reference: Theirs.
        within_s: A pair's origin times differ by less.
        within_km: And its epicentres.
    """
    ours, theirs = match(times_s, positions_km, reference.times_s, reference.positions_km, within_s, within_km)
    apart = positions_km[ours] - reference.positions_km[theirs]
    low = reference.times_s[0] - within_s if len(reference) else np.inf
    high = reference.times_s[-1] + within_s if len(reference) else -np.inf
    new = np.setdiff1d(np.flatnonzero((times_s >= low) & (times_s <= high)), ours)
    missed = np.setdiff1d(np.arange(len(reference)), theirs)
    return Comparison(
        ours, theirs, missed, new, times_s[ours] - reference.times_s[theirs], apart[:, 0], apart[:, 1], apart[:, 2]
    )


def match(
    times_s: np.ndarray,
    positions_km: np.ndarray,
    other_times_s: np.ndarray,
    other_positions_km: np.ndarray,
    within_s: float = WITHIN_S,
    within_km: float = WITHIN_KM,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of events of two catalogues, one to one; `(match,)` int each, in order of the second."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    order = np.argsort(times_s, kind="stable")
    low, high = (np.searchsorted(times_s[order], other_times_s + shift) for shift in (-within_s, within_s))
    pairs = [(order[i], j) for j, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
             for i in range(a, b)]  # fmt: skip
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    i, j = np.array(pairs, np.int64).T
    time = np.abs(times_s[i] - other_times_s[j])
    far = np.linalg.norm(positions_km[i, :2] - other_positions_km[j, :2], axis=-1)
    good = (time < within_s) & (far < within_km)
    i, j, cost = i[good], j[good], (time / within_s + far / within_km)[good]
    n_ours, n = len(times_s), len(times_s) + len(other_times_s)
    graph = coo_matrix((np.ones(len(i)), (i, n_ours + j)), shape=(n, n))
    label = connected_components(graph, directed=False)[1][i]
    found: list[tuple[int, int]] = []
    for group in np.split(np.argsort(label, kind="stable"), np.flatnonzero(np.diff(np.sort(label))) + 1):
        mine, row = np.unique(i[group], return_inverse=True)
        theirs, column = np.unique(j[group], return_inverse=True)
        table = np.full((len(mine), len(theirs)), 1e3)
        table[row, column] = cost[group]
        chosen = linear_sum_assignment(table)
        found += [(int(mine[a]), int(theirs[b])) for a, b in zip(*chosen, strict=True) if table[a, b] < 1e3]
    found.sort(key=lambda pair: pair[1])
    result = np.array(found, np.int64).reshape(-1, 2)
    return result[:, 0], result[:, 1]


def write_missed(path: Path, reference: Reference, comparison: Comparison, projection: LocalProjection) -> None:
    """Which events of the reference are missed, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time", "latitude", "longitude", "depth_km", "magnitude"])
        for number in comparison.missed.tolist():
            x, y, z = reference.positions_km[number]
            latitude, longitude = projection.to_degrees(x, y)
            size = reference.magnitudes[number]
            writer.writerow([reference.texts[number], f"{float(latitude):.5f}", f"{float(longitude):.5f}", f"{z:.2f}",
                             f"{size:g}" if np.isfinite(size) else ""])  # fmt: skip
