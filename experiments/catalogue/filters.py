"""Which events and picks are kept: thresholds that follow from the network, and can be given.

A filter takes picks away from an event (a residual too large, an S before its P, a station that is too far off for how
few nearer ones have seen the event), and then events with too few picks left.

How far an event should be seen is judged as PyOcto does (Muenchmeyer 2024, `min_pick_fraction`), with two changes: a
station counts only as far as it usually sees events nearer than it (its *reliability*, from the catalogue itself), and
only within an hour of a pick of its own. A station that is off, or deaf, is not missed.
"""

from dataclasses import dataclass, field

import numpy as np

from experiments.catalogue.store import EventPicks

_REASONS = ("residual", "s_before_p", "too_far")


@dataclass(frozen=True)
class Filters:
    """Thresholds.

    Args:
        min_picks: Picks of an event.
        min_p: P picks of it.
        min_s: S picks of it.
        min_both: Stations of it with P and S.
        max_residual_s: Of a P pick, beyond what the association demands; an S pick may have `s_factor` times as much.
        s_factor: See there.
        max_rms_s: Of an event.
        min_seen: Of the nearer stations that should have seen an event, the share that must have, for a pick to stay.
        drop_outside: Whether events outside the network are dropped; they are flagged in any case.
    """

    min_picks: int
    min_p: int
    min_s: int
    min_both: int
    max_residual_s: float = float("inf")
    s_factor: float = 1.5
    max_rms_s: float = float("inf")
    min_seen: float = 0.25
    drop_outside: bool = False


def default_filters(n_stations: int, has_s: bool) -> Filters:
    """Thresholds for a network.

    A sixth of the stations must have picked an event, by one phase or the other: 5 picks at least, 8 at most.

    Args:
        n_stations: Stations with picks.
        has_s: Whether there are S picks.
    """
    least = int(np.clip(round(n_stations / 6), 5, 8))
    return Filters(least, 3, 1 if has_s else 0, 0)


@dataclass
class Kept:
    """What the filters leave of some events.

    Args:
        pick: `(pick,)` bool, picks that stay with their event.
        event: `(event,)` bool, events that stay.
        n_p: `(event,)` int, of the picks that stay.
        n_s: `(event,)` int.
        n_both: `(event,)` int, stations with both.
        rms_s: `(event,)`.
        dropped_picks: For each reason how many picks were taken from events.
        dropped_events: For each reason how many events.
    """

    pick: np.ndarray
    event: np.ndarray
    n_p: np.ndarray
    n_s: np.ndarray
    n_both: np.ndarray
    rms_s: np.ndarray
    dropped_picks: dict[str, int] = field(default_factory=dict)
    dropped_events: dict[str, int] = field(default_factory=dict)


def apply(
    filters: Filters,
    picks: EventPicks,
    epicentres_km: np.ndarray,
    stations_km: np.ndarray,
    outside: np.ndarray,
    reliability: np.ndarray,
    alive: "Alive",
) -> Kept:
    """Filter some events.

    Args:
        filters: Thresholds.
        picks: The picks of the events.
        epicentres_km: `(event, 2)`, of these events.
        stations_km: `(station, 3)`.
        outside: `(event,)` bool, outside the network.
        reliability: `(station,)`, see `reliabilities`.
        alive: When each station was at work.
    """
    event = picks.event - picks.first_event
    keep = np.ones(len(event), bool)
    dropped = {}
    limit_s = np.where(picks.phase == 0, filters.max_residual_s, filters.max_residual_s * filters.s_factor)
    for reason in _REASONS:
        before = int(keep.sum())
        if reason == "residual":
            keep &= np.abs(picks.residual_s) <= limit_s
        elif reason == "s_before_p":
            keep &= ~_s_before_p(event, picks, keep)
        elif filters.min_seen > 0:
            keep &= ~_too_far(filters, event, picks, keep, epicentres_km, stations_km, reliability, alive)
        dropped[reason] = before - int(keep.sum())
    n = picks.n_events
    counts = [np.bincount(event[keep & (picks.phase == phase)], minlength=n) for phase in (0, 1)]
    pairs = event[keep] * len(stations_km) + picks.station[keep]
    both_event, both_count = np.unique(pairs, return_counts=True)
    n_both = np.bincount(both_event[both_count > 1] // len(stations_km), minlength=n)
    n_all = counts[0] + counts[1]
    squares = np.bincount(event[keep], picks.residual_s[keep] ** 2, minlength=n)
    rms = np.sqrt(squares / np.maximum(n_all, 1))
    checks = {
        "picks": n_all >= filters.min_picks,
        "p": counts[0] >= filters.min_p,
        "s": counts[1] >= filters.min_s,
        "both": n_both >= filters.min_both,
        "rms": rms <= filters.max_rms_s,
        "outside": ~outside if filters.drop_outside else np.ones(n, bool),
    }
    stays = np.ones(n, bool)
    lost = {}
    for reason, good in checks.items():
        lost[reason] = int((stays & ~good).sum())
        stays &= good
    return Kept(keep & stays[event], stays, counts[0], counts[1], n_both, rms, dropped, lost)


def _s_before_p(event: np.ndarray, picks: EventPicks, keep: np.ndarray) -> np.ndarray:
    """Of a P and an S at one station with S not later, the one with the larger residual."""
    bad = np.zeros(len(event), bool)
    key = event * (int(picks.station.max(initial=0)) + 1) + picks.station
    p, s = (np.flatnonzero(keep & (picks.phase == phase)) for phase in (0, 1))
    _, first, second = np.intersect1d(key[p], key[s], return_indices=True)
    p, s = p[first], s[second]
    wrong = picks.time_s[s] <= picks.time_s[p]
    worse_s = np.abs(picks.residual_s[s]) >= np.abs(picks.residual_s[p])
    bad[s[wrong & worse_s]] = True
    bad[p[wrong & ~worse_s]] = True
    return bad


def _too_far(
    filters: Filters,
    event: np.ndarray,
    picks: EventPicks,
    keep: np.ndarray,
    epicentres_km: np.ndarray,
    stations_km: np.ndarray,
    reliability: np.ndarray,
    alive: "Alive",
) -> np.ndarray:
    """Picks of stations that too few nearer ones that should have seen the event agree with."""
    distance = distances_km(epicentres_km, stations_km)
    seen = np.zeros(distance.shape, bool)
    seen[event[keep], picks.station[keep]] = True
    times = np.zeros(picks.n_events)
    np.maximum.at(times, event, picks.time_s)
    order = np.argsort(distance, axis=1, kind="stable")
    weight = np.where(alive.at(times), reliability[None], 0.0)
    weight = np.where(seen, 1.0, weight)
    should = np.cumsum(np.take_along_axis(weight, order, 1), axis=1)
    did = np.cumsum(np.take_along_axis(seen.astype(float), order, 1), axis=1)
    share = np.ones(distance.shape)
    np.divide(did, should, out=share, where=should > 0)
    by_station = np.empty(distance.shape)
    np.put_along_axis(by_station, order, share, 1)
    return np.asarray(by_station[event, picks.station] < filters.min_seen)


def distances_km(epicentres_km: np.ndarray, stations_km: np.ndarray) -> np.ndarray:
    """Epicentral distances `(event, station)`."""
    return np.asarray(np.linalg.norm(epicentres_km[:, None, :2] - stations_km[None, :, :2], axis=-1))


class Alive:
    """When each station was at work: within an hour of a pick of its own, of an event or not.

    Args:
        n_stations: Stations.
        start_s: Time of the first pick.
        duration_s: To the last.
    """

    STEP_S = 1800.0

    def __init__(self, n_stations: int, start_s: float, duration_s: float) -> None:
        self._start_s = start_s
        self._heard = np.zeros((int(duration_s // self.STEP_S) + 3, n_stations), bool)

    def add(self, station: np.ndarray, time_s: np.ndarray) -> None:
        """Take note of picks."""
        self._heard[self._bin(time_s), station] = True

    def _bin(self, time_s: np.ndarray) -> np.ndarray:
        return np.clip(((time_s - self._start_s) // self.STEP_S).astype(np.int64) + 1, 0, len(self._heard) - 1)

    def at(self, time_s: np.ndarray) -> np.ndarray:
        """`(time, station)` bool."""
        at = self._bin(time_s)
        last = len(self._heard) - 1
        either = self._heard[np.maximum(at - 1, 0)] | self._heard[np.minimum(at + 1, last)]
        return np.asarray(self._heard[at] | either)


class Reliabilities:
    """How often each station picks events that stations farther than it have picked too.

    Args:
        n_stations: Stations.
    """

    PRIOR = 4.0  # so many events, half of them seen, before there is any

    def __init__(self, n_stations: int) -> None:
        self._seen, self._could = np.zeros(n_stations), np.zeros(n_stations)

    def add(self, picks: EventPicks, epicentres_km: np.ndarray, stations_km: np.ndarray, alive: Alive) -> None:
        """Take note of some events."""
        event = picks.event - picks.first_event
        distance = distances_km(epicentres_km, stations_km)
        seen = np.zeros(distance.shape, bool)
        seen[event, picks.station] = True
        times = np.zeros(picks.n_events)
        np.maximum.at(times, event, picks.time_s)
        # Nearer than half of those that saw it, a station should have.
        reach = np.array([np.median(far[by]) if by.any() else -1.0 for far, by in zip(distance, seen, strict=True)])
        near = (distance <= reach[:, None]) & alive.at(times)
        self._seen += (near & seen).sum(axis=0)
        self._could += near.sum(axis=0)

    @property
    def values(self) -> np.ndarray:
        """`(station,)`, 0 to 1."""
        return np.asarray((self._seen + self.PRIOR / 2) / (self._could + self.PRIOR))


def outside_network(epicentres_km: np.ndarray, stations_km: np.ndarray) -> np.ndarray:
    """Which epicentres lie outside the convex hull of the stations, `(event,)` bool.

    Args:
        epicentres_km: `(event, 2)`.
        stations_km: `(station, 2)`, those with picks; fewer than three, or all on a line, enclose nothing.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(stations_km[:, :2])
    except (QhullError, ValueError):
        return np.ones(len(epicentres_km), bool)
    sides = epicentres_km[:, :2] @ hull.equations[:, :2].T + hull.equations[:, 2]
    return np.asarray((sides > 1e-9).any(axis=1))
