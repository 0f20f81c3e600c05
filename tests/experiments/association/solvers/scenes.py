"""Small association problems with known answers, in a homogeneous medium or in a table."""

import numpy as np

from experiments.association.problem import Events, Picks, Problem, Stations
from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes
from experiments.association.travel_times.provider import P, TravelTimes
from experiments.association.travel_times.table import TableTravelTimes

BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [40.0, 40.0, 20.0]])
SPEED_KM_S = 5.0


def stations(n: int, rng: np.random.Generator) -> Stations:
    """At the surface."""
    return Stations(tuple(f"S{i}" for i in range(n)), np.column_stack([rng.uniform(0, 40, (n, 2)), np.zeros(n)]))


def homogeneous(where: Stations) -> HomogeneousTravelTimes:
    return HomogeneousTravelTimes(where.positions_km, {P: SPEED_KM_S}, BOUNDS_KM)


def table(where: Stations, spacing_km: float = 2.0) -> TableTravelTimes:
    """Trilinear between nodes: the exact times of this medium are the interpolated ones."""
    axes = [np.arange(0, high + 1e-9, spacing_km) for high in BOUNDS_KM[1]]
    nodes_km = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    away_km = np.linalg.norm(nodes_km[None] - where.positions_km[:, None, None, None], axis=-1)
    return TableTravelTimes({P: (away_km / SPEED_KM_S).astype(np.float32)}, spacing_km)


def scene(
    n_events: int,
    n_stations: int,
    seed: int,
    travel_times: TravelTimes | None = None,
    span_s: float = 1.0,
    noise_s: float = 0.0,
    p_missing: float = 0.0,
    n_spurious: int = 0,
    start_s: float = -100.0,
    tell_events: bool = True,
) -> tuple[Problem, Events, np.ndarray]:
    """A problem, its events and the event of each pick; picks are in no order."""
    rng = np.random.default_rng(seed)
    where = stations(n_stations, rng)
    provider = table(where) if travel_times is None else travel_times
    events = Events(rng.uniform(BOUNDS_KM[0], BOUNDS_KM[1], (n_events, 3)), start_s + rng.uniform(0, span_s, n_events))
    import torch

    channels = np.column_stack([np.arange(n_stations), np.zeros(n_stations, int)])
    arrivals_s = provider.times(torch.from_numpy(events.positions_km), channels).numpy() + events.times_s[:, None]
    event, station = np.indices(arrivals_s.shape)
    kept = rng.random(arrivals_s.shape) >= p_missing
    time_s = np.concatenate([arrivals_s[kept], rng.uniform(arrivals_s.min(), arrivals_s.max(), n_spurious)])
    time_s = time_s + noise_s * rng.standard_normal(len(time_s))
    stations_of = np.concatenate([station[kept], rng.integers(0, n_stations, n_spurious)])
    event_of = np.concatenate([event[kept], np.full(n_spurious, -1)])
    order = rng.permutation(len(time_s))
    picks = Picks(stations_of[order], np.zeros(len(order), np.int64), time_s[order])
    complete = p_missing == 0.0 and n_spurious == 0
    problem = Problem(
        where, picks, provider, n_events if tell_events else None,
        pick_noise_s=max(noise_s, 1e-3), may_be_incomplete=not complete,
    )  # fmt: skip
    return problem, events, event_of[order]
