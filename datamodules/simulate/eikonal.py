"""First-arrival travel times on a grid from sources anywhere in it (paper, Section 5.2, with better source treatment).

The paper uses scikit-fmm with sources snapped to nodes. By reciprocity stations are the sources here: one solution a
station holds the times from all points. `factored` (the default) is our own second-order fast marching of the factored
equation (`fast_marching`), `fmm` is scikit-fmm, order 2, outside a ball around the source that is timed directly.
Both take a source between nodes as it is.

Between nodes the speed is trilinear, and `refinement` solves on a grid finer by that factor and returns the given
nodes. Root mean square (and largest) errors in seconds, 32^3 nodes, six or eight stations off the grid, against
`factored` at a refinement of 6 (overthrust) or 4 (random fields); CPU seconds a station on a shared core:

| refinement | 1 | 2 | 3 | 4 |
|---|---|---|---|---|
| overthrust, factored | .048 (.28) | .013 (.10) | .006 (.05) | .003 (.03) |
| overthrust, fmm | .18 (.40) | .064 (.18) | | .022 (.06) |
| random fields, factored | .028 (.24) | .007 (.07) | | |
| CPU, factored | .011 | .11 | .46 | 1.4 |

Errors fall with the square of the spacing, and `fmm` approaches `factored` (.010 s between `fmm` at 6 and `factored` at
4), so that a truth at refinement 4 (125^3 nodes) is known to about .003 s. Third-order differences were tried and are
no better (a trilinear speed has kinks), nor is Richardson's extrapolation, which leaves the largest errors as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Literal

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datamodules.errors import DataError
from datamodules.simulate.eikonal_reference import LOWEST_SHARE, reference, speed_at, time_near
from datamodules.simulate.fast_marching import march

DEFAULT_REFINEMENT = 2
OUTSIDE_TOLERANCE = 0.01  # of a spacing: so far outside the grid a source is moved to the face
MOST_NODES = 60_000_000  # of a refined grid, at 90 bytes each

_REACH = 6  # spacings: the reference's gradient is fitted so far around the source,
_FIT_WIDTH = 3.0  # with Gaussian weights of this width
_BALL = 2.0  # spacings of the refined grid that are timed directly

FloatArray = npt.NDArray[np.float64]
SolverName = Literal["factored", "fmm"]


def travel_times(
    wave_speed_km_s: npt.NDArray[np.floating],
    spacing_km: float,
    sources_km: npt.ArrayLike,
    origin_km: npt.ArrayLike = (0.0, 0.0, 0.0),
    refinement: int = 1,
    workers: int = 1,
    progress: bool = False,
    solver: SolverName = "factored",
) -> npt.NDArray[np.float32]:
    """First-arrival times from each source to each node.

    Args:
        wave_speed_km_s: `(nx, ny, nz)`, positive; z down. An axis of one node makes the problem two-dimensional.
        spacing_km: Distance of neighbouring nodes.
        sources_km: `(source, 3)`, anywhere in the grid; up to 1 % of a spacing outside is moved to the face.
        origin_km: Position of the first node.
        refinement: How many times finer the grid is on which times are computed.
        workers: Sources solved at the same time: threads for `factored`, processes for `fmm`.
        progress: Show a progress bar.
        solver: `factored` or `fmm`.

    Returns:
        `(source, nx, ny, nz)` seconds.

    Raises:
        DataError: If the speed, the spacing or the refinement is unusable or a source is outside the grid.
    """
    speed = checked_speed(wave_speed_km_s, spacing_km, refinement)
    positions = _in_spacings(speed, spacing_km, sources_km, origin_km)
    fine = refined(speed, refinement)
    solve = _factored if solver == "factored" else _fmm
    times = np.empty((len(positions), *speed.shape), np.float32)
    jobs = [(fine, speed, position, refinement, spacing_km) for position in positions]
    bar = tqdm(total=len(jobs), desc="travel times", unit="source", disable=not progress)
    with bar:
        for i, found in enumerate(_in_parallel(solve, jobs, workers, threads=solver == "factored")):
            times[i] = found
            bar.update()
    return times


def error_s(wave_speed_km_s: npt.NDArray[np.floating], spacing_km: float, refinement: int = 1) -> float:
    """Root mean square error of the times that is to be expected, seconds, by Richardson's rule.

    A source in the middle of the top face is solved at this refinement and at half of it (or twice, for 1); errors
    fall with the square of the spacing.
    """
    nodes = np.array(np.shape(wave_speed_km_s)) - 1
    source = nodes * np.array([0.5, 0.5, 0.0]) * spacing_km
    other = 2 if refinement == 1 else refinement // 2
    here, there = (travel_times(wave_speed_km_s, spacing_km, source[None], refinement=r) for r in (refinement, other))
    return float(np.sqrt(np.mean((here - there) ** 2)) / abs((refinement / other) ** 2 - 1))


def checked_speed(speed: npt.NDArray[np.floating], spacing_km: float, refinement: int) -> FloatArray:
    """The wave speed as float64.

    Raises:
        DataError: If it is no three-dimensional grid of positive numbers, or spacing or refinement are unusable.
    """
    grid = np.ascontiguousarray(speed, dtype=np.float64)
    if grid.ndim != 3:
        raise DataError(f"the wave speed has the shape {grid.shape}: it must be a grid (nx, ny, nz).")
    if not grid.size or not np.isfinite(grid).all() or grid.min() <= 0:
        raise DataError("the wave speed must be finite and positive at every node, in km/s.")
    if not (np.isfinite(spacing_km) and spacing_km > 0):
        raise DataError(f"spacing_km is {spacing_km}: the distance of two nodes must be positive.")
    if refinement < 1:
        raise DataError(f"refinement is {refinement}: it must be a whole number of at least 1.")
    n_nodes = int(np.prod([(n - 1) * refinement + 1.0 for n in grid.shape]))
    if n_nodes > MOST_NODES:
        raise DataError(
            f"a grid of {grid.shape} nodes, refined {refinement} times, has {n_nodes / 1e6:.0f} million nodes and at "
            f"most {MOST_NODES // 10**6} are solved: lower the refinement or give a coarser wave speed."
        )
    return grid


def refined(speed: FloatArray, refinement: int) -> FloatArray:
    """The speed on a grid finer by a whole factor, trilinear between the nodes."""
    fine = speed
    for axis, n in enumerate(speed.shape if refinement > 1 else ()):
        if n == 1:
            continue
        place = np.arange((n - 1) * refinement + 1) / refinement
        left = np.minimum(place.astype(int), n - 2)
        share = (place - left).reshape([-1 if a == axis else 1 for a in range(3)])
        fine = np.take(fine, left, axis) * (1 - share) + np.take(fine, left + 1, axis) * share
    return np.ascontiguousarray(fine)


def _in_spacings(
    speed: FloatArray, spacing_km: float, sources_km: npt.ArrayLike, origin_km: npt.ArrayLike
) -> FloatArray:
    """Sources counted in spacings from the first node, moved to the face where they are just outside."""
    sources = np.asarray(sources_km, dtype=np.float64)
    if sources.ndim != 2 or sources.shape[1] != 3 or not np.isfinite(sources).all():
        raise DataError(f"sources_km has the shape {sources.shape}: it must hold finite positions (source, 3) in km.")
    origin = np.asarray(origin_km, dtype=np.float64)
    last = np.array(speed.shape) - 1
    position = (sources - origin) / spacing_km
    outside = ((position < -OUTSIDE_TOLERANCE) | (position > last + OUTSIDE_TOLERANCE)).any(axis=1)
    if outside.any():
        which = int(np.flatnonzero(outside)[0])
        low, high = (", ".join(f"{x:g}" for x in corner) for corner in (origin, origin + last * spacing_km))
        raise DataError(
            f"source {which} at ({', '.join(f'{x:g}' for x in sources[which])}) km is outside the grid, which reaches "
            f"from ({low}) to ({high}) km: move it, or give a larger grid."
        )
    return np.clip(position, 0.0, last)


def _in_parallel(
    solve: Callable[..., FloatArray], jobs: Sequence[tuple[object, ...]], workers: int, *, threads: bool
) -> Iterator[FloatArray]:
    """Results in order."""
    if workers <= 1 or len(jobs) <= 1:
        yield from (solve(*job) for job in jobs)
        return
    workers = min(workers, len(jobs))
    pool: Executor = (
        ThreadPoolExecutor(workers) if threads else ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    )
    with pool:
        yield from pool.map(solve, *zip(*jobs, strict=True))


def _reference_gradient(speed: FloatArray, position: FloatArray, c0: float) -> FloatArray:
    """Gradient (km/s a spacing) of the speed around the source, made gentler until it is positive in the whole grid."""
    last = np.array(speed.shape) - 1
    low = np.maximum(np.floor(position).astype(int) - _REACH, 0)
    high = np.minimum(np.ceil(position).astype(int) + _REACH, last) + 1
    offset = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1).reshape(-1, 3) - position
    excess = speed[tuple(map(slice, low, high))].reshape(-1) - c0
    weighted = offset * np.exp(-((offset / _FIT_WIDTH) ** 2).sum(axis=1) / 2)[:, None]
    gradient: FloatArray = np.linalg.lstsq(weighted.T @ offset, weighted.T @ excess, rcond=1e-9)[0]
    drop = -np.minimum(gradient * (0 - position), gradient * (last - position)).sum()
    return gradient * min(1.0, (1 - LOWEST_SHARE) * c0 / drop) if drop > 0 else gradient


def _factored(
    fine: FloatArray, speed: FloatArray, position: FloatArray, refinement: int, spacing_km: float
) -> FloatArray:
    c0 = speed_at(speed, *position)
    gradient = _reference_gradient(speed, position, c0) / refinement
    times = march(fine, position * refinement, c0, gradient, _BALL)
    return times[::refinement, ::refinement, ::refinement] * (spacing_km / refinement)


def _fmm(fine: FloatArray, speed: FloatArray, position: FloatArray, refinement: int, spacing_km: float) -> FloatArray:
    """scikit-fmm from an isochrone around the source; the times inside it are those along (almost) straight rays."""
    import skfmm

    c0 = speed_at(speed, *position)
    gradient = _reference_gradient(speed, position, c0) / refinement
    centre = position * refinement
    sx, sy, sz = centre.tolist()
    nodes = np.stack(np.meshgrid(*map(np.arange, fine.shape), indexing="ij"), axis=-1) - centre
    near = (nodes**2).sum(axis=-1) <= (2 * _BALL + 2) ** 2
    level = np.array([reference(node[0], node[1], node[2], c0, *gradient)[0] for node in nodes[near]])
    phi = np.full(fine.shape, level.max() * c0)
    phi[near] = level * c0
    phi -= _BALL
    start = _BALL / c0
    times = np.asarray(skfmm.travel_time(phi, fine, dx=1.0, order=2)) + start
    inside = phi < 0
    times[inside] = [time_near(fine, sx, sy, sz, x, y, z, c0, gradient) for x, y, z in nodes[inside].tolist()]
    return times[::refinement, ::refinement, ::refinement] * (spacing_km / refinement)
