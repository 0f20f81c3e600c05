"""Compiled interpolation in tables over epicentral distance and depth, for media that change with depth only.

What is tabulated is the mean slowness along the way, T / R with R the straight distance: it is smooth where T has its
cusp, at the station. Between nodes it is bicubic (Catmull-Rom), so that its derivatives are continuous. Past the
table's edges a node is made up: mirrored at distance 0, along a straight line elsewhere.
"""

import numba
import numpy as np


@numba.njit(inline="always", cache=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def _weights(f: float, weight: np.ndarray, slope: np.ndarray) -> None:
    """Catmull-Rom weights of four nodes at fraction f between the inner two, and their derivatives."""
    weight[0] = f * (-0.5 + f * (1.0 - 0.5 * f))
    weight[1] = 1.0 + f * f * (-2.5 + 1.5 * f)
    weight[2] = f * (0.5 + f * (2.0 - 1.5 * f))
    weight[3] = f * f * (-0.5 + 0.5 * f)
    slope[0] = -0.5 + f * (2.0 - 1.5 * f)
    slope[1] = f * (-5.0 + 4.5 * f)
    slope[2] = 0.5 + f * (4.0 - 4.5 * f)
    slope[3] = f * (-1.0 + 1.5 * f)


@numba.njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator, unused-ignore]
def radial_times(
    tables: np.ndarray,
    table_of_row: np.ndarray,
    stations: np.ndarray,
    points: np.ndarray,
    bounds: np.ndarray,
    distance_step: float,
    depth_step: float,
    first_depth: float,
    values: np.ndarray,
    gradients: np.ndarray,
) -> None:
    """Times and their derivatives.

    Args:
        tables: `(table, distance + 2, depth + 2)`, mean slowness, s/km, with a made-up node at every end.
        table_of_row: `(row,)` int.
        stations: `(row, 3)`, km.
        points: `(point, 3)`, km.
        bounds: `(2, 3)`; outside, the nearest face stands in.
        distance_step: km.
        depth_step: km.
        first_depth: Depth of the first node, km.
        values: `(point, row)`, filled.
        gradients: `(point, row, 3)`, filled; `(0, 0, 0)` when not wanted.
    """
    n_distance, n_depth = tables.shape[1] - 2, tables.shape[2] - 2
    by_distance, by_distance_slope = np.empty(4), np.empty(4)
    by_depth, by_depth_slope = np.empty(4), np.empty(4)
    wants_gradients = len(gradients) > 0
    for p in range(len(points)):
        x = min(max(points[p, 0], bounds[0, 0]), bounds[1, 0])
        y = min(max(points[p, 1], bounds[0, 1]), bounds[1, 1])
        z = min(max(points[p, 2], bounds[0, 2]), bounds[1, 2])
        v = (z - first_depth) / depth_step
        j = min(max(int(v), 0), n_depth - 2)
        _weights(v - j, by_depth, by_depth_slope)
        for row in range(len(table_of_row)):
            east, north, down = x - stations[row, 0], y - stations[row, 1], z - stations[row, 2]
            epicentral = np.sqrt(east * east + north * north)
            straight = np.sqrt(epicentral * epicentral + down * down)
            u = epicentral / distance_step
            i = min(int(u), n_distance - 2)
            _weights(u - i, by_distance, by_distance_slope)
            table = tables[table_of_row[row]]
            slowness = along = below = 0.0
            for a in range(4):
                inner = inner_slope = 0.0
                for b in range(4):
                    node = table[i + a, j + b]
                    inner += by_depth[b] * node
                    inner_slope += by_depth_slope[b] * node
                slowness += by_distance[a] * inner
                along += by_distance_slope[a] * inner
                below += by_distance[a] * inner_slope
            values[p, row] = straight * slowness
            if wants_gradients:
                # dT = s dR + R ds
                per_straight = slowness / straight if straight > 0.0 else 0.0
                per_epicentral = straight * along / distance_step / epicentral if epicentral > 0.0 else 0.0
                in_x = bounds[0, 0] <= points[p, 0] <= bounds[1, 0]
                in_y = bounds[0, 1] <= points[p, 1] <= bounds[1, 1]
                in_z = bounds[0, 2] <= points[p, 2] <= bounds[1, 2]
                gradients[p, row, 0] = east * (per_straight + per_epicentral) if in_x else 0.0
                gradients[p, row, 1] = north * (per_straight + per_epicentral) if in_y else 0.0
                gradients[p, row, 2] = down * per_straight + straight * below / depth_step if in_z else 0.0
