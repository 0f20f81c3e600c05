"""The compiled parts of a Langevin step that touch every unknown of every chain: gradient, preconditioner and move."""

from typing import Any

import numba
import numpy as np

_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}
SMALLEST_ROOT = 1e-8
"""Added to the root of the mean square, as RMSProp has it."""


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def gradient_by_events(
    by_arrival: np.ndarray, by_position: np.ndarray, length: float, time: float, gradient: np.ndarray
) -> None:
    """Gradient of a chain's misfit by (x, y, z, origin time) of its events.

    Args:
        by_arrival: `(chain, channel, event)`.
        by_position: `(chain, event, channel, 3)`, s/km.
        length: Factor on derivatives by position: their unit over the number of channels and the misfit's unit.
        time: The same for those by origin time.
        gradient: `(chain, 4 events or more)`, whose first columns are filled.
    """
    chains, channels, events = by_arrival.shape
    for b in range(chains):
        for e in range(events):
            x = y = z = t = 0.0
            for c in range(channels):
                weight = by_arrival[b, c, e]
                x += weight * by_position[b, e, c, 0]
                y += weight * by_position[b, e, c, 1]
                z += weight * by_position[b, e, c, 2]
                t += weight
            gradient[b, 4 * e] = length * x
            gradient[b, 4 * e + 1] = length * y
            gradient[b, 4 * e + 2] = length * z
            gradient[b, 4 * e + 3] = time * t


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def move(
    unknowns: np.ndarray,
    gradient: np.ndarray,
    mean_square: np.ndarray,
    smoothing: float,
    rate: np.ndarray,
    noise: np.ndarray,
    normal: np.ndarray,
    moving: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
) -> None:
    """Step of Eq. 12, theta - eta G dW + sqrt(2 eta G) epsilon xi, within bounds and in place.

    Args:
        unknowns: `(chain, unknown)`.
        gradient: `(chain, unknown)`.
        mean_square: `(chain, unknown)`, RMSProp's running mean, updated; `(0, 0)` for G = 1.
        smoothing: RMSProp's alpha.
        rate: `(chain,)`, eta.
        noise: `(chain,)`, epsilon.
        normal: `(chain, unknown)`, xi; `(0, 0)` for none.
        moving: `(unknown,)` bool, those that move.
        lowest: `(unknown,)`.
        highest: `(unknown,)`.
    """
    chains, n = unknowns.shape
    preconditioned, noisy = len(mean_square) > 0, len(normal) > 0
    for b in range(chains):
        for k in range(n):
            slope = gradient[b, k]
            g = 1.0
            if preconditioned:
                mean_square[b, k] = smoothing * mean_square[b, k] + (1.0 - smoothing) * slope * slope
                g = 1.0 / (np.sqrt(mean_square[b, k]) + SMALLEST_ROOT)
            if moving[k]:
                value = unknowns[b, k] - rate[b] * g * slope
                if noisy:
                    value += np.sqrt(2.0 * rate[b] * g) * noise[b] * normal[b, k]
                unknowns[b, k] = min(max(value, lowest[k]), highest[k])
