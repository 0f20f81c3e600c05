"""Travel times from tables on a regular grid, one table a station and phase, as the eikonal solver makes them.

Between nodes times are trilinear. The `factored` interpolation is for grids that are coarse beside the times' cusp at
the station: it interpolates T / |x - r|, the mean slowness along the way, which has no cusp, and multiplies.
"""

from collections.abc import Mapping
from typing import Literal

import numba
import numpy as np

from experiments.association.travel_times.closed_form import ClosedFormTravelTimes, rows_of_channels
from experiments.association.travel_times.provider import P, S
from experiments.association.travel_times.trilinear import interpolate

Interpolation = Literal["trilinear", "factored"]


class TableTravelTimes(ClosedFormTravelTimes):
    """Travel times interpolated in tables.

    Args:
        table_s: For each phase (0 P, 1 S) times `(station, nx, ny, nz)`, seconds; float32 is kept as such.
        spacing_km: Distance of nodes, one or three numbers.
        origin_km: `(3,)`, the first node.
        station_positions_km: `(station, 3)`; needed by the factored interpolation only.
        error_s: Standard error of the times, seconds.
        interpolation: `trilinear`, or `factored`, see the module.
        vp_vs: Ratio of S to P times, where there is no table for S; None for P alone.

    Raises:
        ValueError: When the tables' shapes differ or have fewer than 2 nodes a side, or when a time is not finite.
    """

    def __init__(
        self,
        table_s: Mapping[int, np.ndarray],
        spacing_km: float | np.ndarray,
        origin_km: np.ndarray | tuple[float, float, float] = (0.0, 0.0, 0.0),
        station_positions_km: np.ndarray | None = None,
        error_s: float = 0.0,
        interpolation: Interpolation = "trilinear",
        vp_vs: float | None = None,
    ) -> None:
        if vp_vs is not None and S not in table_s:
            table_s = {P: table_s[P], S: table_s[P] * np.asarray(vp_vs, table_s[P].dtype)}
        self.phases = tuple(sorted(table_s))
        shapes = {table_s[phase].shape for phase in self.phases}
        if len(shapes) != 1 or len(shape := shapes.pop()) != 4 or min(shape[1:]) < 2:
            raise ValueError(
                f"Travel-time tables are (station, nx, ny, nz) of one shape, 2 nodes a side; got {shapes}."
            )
        self.n_stations = shape[0]
        self.error_s = error_s
        self._origin_km = np.asarray(origin_km, np.float64)
        self._spacing_km = np.broadcast_to(np.asarray(spacing_km, np.float64), (3,)).copy()
        self.bounds_km = np.stack([self._origin_km, self._origin_km + self._spacing_km * (np.array(shape[1:]) - 1)])
        stacked = np.concatenate([table_s[phase] for phase in self.phases])
        if not np.isfinite(stacked).all():
            raise ValueError("A travel-time table holds times that are not finite; every node needs a time in seconds.")
        self._stations_km: np.ndarray | None = None
        if interpolation == "factored":
            if station_positions_km is None:
                raise ValueError("The factored interpolation of a table needs the positions of its stations.")
            self._stations_km = np.tile(np.asarray(station_positions_km, np.float64), (len(self.phases), 1))
            stacked = self._mean_slowness(stacked, self._stations_km)
        kept = np.float32 if stacked.dtype == np.float32 else np.float64
        self._table = np.ascontiguousarray(np.moveaxis(stacked, 0, -1).astype(kept, copy=False))

    def _mean_slowness(self, times_s: np.ndarray, stations_km: np.ndarray) -> np.ndarray:
        axes = [self._origin_km[a] + self._spacing_km[a] * np.arange(times_s.shape[a + 1]) for a in range(3)]
        nodes_km = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        slowness = np.empty(times_s.shape)
        for time_s, station_km, out in zip(times_s, stations_km, slowness, strict=True):
            distance_km = np.linalg.norm(nodes_km - station_km, axis=-1)
            at_station = distance_km < 1e-3 * self._spacing_km.min()
            out[:] = time_s / np.where(at_station, 1.0, distance_km)
            for node in np.argwhere(at_station):
                near = np.clip(node + np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)]), 0, None)
                near = near[(near < times_s.shape[1:]).all(axis=1) & (near != node).any(axis=1)]
                out[tuple(node)] = np.mean([out[tuple(other)] for other in near])
        return slowness

    def _fill(self, points: np.ndarray, rows: np.ndarray, values: np.ndarray, gradients: np.ndarray) -> None:
        interpolate(self._table, rows, points, self._origin_km, self._spacing_km, values, gradients)
        if self._stations_km is not None:
            _times_distance(points, self._stations_km[rows], self.bounds_km, values, gradients)

    def node_table(self, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """What `times` interpolates, for solvers with an interpolation of their own.

        Args:
            channels: `(channel, 2)` int.

        Returns:
            Times `(nx, ny, nz, channel)` in s, spacing `(3,)` and origin `(3,)` in km, and None; or, when factored,
            mean slownesses in s/km, spacing and origin, and the channels' stations `(channel, 3)`, whose distance is
            to be multiplied with what is interpolated.
        """
        rows = rows_of_channels(channels, self.phases, self.n_stations)
        stations_km = None if self._stations_km is None else self._stations_km[rows]
        return np.ascontiguousarray(self._table[..., rows]), self._spacing_km, self._origin_km, stations_km


@numba.njit(nogil=True, cache=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _times_distance(
    points: np.ndarray, stations: np.ndarray, bounds: np.ndarray, values: np.ndarray, gradients: np.ndarray
) -> None:
    """Turns mean slownesses and their gradients into times and theirs, in place."""
    wants_gradients = len(gradients) > 0
    away = np.empty(3)
    for p in range(len(points)):
        for c in range(len(stations)):
            for a in range(3):
                away[a] = min(max(points[p, a], bounds[0, a]), bounds[1, a]) - stations[c, a]
            distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
            if wants_gradients:
                for a in range(3):
                    inside = bounds[0, a] <= points[p, a] <= bounds[1, a]
                    direction = away[a] / distance if inside and distance > 0.0 else 0.0
                    gradients[p, c, a] = distance * gradients[p, c, a] + direction * values[p, c]
            values[p, c] *= distance
