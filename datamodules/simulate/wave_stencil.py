"""The compiled inner loop of the wave-equation operator: one map's shots, marched in time over the padded grid.

The scheme is second order in time and fourth order in space,

    p(t+1) = p + (1 - k) (p - p(t-1)) + a / 12 (16 S1 - S2 - 60 p),     a = (v dt / dx)^2,

with S1 and S2 the sums over the four neighbours at one and at two cells and k the damping a step. Written with whole
numbers in the bracket, float32 rounds nothing but the products, and the field stays within 2e-6 of float64.

Two things make it quick, neither changes a trace beyond rounding:

- Cells are updated in blocks of 16 columns, and a block only while it can matter: not before the first wave can have
  come from the source, and not once nothing that leaves it can reach a receiver before the record ends.
- The rows above and below the map repeat its first and last row, so their coefficients are never stored.

The outer boundary is periodic, as in OpenFWI's data: columns through two ghost columns on each side of a row, rows
through a table of row numbers.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

MAP_SIZE = 70  # cells along each side of a velocity map
PAD_CELLS = 120  # damped cells on every side
PADDED_SIZE = MAP_SIZE + 2 * PAD_CELLS
SURFACE_ROW = 1  # row of the map that holds sources and receivers
SHOT_COLUMNS = (0, 17, 34, 52, 69)

BLOCK_COLUMNS = 16  # one AVX-512 register of float32, two of AVX2
N_BLOCKS = -(-PADDED_SIZE // BLOCK_COLUMNS)
FIRST_COLUMN = BLOCK_COLUMNS  # of the padded grid within a stored row; the ghost columns lie before it
STORED_COLUMNS = FIRST_COLUMN + (N_BLOCKS + 1) * BLOCK_COLUMNS

# Waves have a foot ahead of the ray-theoretical front. With half these margins the error reaches 2e-5, with these it is
# rounding. The one in cells counts below 1500 m/s, where a step is short.
FRONT_MARGIN_STEPS = 40
FRONT_MARGIN_CELLS = 6
STEPS_PER_PLAN = 10  # how often the list of blocks that matter is made anew
N_RAY_PARAMETERS = 9

_SURFACE = PAD_CELLS + SURFACE_ROW
_NEIGHBOUR_ROWS = np.arange(-2, PADDED_SIZE + 2) % PADDED_SIZE

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
F = TypeVar("F", bound=Callable[..., Any])

# Only fused multiply-add is allowed: full `fastmath` may reorder sums, which buys no speed here and costs precision.
_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz"}}


def _compiled(function: F) -> F:
    return cast(F, numba.njit(**_OPTIONS)(function))


def _inlined(function: F) -> F:
    """Compile into the caller: a call would copy a dozen array headers for each row, which costs more than the row."""
    return cast(F, numba.njit(forceinline=True, **_OPTIONS)(function))


def _block_distances() -> npt.NDArray[np.float64]:
    """Columns, counted around the ring, from each shot and from the receiver line to the nearest cell of each block.

    Returns:
        Distances `(shot + 1, block)`; the last row belongs to the receivers.
    """
    columns = np.arange(PADDED_SIZE)
    lines = [(PAD_CELLS + c, PAD_CELLS + c) for c in SHOT_COLUMNS] + [(PAD_CELLS, PAD_CELLS + MAP_SIZE - 1)]
    distances = np.empty((len(lines), N_BLOCKS))
    for k, (left, right) in enumerate(lines):
        outside = np.minimum((left - columns) % PADDED_SIZE, (columns - right) % PADDED_SIZE)
        distance = np.where((columns >= left) & (columns <= right), 0, outside)
        distances[k] = np.minimum.reduceat(distance, np.arange(0, PADDED_SIZE, BLOCK_COLUMNS))
    return distances


_BLOCK_DISTANCES = _block_distances()


def block_windows(cells_per_step: npt.NDArray[np.float64], n_steps: int) -> tuple[IntArray, IntArray]:
    """Find the steps during which each block of the padded grid can influence a trace.

    For any ray parameter p <= 1 / max(u), with u(row) the highest speed in each row, `p x + sum sqrt(1/u^2 - p^2)`
    never exceeds the true travel time: its gradient is nowhere longer than the slowness. The largest of a few such
    bounds is taken, for the shorter of the two ways around the ring of rows. Sources and receivers share their row, so
    one bound serves both ends of the path.

    Args:
        cells_per_step: Speed of the map, `(70, 70)`, in cells a time step.
        n_steps: Length of the record in steps.

    Returns:
        First and last step `(shot, row, block)` and `(row, block)` at which a block has to be updated.
    """
    padded = np.pad(cells_per_step.max(axis=1), PAD_CELLS, mode="edge")
    between = np.maximum(padded, np.roll(padded, -1))  # speed on the way from a row to the next one down
    margin = max(FRONT_MARGIN_STEPS, FRONT_MARGIN_CELLS / cells_per_step.min())
    bound = np.zeros((len(_BLOCK_DISTANCES), PADDED_SIZE, N_BLOCKS))
    for share in np.linspace(0.0, 1.0, N_RAY_PARAMETERS):
        ray_parameter = share / padded.max()
        vertical = np.sqrt(np.maximum(between**-2 - ray_parameter**2, 0.0))
        depth_time = np.concatenate([[0.0], np.cumsum(vertical)])
        one_way = np.abs(depth_time[:-1] - depth_time[_SURFACE])
        row_time = np.minimum(one_way, depth_time[-1] - one_way)
        np.maximum(bound, row_time[:, None] + ray_parameter * _BLOCK_DISTANCES[:, None, :], out=bound)
    steps = np.floor(bound - margin).astype(np.int32)
    return steps[:-1], (n_steps - 1 - steps[-1]).astype(np.int32)


@_inlined
def _advance_row(
    new: FloatArray,  # holds p(t-1) on entry, p(t+1) on return
    here: FloatArray,
    left_1: FloatArray,
    left_2: FloatArray,
    right_1: FloatArray,
    right_2: FloatArray,
    above_1: FloatArray,
    above_2: FloatArray,
    below_1: FloatArray,
    below_2: FloatArray,
    alpha_12: FloatArray,
    keep: FloatArray,
    keep_middle: FloatArray,
    keep_row: np.float32,
) -> None:
    for j in range(new.size):
        p = here[j]
        near = (above_1[j] + below_1[j]) + (left_1[j] + right_1[j])
        far = (above_2[j] + below_2[j]) + (left_2[j] + right_2[j])
        bend = np.float32(16.0) * near - far - np.float32(60.0) * p
        new[j] = p + (keep[j] + keep_row * keep_middle[j]) * (p - new[j]) + alpha_12[j] * bend


@_compiled
def _plan(first: IntArray, last: IntArray, step: int, runs: IntArray) -> int:
    """List the runs `(row, start, stop)` of neighbouring blocks that matter within STEPS_PER_PLAN steps from `step`."""
    n_runs = 0
    for row in range(PADDED_SIZE):
        block = 0
        while block < N_BLOCKS:
            start = block
            while block < N_BLOCKS and first[row, block] < step + STEPS_PER_PLAN and last[row, block] >= step:
                block += 1
            if block > start:
                runs[n_runs, 0] = row
                runs[n_runs, 1] = FIRST_COLUMN + start * BLOCK_COLUMNS
                runs[n_runs, 2] = FIRST_COLUMN + block * BLOCK_COLUMNS
                n_runs += 1
            block += 1
    return n_runs


@_compiled
def march_shots(
    alpha_12: FloatArray,
    keep: FloatArray,
    keep_middle: FloatArray,
    keep_rows: FloatArray,
    shot_columns: npt.NDArray[np.int64],
    source_steps: FloatArray,
    first: IntArray,
    last: IntArray,
    gathers: FloatArray,
) -> None:
    """March every shot of one map and record it.

    Args:
        alpha_12: `(v dt / dx)^2 / 12` for the rows of the map, `(70, stored column)`, 0 outside the padded grid.
        keep: 1 - damping a step, `(stored column,)`, in the left and right pads; 0 between them; -1 outside the grid,
            which holds those cells at rest.
        keep_middle: 1 between the left and right pads, 0 elsewhere, `(stored column,)`.
        keep_rows: 1 - damping a step of each padded row, `(row,)`; applies between the left and right pads only.
        shot_columns: Stored column of each source, `(shot,)`.
        source_steps: What each source adds at each step, `(shot, source step)`.
        first: First step of each block, `(shot, row, block)`; see `block_windows`.
        last: Last step of each block, `(row, block)`.
        gathers: Pressure at the receivers, `(shot, step, receiver)`; written here.
    """
    runs = np.empty((PADDED_SIZE * N_BLOCKS, 3), np.int32)
    receiver = FIRST_COLUMN + PAD_CELLS
    end = FIRST_COLUMN + PADDED_SIZE
    for shot in range(gathers.shape[0]):
        field = np.zeros((PADDED_SIZE, STORED_COLUMNS), np.float32)
        other = np.zeros((PADDED_SIZE, STORED_COLUMNS), np.float32)
        n_runs = 0
        for step in range(gathers.shape[1]):
            if step % STEPS_PER_PLAN == 0:
                n_runs = _plan(first[shot], last, step, runs)
            for k in range(n_runs):
                row, a, b = runs[k, 0], runs[k, 1], runs[k, 2]
                p = field[row]
                new = other[row]
                _advance_row(
                    new[a:b],
                    p[a:b],
                    p[a - 1 : b - 1],
                    p[a - 2 : b - 2],
                    p[a + 1 : b + 1],
                    p[a + 2 : b + 2],
                    field[_NEIGHBOUR_ROWS[row + 1]][a:b],
                    field[_NEIGHBOUR_ROWS[row]][a:b],
                    field[_NEIGHBOUR_ROWS[row + 3]][a:b],
                    field[_NEIGHBOUR_ROWS[row + 4]][a:b],
                    alpha_12[min(max(row - PAD_CELLS, 0), MAP_SIZE - 1)][a:b],
                    keep[a:b],
                    keep_middle[a:b],
                    keep_rows[row],
                )
                new[FIRST_COLUMN - 2] = new[end - 2]
                new[FIRST_COLUMN - 1] = new[end - 1]
                new[end] = new[FIRST_COLUMN]
                new[end + 1] = new[FIRST_COLUMN + 1]
            if step < source_steps.shape[1]:
                other[_SURFACE, shot_columns[shot]] += source_steps[shot, step]
            for j in range(MAP_SIZE):
                gathers[shot, step, j] = other[_SURFACE, receiver + j]
            field, other = other, field
