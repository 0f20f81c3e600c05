"""Travel times in a medium that changes with depth only, as most networks know theirs.

First arrivals depend on epicentral distance and depth alone, for a station at a given depth. They are computed once at
the nodes of such a table and interpolated (`radial.py`). Networks in mountains have as many depths as stations: then
tables are made at a few depths, a quarter of a kilometre apart, and a station's is the mean of its two neighbours'.
"""

from collections.abc import Mapping

import numpy as np

from datamodules.simulate.layered_travel_times import layered_travel_times
from experiments.association.travel_times.closed_form import ClosedFormTravelTimes
from experiments.association.travel_times.radial import radial_times

LEVEL_STEP_KM = 0.25


class LayeredTravelTimes(ClosedFormTravelTimes):
    """First arrivals in a depth-dependent medium.

    Args:
        station_positions_km: `(station, 3)`; a station above the model has the speed of its top over it.
        depths_km: `(node,)`, z of the model's nodes, not decreasing; a depth that stands twice is a jump.
        speeds_km_s: For each phase (0 P, 1 S) the speeds `(node,)`.
        bounds_km: `(2, 3)`, where sources may lie.
        error_s: Standard error of the times, seconds.
        n_distances: Nodes of the tables from distance 0 to the furthest corner.
        n_depths: Nodes of the tables from the upper to the lower bound.
    """

    def __init__(
        self,
        station_positions_km: np.ndarray,
        depths_km: np.ndarray,
        speeds_km_s: Mapping[int, np.ndarray],
        bounds_km: np.ndarray,
        error_s: float = 0.0,
        n_distances: int = 241,
        n_depths: int = 121,
    ) -> None:
        stations_km = np.asarray(station_positions_km, np.float64)
        self.phases = tuple(sorted(speeds_km_s))
        self.n_stations = len(stations_km)
        self.bounds_km = np.asarray(bounds_km, np.float64)
        self.error_s = error_s
        corners_km = np.array([[x, y] for x in self.bounds_km[:, 0] for y in self.bounds_km[:, 1]])
        furthest_km = float(np.linalg.norm(stations_km[:, None, :2] - corners_km, axis=-1).max())
        distances_km = np.linspace(0.0, furthest_km, n_distances)
        source_depths_km = np.linspace(self.bounds_km[0, 2], self.bounds_km[1, 2], n_depths)
        self._steps_km = float(distances_km[1]), float(source_depths_km[1] - source_depths_km[0])

        levels_km = _levels(stations_km[:, 2])
        tables: list[np.ndarray] = []
        for phase in self.phases:
            profile = np.asarray(depths_km, np.float64), np.asarray(speeds_km_s[phase], np.float64)
            times_s = [layered_travel_times(*profile, level, distances_km, source_depths_km) for level in levels_km]
            slowness = [
                _with_ends(_mean_slowness(times, distances_km, source_depths_km - level))
                for times, level in zip(times_s, levels_km, strict=True)
            ]
            tables.extend(_between(slowness, levels_km, depth_km) for depth_km in np.unique(stations_km[:, 2]))
        self._tables = np.stack(tables)
        distinct_km, table_of_station = np.unique(stations_km[:, 2], return_inverse=True)
        blocks = [table_of_station + len(distinct_km) * k for k in range(len(self.phases))]
        self._table_of_row = np.concatenate(blocks).astype(np.int64)
        self._stations_km = np.tile(stations_km, (len(self.phases), 1))

    def _fill(self, points: np.ndarray, rows: np.ndarray, values: np.ndarray, gradients: np.ndarray) -> None:
        radial_times(
            self._tables,
            self._table_of_row[rows],
            self._stations_km[rows],
            points,
            self.bounds_km,
            *self._steps_km,
            float(self.bounds_km[0, 2]),
            values,
            gradients,
        )


def _levels(station_depths_km: np.ndarray) -> list[float]:
    """The depths at which tables are made: the stations' own where these are few."""
    distinct_km = np.unique(station_depths_km)
    n_levels = int(np.ceil(np.ptp(distinct_km) / LEVEL_STEP_KM)) + 1
    levels_km = distinct_km if len(distinct_km) <= n_levels else np.linspace(distinct_km[0], distinct_km[-1], n_levels)
    return [float(level) for level in levels_km]


def _between(tables: list[np.ndarray], levels_km: list[float], depth_km: float) -> np.ndarray:
    """The table at a depth among those of levels, linearly."""
    upper = min(int(np.searchsorted(levels_km, depth_km)), len(levels_km) - 1)
    lower = max(upper - 1, 0)
    if upper == lower:
        return tables[upper]
    share = (depth_km - levels_km[lower]) / (levels_km[upper] - levels_km[lower])
    between: np.ndarray = (1.0 - share) * tables[lower] + share * tables[upper]
    return between


def _mean_slowness(times_s: np.ndarray, distances_km: np.ndarray, below_km: np.ndarray) -> np.ndarray:
    """T / R; at the station itself, that of the nearest node, at less than a step."""
    straight_km = np.hypot(distances_km[:, None], below_km)
    at_station = straight_km < 1e-9
    slowness: np.ndarray = times_s / np.where(at_station, 1.0, straight_km)
    if at_station.any():
        j = int(np.flatnonzero(at_station[0])[0])
        slowness[0, j] = slowness[1, j]
    return slowness


def _with_ends(table: np.ndarray) -> np.ndarray:
    """The table with a node more at every end: mirrored at distance 0, else on a straight line."""
    far = 2 * table[-1:] - table[-2:-1]
    longer = np.concatenate([table[1:2], table, far])
    above, below = 2 * longer[:, :1] - longer[:, 1:2], 2 * longer[:, -1:] - longer[:, -2:-1]
    return np.concatenate([above, longer, below], axis=1)
