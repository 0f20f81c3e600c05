"""OpenFWI's acoustic forward operator: velocity maps in, seismic gathers out.

The data set's own generator (Deng et al. 2022, OpenFWI, NeurIPS Datasets and Benchmarks, arXiv 2111.02926) solves
p_tt = v^2 lap(p) + source on a 10 m grid with a 1 ms step, second order in time and fourth in space, a 15 Hz Ricker
wavelet, five sources and 70 receivers in row 1, no free surface, and 120 cells of quadratic damping around the map.

The outer edge of the damped pad is periodic in the published data, and what wraps around is strong enough to be seen.
We keep it: an absorbing boundary is better physics, but several per cent away from the data the papers train on.
`wave_stencil.py` holds the compiled inner loop.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datamodules.simulate.wave_stencil import (
    FIRST_COLUMN,
    MAP_SIZE,
    PAD_CELLS,
    PADDED_SIZE,
    SHOT_COLUMNS,
    STORED_COLUMNS,
    SURFACE_ROW,
    block_windows,
    march_shots,
)

__all__ = [
    "GRID_SPACING_M",
    "HIGHEST_VELOCITY_M_S",
    "MAP_SIZE",
    "N_TIME_STEPS",
    "PEAK_FREQUENCY_HZ",
    "SHOT_COLUMNS",
    "SURFACE_ROW",
    "TIME_STEP_S",
    "fill_with_top_velocity",
    "ricker_wavelet",
    "simulate_gathers",
]

GRID_SPACING_M = 10.0
TIME_STEP_S = 1e-3
N_TIME_STEPS = 1000
PEAK_FREQUENCY_HZ = 15.0
LOWEST_VELOCITY_M_S = 100.0  # below this a map is in other units, and the grid has under one cell a wavelength
# Without damping the scheme is stable up to sqrt(3/8) dx/dt = 6124 m/s; the damped pad lowers that to 5934 m/s for a
# map that is as fast everywhere: (v dt/dx)^2 32/3 <= 4 - 2 k(v), with k the largest damping a step.
HIGHEST_VELOCITY_M_S = 5900.0

FloatArray = npt.NDArray[np.float32]


def ricker_wavelet() -> npt.NDArray[np.float64]:
    """Ricker wavelet of the sources, `(step,)`: (1 - 2 a^2) exp(-a^2), a = pi f t, its peak of 1 at sample 73."""
    half = int(2.2 / PEAK_FREQUENCY_HZ / TIME_STEP_S) // 2
    squared = (math.pi * PEAK_FREQUENCY_HZ * TIME_STEP_S * np.arange(-half, half + 1)) ** 2
    return np.asarray((1 - 2 * squared) * np.exp(-squared), dtype=np.float64)


def fill_with_top_velocity(velocity_m_s: npt.ArrayLike) -> FloatArray:
    """Replace each map by one without reflectors, whose gathers hold little but the direct wave.

    Args:
        velocity_m_s: Velocity maps `(n, 70, 70)` in m/s.

    Returns:
        Maps `(n, 70, 70)`, each filled with the mean of rows 0 and 1 of its own map.

    Raises:
        ValueError: If the maps have the wrong shape, are not finite, or are not in m/s.
    """
    velocity = _checked_maps(velocity_m_s)
    top = velocity[:, :2].mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(top[:, None, None], velocity.shape))


def simulate_gathers(velocity_m_s: npt.ArrayLike, *, workers: int = 1, progress: bool = False) -> FloatArray:
    """Simulate the five shot gathers of each velocity map with OpenFWI's forward operator.

    Parallel work is done by threads, which release the GIL, so it may be called from a notebook or an unguarded script.
    The result does not depend on `workers`. It takes 1.4 MB a map; call it in slices for thousands of maps.

    Args:
        velocity_m_s: Velocity maps `(n, 70, 70)` in m/s, rows downwards.
        workers: Number of threads, each on its own map.
        progress: Show a bar that counts maps.

    Returns:
        Pressure `(n, 5, 1000, 70)` as (map, shot, time, receiver), in OpenFWI's raw amplitude, sampled at 1 ms.

    Raises:
        ValueError: If the maps have the wrong shape, are not finite, or are not in m/s, or `workers` is below 1.
    """
    velocity = _checked_maps(velocity_m_s)
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, found {workers}.")
    gathers = np.empty((len(velocity), len(SHOT_COLUMNS), N_TIME_STEPS, MAP_SIZE), np.float32)
    with tqdm(total=len(velocity), desc="simulating gathers", unit="map", disable=not progress) as bar:
        for _ in _simulated_in_turn(velocity, gathers, workers):
            bar.update()
    return gathers


def _simulated_in_turn(velocity: FloatArray, gathers: FloatArray, workers: int) -> Iterator[None]:
    if workers == 1 or len(velocity) < 2:
        yield from map(_simulate_map, velocity, gathers)
        return
    _simulate_map(velocity[0], gathers[0, :, :1])  # compiles, or loads what is cached, before the threads ask for it
    pool = ThreadPoolExecutor(min(workers, len(velocity)))
    try:
        yield from pool.map(_simulate_map, velocity, gathers)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, do not first work through everything that is still queued


def _simulate_map(velocity: FloatArray, gathers: FloatArray) -> None:
    """Simulate one map `(70, 70)` into `gathers` `(shot, step, receiver)`, whose shape sets the number of steps."""
    speed = velocity.astype(np.float64)
    courant = speed * (TIME_STEP_S / GRID_SPACING_M)
    first, last = block_windows(courant, gathers.shape[1])
    grid = slice(FIRST_COLUMN, FIRST_COLUMN + PADDED_SIZE)
    middle = slice(FIRST_COLUMN + PAD_CELLS, FIRST_COLUMN + PAD_CELLS + MAP_SIZE)

    alpha_12 = np.zeros((MAP_SIZE, STORED_COLUMNS), np.float32)
    alpha_12[:, grid] = np.pad(courant**2 / 12, ((0, 0), (PAD_CELLS, PAD_CELLS)), mode="edge")
    keep_rows = 1 - _damping_per_step(float(speed.min()))
    keep = np.full(STORED_COLUMNS, -1.0, np.float32)
    keep[grid] = keep_rows
    keep[middle] = 0
    keep_middle = np.zeros(STORED_COLUMNS, np.float32)
    keep_middle[middle] = 1

    columns = np.array(SHOT_COLUMNS)
    gain = (speed[SURFACE_ROW, columns] * TIME_STEP_S) ** 2
    source_steps = gain[:, None] * ricker_wavelet()
    march_shots(
        alpha_12,
        keep,
        keep_middle,
        keep_rows.astype(np.float32),
        middle.start + columns,
        source_steps.astype(np.float32),
        first,
        last,
        gathers,
    )


def _damping_per_step(lowest_velocity_m_s: float) -> npt.NDArray[np.float64]:
    """Damping a step along one side of the padded grid, `(310,)`: quadratic in the pads, scaled by the slowest cell.

    The same profile serves rows and columns. In the corners the left and right pads count alone: nothing is summed.
    """
    width_m = (PAD_CELLS - 1) * GRID_SPACING_M
    ramp = np.linspace(0.0, 1.0, PAD_CELLS) ** 2 * lowest_velocity_m_s * 3 * math.log(1e7) / (2 * width_m) * TIME_STEP_S
    return np.concatenate([ramp[::-1], np.zeros(MAP_SIZE), ramp])


def _checked_maps(velocity_m_s: npt.ArrayLike) -> FloatArray:
    velocity = np.ascontiguousarray(velocity_m_s, dtype=np.float32)
    if velocity.ndim != 3 or velocity.shape[1:] != (MAP_SIZE, MAP_SIZE):
        raise ValueError(
            f"velocity_m_s has the shape {velocity.shape}, wanted (n, {MAP_SIZE}, {MAP_SIZE}): reshape it, for "
            "instance maps[:, 0] for OpenFWI's (n, 1, 70, 70) files and velocity[None] for a single map."
        )
    if not len(velocity):
        return velocity
    bad = np.flatnonzero(~np.isfinite(velocity).all(axis=(1, 2)))
    if len(bad):
        raise ValueError(
            f"velocity_m_s has NaN or infinite cells in {len(bad)} of {len(velocity)} maps, the first at index "
            f"{bad[0]}: leave those maps out or fill the cells."
        )
    low, high = float(velocity.min()), float(velocity.max())
    if low < LOWEST_VELOCITY_M_S or high > HIGHEST_VELOCITY_M_S:
        mend = "turn normalised maps back into m/s" if low <= 0 else "check the units of the maps"
        if low > 0 and high < LOWEST_VELOCITY_M_S:
            mend = "multiply km/s by 1000"
        raise ValueError(
            f"velocity_m_s runs from {low:g} to {high:g}, wanted m/s within {LOWEST_VELOCITY_M_S:g} to "
            f"{HIGHEST_VELOCITY_M_S:g}, where the scheme is stable: {mend}."
        )
    return velocity
