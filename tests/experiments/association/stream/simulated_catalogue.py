"""A small network and a stream of picks with the truth beside, for the tests of catalogues."""

from typing import NamedTuple

import numpy as np

from experiments.association.problem import Picks, Stations
from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes

SPEEDS_KM_S = {0: 6.0, 1: 3.4}


class Simulated(NamedTuple):
    """Picks in order of time and their truth."""

    stations: Stations
    travel_times: HomogeneousTravelTimes
    picks: Picks
    event_of_pick: np.ndarray
    positions_km: np.ndarray
    times_s: np.ndarray


def simulated(
    n_events=30, duration_s=3000.0, seed=0, noise_s=0.03, missing=0.1, spurious=0.1, corrections_s=None, n_stations=16
):
    rng = np.random.default_rng(seed)
    side = np.linspace(0.0, 60.0, 4)
    where = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)[:n_stations] + rng.uniform(-4, 4, (n_stations, 2))
    stations_km = np.c_[where, rng.uniform(-1.0, 0.0, n_stations)]
    positions_km = np.c_[rng.uniform(5, 55, (n_events, 2)), rng.uniform(3, 15, n_events)]
    times_s = np.sort(rng.uniform(0.0, duration_s, n_events))
    distance_km = np.linalg.norm(positions_km[:, None] - stations_km[None], axis=-1)
    rows = []
    for phase, speed in SPEEDS_KM_S.items():
        arrival = times_s[:, None] + distance_km / speed + rng.normal(0, noise_s * (1 + phase / 2), distance_km.shape)
        if corrections_s is not None:
            arrival = arrival + corrections_s[:, phase]
        event, station = np.nonzero(rng.random(arrival.shape) >= missing)
        rows.append(np.c_[arrival[event, station], station, np.full(len(event), phase), event])
    n_spurious = round(spurious * sum(map(len, rows)))
    rows.append(
        np.c_[
            rng.uniform(0, duration_s, n_spurious), rng.integers(0, n_stations, n_spurious),
            rng.integers(0, 2, n_spurious), np.full(n_spurious, -1),
        ]
    )  # fmt: skip
    table = np.concatenate(rows)
    table = table[np.argsort(table[:, 0])]
    picks = Picks(table[:, 1].astype(int), table[:, 2].astype(int), table[:, 0].copy())
    bounds_km = np.array([[-10.0, -10.0, 0.0], [70.0, 70.0, 25.0]])
    return Simulated(
        Stations(tuple(f"S{j:02d}" for j in range(n_stations)), stations_km),
        HomogeneousTravelTimes(stations_km, SPEEDS_KM_S, bounds_km),
        picks, table[:, 3].astype(int), positions_km, times_s,
    )  # fmt: skip


def blocks_of(picks, n):
    """The picks in blocks of n."""
    return [Picks(picks.station[i : i + n], picks.phase[i : i + n], picks.time_s[i : i + n])
            for i in range(0, len(picks), n)]  # fmt: skip
