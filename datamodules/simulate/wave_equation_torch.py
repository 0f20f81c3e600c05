"""OpenFWI's forward operator in batched torch: many maps and all their shots at once, for a GPU.

The scheme, the grid and the periodic outer edge are those of `wave_equation.py` and `wave_stencil.py`, in the form

    c = (1 - k) c + 4/3 (v dt / dx)^2 (S1 - S2 / 16 - 3.75 p) + source,     p = p + c,

whose change a step `c` is kept beside the field `p`, which rounds less than keeping two fields. It agrees with the
compiled operator to a few 1e-6. On a CPU that one is about nine times faster; this one is for a device that has no
numba. Written in plain kernels over preallocated arrays, so that it needs no compiler: fifteen to twenty launches a
step, however many maps are in flight.

As in `wave_stencil.py`, cells are left out while no wave can have reached them, and once nothing that leaves them can
reach a receiver in time. Here they form one rectangle for all maps and shots, from the highest velocity that is allowed
and not from that of the maps at hand: a map's gathers are the same to the bit whatever is simulated beside it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from datamodules.simulate.wave_equation import (
    GRID_SPACING_M,
    HIGHEST_VELOCITY_M_S,
    MAP_SIZE,
    N_TIME_STEPS,
    SHOT_COLUMNS,
    SURFACE_ROW,
    TIME_STEP_S,
    _checked_maps,
    _damping_per_step,
    ricker_wavelet,
    simulate_gathers,
)
from datamodules.simulate.wave_stencil import FRONT_MARGIN_STEPS, PAD_CELLS, PADDED_SIZE

__all__ = ["simulate_gathers_on", "simulate_gathers_torch"]

HALO = 2  # ghost cells on each side, which hold the periodic neighbours
CENTRE_ROW = PADDED_SIZE // 2  # the ring of rows is stored with the sources and receivers in its middle
STEPS_PER_WINDOW = 20
MAPS_ON_A_GPU = 64  # 8 MB a map while it is simulated
MAPS_ON_A_CPU = 1  # more fall out of the cache

FloatArray = npt.NDArray[np.float32]


@torch.no_grad()
def simulate_gathers_torch(velocity_m_s: Tensor, *, maps_at_once: int | None = None, time_stride: int = 1) -> Tensor:
    """Simulate the five shot gathers of each velocity map on the device that holds the maps.

    No gradients. A map's gathers do not depend on the other maps, nor on `maps_at_once`.

    Args:
        velocity_m_s: Velocity maps `(n, 70, 70)` in m/s, rows downwards, of any floating type.
        maps_at_once: Maps in flight, 8 MB each; 64 on a GPU and 1 on a CPU when not given.
        time_stride: Keep every so many-th time sample of 1 ms.

    Returns:
        Pressure `(n, 5, ceil(1000 / time_stride), 70)` float32 as (map, shot, time, receiver), in OpenFWI's raw
        amplitude.

    Raises:
        ValueError: If the maps have the wrong shape, are not finite, or are not in m/s, or if `maps_at_once` or
            `time_stride` is below 1.
    """
    device = velocity_m_s.device
    if maps_at_once is None:
        maps_at_once = MAPS_ON_A_CPU if device.type == "cpu" else MAPS_ON_A_GPU
    for name, value in (("maps_at_once", maps_at_once), ("time_stride", time_stride)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, found {value}.")
    velocity = _checked_maps(velocity_m_s.detach().float().cpu().numpy())
    n_samples = len(range(0, N_TIME_STEPS, time_stride))
    gathers = torch.empty((len(velocity), len(SHOT_COLUMNS), n_samples, MAP_SIZE), dtype=torch.float32, device=device)
    for start in range(0, len(velocity), maps_at_once):
        chunk = slice(start, start + maps_at_once)
        _march(velocity[chunk], gathers[chunk], N_TIME_STEPS, time_stride)
    return gathers


def simulate_gathers_on(
    device: torch.device | str, velocity_m_s: npt.ArrayLike, *, workers: int = 1, time_stride: int = 1
) -> FloatArray:
    """Simulate gathers with the exact operator that is quickest on a device: torch on a GPU, else compiled threads.

    Args:
        device: Where to simulate.
        velocity_m_s: Velocity maps `(n, 70, 70)` in m/s, rows downwards.
        workers: Threads, when the device is a CPU.
        time_stride: Keep every so many-th time sample of 1 ms.

    Returns:
        Pressure `(n, 5, ceil(1000 / time_stride), 70)` in main memory, OpenFWI's raw amplitude.

    Raises:
        ValueError: As `simulate_gathers` and `simulate_gathers_torch`.
    """
    if torch.device(device).type != "cuda":
        if time_stride < 1:
            raise ValueError(f"time_stride must be 1 or more, found {time_stride}.")
        return simulate_gathers(velocity_m_s, workers=workers)[:, :, ::time_stride]
    maps = torch.from_numpy(_checked_maps(velocity_m_s)).to(device)
    return np.asarray(simulate_gathers_torch(maps, time_stride=time_stride).cpu().numpy(), dtype=np.float32)


class _Window(NamedTuple):
    """A rectangle of cells that matters from one step to another; rows and columns of the stored grid, end excluded."""

    steps: range
    top: int
    bottom: int
    left: int
    right: int

    def of(self, grid: Tensor) -> Tensor:
        """The window of a grid without ghost cells, `(..., row, column)`."""
        return grid[..., self.top : self.bottom, self.left : self.right]


def _windows(n_steps: int) -> Iterator[_Window]:
    """Cut the record into windows: outwards with the fastest wave from the shots, and back to the receivers."""
    cells_per_step = HIGHEST_VELOCITY_M_S * TIME_STEP_S / GRID_SPACING_M
    for start in range(0, n_steps, STEPS_PER_WINDOW):
        steps = range(start, min(start + STEPS_PER_WINDOW, n_steps))
        nearest_end = min(steps.stop, n_steps - steps.start)
        reach = math.ceil((nearest_end + FRONT_MARGIN_STEPS) * cells_per_step)
        yield _Window(
            steps,
            max(CENTRE_ROW - reach, 0),
            min(CENTRE_ROW + reach + 1, PADDED_SIZE),
            max(PAD_CELLS - reach, 0),
            min(PAD_CELLS + MAP_SIZE + reach, PADDED_SIZE),
        )


def _coefficients(velocity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """4/3 the Courant number squared and 1 - damping a step, `(n, 1, 310, 310)`, with the surface in the middle row."""
    pad = ((0, 0), (PAD_CELLS, PAD_CELLS), (PAD_CELLS, PAD_CELLS))
    speed = np.pad(velocity.astype(np.float64), pad, mode="edge")
    alpha = (speed * (TIME_STEP_S / GRID_SPACING_M)) ** 2 * 4 / 3
    damping = np.stack([_damping_per_step(float(each.min())) for each in velocity])
    keep = np.repeat(1 - damping[:, None, :], PADDED_SIZE, axis=1)
    middle = slice(PAD_CELLS, PAD_CELLS + MAP_SIZE)
    keep[:, :, middle] = 1 - damping[:, :, None]  # the left and right pads alone damp the corners
    shift = CENTRE_ROW - (PAD_CELLS + SURFACE_ROW)
    return _stored(alpha, shift), _stored(keep, shift)


def _stored(grid: npt.NDArray[np.float64], shift: int) -> FloatArray:
    return np.roll(grid, shift, axis=1)[:, None].astype(np.float32)


def _march(velocity: FloatArray, gathers: Tensor, n_steps: int, time_stride: int) -> None:
    """March all shots of the maps `(n, 70, 70)` and record them into `gathers` `(n, shot, sample, receiver)`."""
    device, (n, n_shots) = gathers.device, gathers.shape[:2]
    alpha, keep = (torch.from_numpy(each).to(device) for each in _coefficients(velocity))
    gain = np.zeros((n, n_shots, MAP_SIZE), np.float32)
    for shot, column in enumerate(SHOT_COLUMNS):
        gain[:, shot, column] = (velocity[:, SURFACE_ROW, column].astype(np.float64) * TIME_STEP_S) ** 2
    shots = torch.from_numpy(gain).to(device)
    wavelet = ricker_wavelet().tolist()

    size = (n, n_shots, PADDED_SIZE, PADDED_SIZE)
    haloed = (n, n_shots, PADDED_SIZE + 2 * HALO, PADDED_SIZE + 2 * HALO)
    # The type is named: a trainer of another precision changes torch's default.
    field = torch.zeros(haloed, dtype=torch.float32, device=device)
    change, scratch = (torch.zeros(size, dtype=torch.float32, device=device) for _ in range(2))
    middle = slice(PAD_CELLS, PAD_CELLS + MAP_SIZE)
    at_shots = change[:, :, CENTRE_ROW, middle]
    at_receivers = field[:, :, HALO + CENTRE_ROW, HALO + PAD_CELLS : HALO + PAD_CELLS + MAP_SIZE]

    for window in _windows(n_steps):
        here, above, *near = (_shifted(field, window, *by) for by in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)))
        far = [_shifted(field, window, *by) for by in ((-2, 0), (2, 0), (0, -2), (0, 2))]
        now, bend, alpha_now, keep_now = (window.of(each) for each in (change, scratch, alpha, keep))
        ghosts = _ghosts(field, window)
        for step in window.steps:
            for ghost, source in ghosts:
                ghost.copy_(source)
            torch.add(above, near[0], out=bend)
            bend.add_(near[1]).add_(near[2])
            for each in far:
                bend.sub_(each, alpha=1 / 16)
            bend.sub_(here, alpha=3.75)
            now.mul_(keep_now).addcmul_(alpha_now, bend)
            if step < len(wavelet):
                at_shots.add_(shots, alpha=wavelet[step])
            here.add_(now)
            if step % time_stride == 0:
                gathers[:, :, step // time_stride].copy_(at_receivers)


def _shifted(field: Tensor, window: _Window, down: int, across: int) -> Tensor:
    """The neighbours, so many cells down and across, of the window's cells."""
    rows = slice(HALO + window.top + down, HALO + window.bottom + down)
    return field[..., rows, HALO + window.left + across : HALO + window.right + across]


def _ghosts(field: Tensor, window: _Window) -> list[tuple[Tensor, Tensor]]:
    """Ghost cells, each with the cells on the far side that they repeat, where the window reaches round the ring."""
    start, end = slice(0, HALO), slice(PADDED_SIZE + HALO, None)
    first, last = slice(HALO, 2 * HALO), slice(PADDED_SIZE, PADDED_SIZE + HALO)
    ghosts = []
    if window.top == 0:
        ghosts += [(field[..., start, :], field[..., last, :]), (field[..., end, :], field[..., first, :])]
    if window.left == 0:
        ghosts += [(field[..., start], field[..., last]), (field[..., end], field[..., first])]
    return ghosts
