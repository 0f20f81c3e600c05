"""How first-arrival times change with the wave speed: what a travel-time tomography needs.

A small change ds of the slowness s changes the times by dT with grad T . grad dT = s ds (the eikonal equation,
linearised). Times are known, so dT follows node by node in order of time, each from its upwind neighbours: for all
directions of change at once this costs as much as the times themselves. First order; exact, by construction, where the
speed changes by the same factor everywhere. No rays are traced.
"""

import numpy as np
import numpy.typing as npt

from datamodules.simulate.eikonal_reference import compiled

SOURCE_SPACINGS = 1.8
"""Nodes nearer to the source than this are reached straight."""


def travel_time_derivatives(
    times_s: npt.NDArray[np.floating],
    wave_speed_km_s: npt.NDArray[np.floating],
    changes_km_s: npt.NDArray[np.floating],
    spacing_km: float,
    sources_km: npt.ArrayLike,
    origin_km: npt.ArrayLike = (0.0, 0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Derivatives of travel times by the sizes of some changes of the wave speed.

    Args:
        times_s: `(source, nx, ny, nz)`, as `eikonal.travel_times` gives them.
        wave_speed_km_s: `(nx, ny, nz)`, of these times.
        changes_km_s: `(nx, ny, nz, change)`: the speed is the above plus a sum of these, each times a small number.
        spacing_km: Distance of neighbouring nodes.
        sources_km: `(source, 3)`.
        origin_km: Position of the first node.

    Returns:
        `(source, nx, ny, nz, change)`, seconds for a change's full size.
    """
    shape = wave_speed_km_s.shape
    speed = np.asarray(wave_speed_km_s, np.float64)[..., None]
    relative = np.ascontiguousarray((-np.asarray(changes_km_s) / speed).astype(np.float32)).reshape(speed.size, -1)
    places = (np.atleast_2d(np.asarray(sources_km, np.float64)) - np.asarray(origin_km)) / spacing_km
    derivatives = np.zeros((len(places), speed.size, relative.shape[1]), np.float32)
    for found, times, place in zip(derivatives, times_s, places, strict=True):
        flat = np.ascontiguousarray(times, dtype=np.float64).ravel()
        _carry_downwind(flat, np.argsort(flat, kind="stable"), relative, place, np.array(shape), found)
    return derivatives.reshape(len(places), *shape, -1)


def _downwind(
    times: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    relative: npt.NDArray[np.float32],
    source: npt.NDArray[np.float64],
    shape: npt.NDArray[np.int64],
    found: npt.NDArray[np.float32],
) -> None:
    """Fills `found (node, change)`; `relative` is ds / s; distances in spacings."""
    n_changes = relative.shape[1]
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    node, upwind, slope = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3)
    for i in order:
        node[0], node[1], node[2] = i // strides[0], (i // strides[1]) % shape[1], i % shape[2]
        away, total, squares = 0.0, 0.0, 0.0
        for a in range(3):
            away += (node[a] - source[a]) ** 2
            upwind[a], slope[a] = i, 0.0
            for side in (-1, 1):
                if 0 <= node[a] + side < shape[a]:
                    j = i + side * strides[a]
                    if times[i] - times[j] > slope[a]:
                        upwind[a], slope[a] = j, times[i] - times[j]
            total += slope[a]
            squares += slope[a] ** 2
        if squares == 0.0 or away < SOURCE_SPACINGS**2:
            for k in range(n_changes):
                found[i, k] = times[i] * relative[i, k]
            continue
        for k in range(n_changes):
            carried, between = 0.0, 0.0
            for a in range(3):
                carried += slope[a] * found[upwind[a], k]
                between += slope[a] ** 2 * relative[upwind[a], k]
            found[i, k] = (carried + 0.5 * (squares * relative[i, k] + between)) / total


_carry_downwind = compiled(_downwind)
