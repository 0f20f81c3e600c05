"""The compiled inner loop of a table of travel times: trilinear values and derivatives of many points at once.

All solvers spend most of their time here. The table is laid out with the channels last, so that the eight corners of a
point's cell are eight contiguous rows, and a processor works on several channels at once.
"""

from typing import Any

import numba
import numpy as np

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "reassoc"},
}


def _cell_of_point(x: float, first: float, spacing: float, n: int) -> tuple[int, float, float]:
    """Cell, fraction in it, and the derivative of the fraction (0 outside, where the nearest face stands in)."""
    u = (x - first) / spacing
    slope = 1.0 / spacing
    if not u >= 0.0:
        return 0, 0.0, 0.0
    if u > n - 1:
        return n - 2, 1.0, 0.0
    cell = min(int(u), n - 2)
    return cell, u - cell, slope


_cell = numba.njit(inline="always", **_OPTIONS)(_cell_of_point)


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def interpolate(
    table: np.ndarray,
    rows: np.ndarray,
    points: np.ndarray,
    origin: np.ndarray,
    spacing: np.ndarray,
    values: np.ndarray,
    gradients: np.ndarray,
) -> None:
    """Trilinear interpolation of the chosen channels of a table.

    Args:
        table: `(nx, ny, nz, channel)`.
        rows: `(n,)`, channels wanted; empty for all of them.
        points: `(point, 3)`, km.
        origin: `(3,)`, first node, km.
        spacing: `(3,)`, km.
        values: `(point, n)`, filled.
        gradients: `(point, n, 3)`, filled; `(0, 0, 0)` when not wanted.
    """
    nx, ny, nz, n_all = table.shape
    everything = len(rows) == 0
    n = n_all if everything else len(rows)
    wants_gradients = len(gradients) > 0
    for p in range(len(points)):
        i, fx, sx = _cell(points[p, 0], origin[0], spacing[0], nx)
        j, fy, sy = _cell(points[p, 1], origin[1], spacing[1], ny)
        k, fz, sz = _cell(points[p, 2], origin[2], spacing[2], nz)
        t000, t001 = table[i, j, k], table[i, j, k + 1]
        t010, t011 = table[i, j + 1, k], table[i, j + 1, k + 1]
        t100, t101 = table[i + 1, j, k], table[i + 1, j, k + 1]
        t110, t111 = table[i + 1, j + 1, k], table[i + 1, j + 1, k + 1]
        for m in range(n):
            c = m if everything else rows[m]
            a00, b00 = np.float64(t000[c]), np.float64(t001[c])
            a01, b01 = np.float64(t010[c]), np.float64(t011[c])
            a10, b10 = np.float64(t100[c]), np.float64(t101[c])
            a11, b11 = np.float64(t110[c]), np.float64(t111[c])
            c00 = a00 + fz * (b00 - a00)
            c01 = a01 + fz * (b01 - a01)
            c10 = a10 + fz * (b10 - a10)
            c11 = a11 + fz * (b11 - a11)
            c0 = c00 + fy * (c01 - c00)
            c1 = c10 + fy * (c11 - c10)
            values[p, m] = c0 + fx * (c1 - c0)
            if wants_gradients:
                dy0, dy1 = c01 - c00, c11 - c10
                dz0 = (b00 - a00) + fy * ((b01 - a01) - (b00 - a00))
                dz1 = (b10 - a10) + fy * ((b11 - a11) - (b10 - a10))
                gradients[p, m, 0] = sx * (c1 - c0)
                gradients[p, m, 1] = sy * (dy0 + fx * (dy1 - dy0))
                gradients[p, m, 2] = sz * (dz0 + fx * (dz1 - dz0))
