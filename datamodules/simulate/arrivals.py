"""Earthquakes and their picks, drawn as in the paper (Sections 3.2 and 3.4), with the truth beside them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.simulate.wave_speeds import EXTENT_KM

SPURIOUS = -1

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TravelTimesOf = Callable[[FloatArray], npt.NDArray[np.floating]]
"""Points `(n, 3)` km -> travel times `(n, station)` s."""


class SimulatedArrivals(NamedTuple):
    """Picks and the earthquakes that made them.

    Attributes:
        positions_km: `(event, 3)`.
        origin_times_s: `(event,)`.
        station: `(pick,)`, in order of station and time.
        time_s: `(pick,)`, with noise.
        event_of_pick: `(pick,)`, -1 for spurious picks.
        exact_time_s: `(event, station)`, without noise, missing ones included.
    """

    positions_km: FloatArray
    origin_times_s: FloatArray
    station: IntArray
    time_s: FloatArray
    event_of_pick: IntArray
    exact_time_s: FloatArray


def random_stations(n: int, seed: int = 0, extent_km: float = EXTENT_KM) -> FloatArray:
    """Stations uniform on the surface z = 0; the first ones do not depend on how many follow.

    Args:
        n: Number of stations.
        seed: Seed.
        extent_km: Side of the square.

    Returns:
        `(n, 3)` km.
    """
    return np.random.default_rng([seed, 1]).uniform(0.0, 1.0, (n, 2)) @ np.eye(2, 3) * extent_km


def simulate_arrivals(
    rng_seed: int,
    travel_times_fn: TravelTimesOf,
    n_events: int,
    origin_time_range_s: tuple[float, float],
    bounds_km: npt.ArrayLike = ((0.0, 0.0, 0.0), (EXTENT_KM, EXTENT_KM, EXTENT_KM)),
    pick_noise_s: float = 0.0,
    p_missing: float = 0.0,
    p_spurious: float = 0.0,
) -> SimulatedArrivals:
    """Earthquakes uniform in a box and in time, and their picks.

    At each station p_missing M arrivals are removed at random and p_spurious M picks added (Section 3.4), uniform
    between the station's first and last exact arrival; parts of a pick by lot, so that the means are those. Positions
    and the order of origin times depend on the seed alone, so that a longer time range only spreads the same events.

    Args:
        rng_seed: Seed of all draws.
        travel_times_fn: Travel times of points, `(n, 3)` km -> `(n, station)` s.
        n_events: M.
        origin_time_range_s: Earliest and latest origin time.
        bounds_km: `(2, 3)`, lowest and highest coordinates of the sources.
        pick_noise_s: Standard deviation of the noise of true picks.
        p_missing: Fraction p_m of arrivals removed at each station.
        p_spurious: Fraction p_n of picks added at each station.

    Returns:
        Picks and truth.

    Raises:
        DataError: If a fraction is outside 0..1, the noise negative, or the time range reversed.
    """
    for name, value in {"p_missing": p_missing, "p_spurious": p_spurious}.items():
        if not 0 <= value <= 1:
            raise DataError(f"{name} is {value}: a fraction lies between 0 and 1.")
    start_s, end_s = origin_time_range_s
    if pick_noise_s < 0 or end_s < start_s:
        raise DataError(f"pick_noise_s {pick_noise_s} must not be negative, nor origin_time_range_s reversed.")
    positions_km, share = _draw_events(rng_seed, n_events, bounds_km)
    origin_times_s = start_s + share * (end_s - start_s)
    exact_time_s = np.asarray(travel_times_fn(positions_km), dtype=np.float64) + origin_times_s[:, None]
    rng = np.random.default_rng([rng_seed, 1])
    n_stations = exact_time_s.shape[1]
    lots = np.random.default_rng([rng_seed, 2])  # of its own: complete problems do not depend on it
    n_missing, n_spurious = (
        np.floor(fraction * n_events + lots.random(n_stations)).astype(int) for fraction in (p_missing, p_spurious)
    )
    noise_s = pick_noise_s * rng.standard_normal(exact_time_s.shape)
    stations, times, events = [], [], []
    for i in range(n_stations):
        kept = rng.permutation(n_events)[n_missing[i] :]
        false_s = rng.uniform(exact_time_s[:, i].min(), exact_time_s[:, i].max(), n_spurious[i])
        time_s = np.concatenate([(exact_time_s + noise_s)[kept, i], false_s])
        order = np.argsort(time_s, kind="stable")
        times.append(time_s[order])
        events.append(np.concatenate([kept, np.full(n_spurious[i], SPURIOUS)])[order])
        stations.append(np.full(len(order), i))
    return SimulatedArrivals(
        positions_km,
        origin_times_s,
        np.concatenate(stations).astype(np.int64),
        np.concatenate(times),
        np.concatenate(events).astype(np.int64),
        exact_time_s,
    )


def origin_time_range_for_confusion_factor(
    rng_seed: int,
    travel_times_fn: TravelTimesOf,
    n_events: int,
    confusion_factor: float,
    bounds_km: npt.ArrayLike = ((0.0, 0.0, 0.0), (EXTENT_KM, EXTENT_KM, EXTENT_KM)),
    longest_s: float = 1000.0,
) -> tuple[float, float]:
    """The range [0, tau_max) in which the events of a seed have a wanted confusion factor (Eq. 13), or come closest.

    The confusion factor of M events moves in steps, and of few events does not reach every value.

    Args:
        rng_seed: Seed that `simulate_arrivals` will be given.
        travel_times_fn: As there.
        n_events: M.
        confusion_factor: Wanted, 0 to 1.
        bounds_km: As there.
        longest_s: Longest range tried; the shortest is a thousandth of a second.

    Returns:
        `(0, tau_max)`, the longest that comes closest.
    """
    positions_km, share = _draw_events(rng_seed, n_events, bounds_km)
    travel_time_s = np.asarray(travel_times_fn(positions_km), dtype=np.float64)
    ranges_s = np.geomspace(longest_s, 1e-3, 400)
    found = [_confusion_factor(travel_time_s + (share * range_s)[:, None], share) for range_s in ranges_s]
    return 0.0, float(ranges_s[int(np.argmin(np.abs(np.array(found) - confusion_factor)))])


def _draw_events(rng_seed: int, n_events: int, bounds_km: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Positions `(event, 3)` and origin times in 0..1."""
    rng = np.random.default_rng([rng_seed, 0])
    low, high = np.asarray(bounds_km, dtype=np.float64)
    return rng.uniform(low, high, (n_events, 3)), rng.uniform(0.0, 1.0, n_events)


def _confusion_factor(arrival_s: FloatArray, origin_s: FloatArray) -> float:
    """Eq. 13: one minus the mean Kendall rank correlation of arrival and origin times, `(event, station)`."""
    later, earlier = np.triu_indices(len(origin_s), 1)
    if not len(later):
        return 0.0
    order = np.sign(origin_s[later] - origin_s[earlier])[:, None]
    return 1.0 - max(float(np.mean(np.sign(arrival_s[later] - arrival_s[earlier]) * order)), 0.0)
