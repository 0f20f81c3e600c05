"""Travel times between the nodes of a table, accurate at the stations' cusps too.

What is interpolated (trilinear) is not T but the mean slowness T / |x - r|, which has no cusp at the station r: for a
random-field speed on 32^3 nodes this makes .0013 s of error instead of .004 s, and .01 s instead of .1 s at worst.
"""

import numpy as np
import numpy.typing as npt

from datamodules.simulate.eikonal_reference import compiled

FloatArray = npt.NDArray[np.float64]


class InterpolatedTimes:
    """Travel times of any points in a grid to all stations.

    Args:
        times_s: `(station, nx, ny, nz)` seconds.
        spacing_km: Distance of neighbouring nodes.
        stations_km: `(station, 3)`.
        origin_km: `(3,)`, position of the first node.
    """

    def __init__(
        self,
        times_s: npt.NDArray[np.floating],
        spacing_km: float,
        stations_km: npt.ArrayLike,
        origin_km: npt.ArrayLike = (0.0, 0.0, 0.0),
    ) -> None:
        self.spacing_km = float(spacing_km)
        self.stations_km = np.ascontiguousarray(stations_km, dtype=np.float64)
        self.origin_km = np.ascontiguousarray(origin_km, dtype=np.float64)
        self._mean_slowness = np.empty((*times_s.shape[1:], len(self.stations_km)), np.float32)
        axes = [self.origin_km[a] + self.spacing_km * np.arange(n) for a, n in enumerate(times_s.shape[1:])]
        for i, station in enumerate(self.stations_km):
            x, y, z = (axis - s for axis, s in zip(axes, station, strict=True))
            distance = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)
            at_station = distance < 1e-6 * self.spacing_km
            distance[at_station] = np.inf
            slowness = times_s[i] / distance
            if at_station.any():  # there the mean is that of the nodes next to it
                node = np.argwhere(at_station)[0]
                around = slowness[tuple(slice(max(n - 1, 0), n + 2) for n in node)]
                slowness[tuple(node)] = around.sum() / np.count_nonzero(around)
            self._mean_slowness[..., i] = slowness

    def __call__(self, points_km: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Travel times.

        Args:
            points_km: `(n, 3)`; points outside the grid are taken at the nearest face.

        Returns:
            `(n, station)` seconds.
        """
        points = np.ascontiguousarray(points_km, dtype=np.float64)
        return _interpolate(self._mean_slowness, points, self.origin_km, self.spacing_km, self.stations_km)


@compiled
def _interpolate(
    table: npt.NDArray[np.float32], points: FloatArray, origin: FloatArray, spacing: float, stations: FloatArray
) -> FloatArray:
    n_stations = table.shape[3]
    times = np.zeros((len(points), n_stations))
    node, share, place = np.zeros(3, np.int64), np.zeros(3), np.zeros(3)
    for p in range(len(points)):
        for a in range(3):
            last = table.shape[a] - 1
            position = min(max((points[p, a] - origin[a]) / spacing, 0.0), float(last))
            node[a] = min(int(position), max(last - 1, 0))
            share[a] = position - node[a]
            place[a] = origin[a] + position * spacing
        for corner in range(8):
            a, b, c = corner & 1, (corner >> 1) & 1, corner >> 2
            weight = abs(1 - a - share[0]) * abs(1 - b - share[1]) * abs(1 - c - share[2])
            if weight > 0.0:
                row = table[node[0] + a, node[1] + b, node[2] + c]
                for i in range(n_stations):
                    times[p, i] += weight * row[i]
        for i in range(n_stations):
            dx, dy, dz = place[0] - stations[i, 0], place[1] - stations[i, 1], place[2] - stations[i, 2]
            times[p, i] *= np.sqrt(dx * dx + dy * dy + dz * dz)
    return times
