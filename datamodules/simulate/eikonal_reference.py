"""Travel times near a point source, and the closed form that the eikonal solver carries as a factor.

In a speed that grows linearly, c(x) = c0 + g . (x - s), rays are circles and the travel time is known,

    T0 = 2 / |g| asinh(u),     u = |g| r / (2 sqrt(c0 c(x))),     r = |x - s|

(e.g. Slotnick 1959), or r / c0 where g = 0. Any T0 of the right slowness at the source has the right cusp there, which
is what a grid cannot carry.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

LOWEST_SHARE = 0.2  # of the speed at the source: the linear speed stays above it in the whole grid
_GAUSS_LEGENDRE = np.polynomial.legendre.leggauss(8)
_ABSCISSAE, _WEIGHTS = (_GAUSS_LEGENDRE[0] + 1) / 2, _GAUSS_LEGENDRE[1] / 2

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}

FloatArray = npt.NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile, and keep what was compiled."""
    return cast(F, numba.njit(**_OPTIONS)(function))


def inlined(function: F) -> F:
    """Compile into the caller: a call would copy the headers of all arrays, which costs as much as the work."""
    return cast(F, numba.njit(forceinline=True, **_OPTIONS)(function))


class Source(NamedTuple):
    """A point source on a grid, in units of the grid's spacing and the first node's position.

    Attributes:
        position: `(3,)`, in spacings from the first node.
        speed: c0, km/s.
        gradient: `(3,)` g of the reference, km/s a spacing.
    """

    position: FloatArray
    speed: float
    gradient: FloatArray


@compiled
def speed_at(speed: FloatArray, x: float, y: float, z: float) -> float:
    """The speed between nodes, trilinear; positions in spacings, inside the grid."""
    i = min(max(int(x), 0), max(speed.shape[0] - 2, 0))
    j = min(max(int(y), 0), max(speed.shape[1] - 2, 0))
    k = min(max(int(z), 0), max(speed.shape[2] - 2, 0))
    total = 0.0
    for a in range(min(2, speed.shape[0])):
        for b in range(min(2, speed.shape[1])):
            for c in range(min(2, speed.shape[2])):
                weight = abs(1 - a - (x - i)) * abs(1 - b - (y - j)) * abs(1 - c - (z - k))
                total += weight * speed[i + a, j + b, k + c]
    return total


@compiled
def reference(
    dx: float, dy: float, dz: float, c0: float, gx: float, gy: float, gz: float
) -> tuple[float, float, float, float]:
    """T0 and its gradient at an offset from the source; the gradient is 0 at the source itself."""
    r = np.sqrt(dx * dx + dy * dy + dz * dz)
    if r == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    c = c0 + gx * dx + gy * dy + gz * dz
    g = np.sqrt(gx * gx + gy * gy + gz * gz)
    root = np.sqrt(c0 * c)
    u = 0.5 * g * r / root
    time = 2.0 * np.arcsinh(u) / g if g > 1e-9 * c0 else r / root
    shrink = 1.0 / (root * np.sqrt(1.0 + u * u))
    along, across = shrink / r, shrink * 0.5 * r / c
    return time, along * dx - across * gx, along * dy - across * gy, along * dz - across * gz


@compiled
def time_near(
    speed: FloatArray, sx: float, sy: float, sz: float, dx: float, dy: float, dz: float, c0: float, gradient: FloatArray
) -> float:
    """Travel time along the straight line through the speed, corrected by what straightness costs in the reference.

    A ray's time is stationary in its path, so that the error is of second order in what differs from the reference.
    """
    gx, gy, gz = gradient
    exact, _, _, _ = reference(dx, dy, dz, c0, gx, gy, gz)
    here, linear = 0.0, 0.0
    for q in range(_ABSCISSAE.size):
        share = _ABSCISSAE[q]
        x, y, z = share * dx, share * dy, share * dz
        here += _WEIGHTS[q] / speed_at(speed, sx + x, sy + y, sz + z)
        linear += _WEIGHTS[q] / (c0 + gx * x + gy * y + gz * z)
    return exact * here / linear
