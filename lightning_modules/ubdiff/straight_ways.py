"""What lies on the straight ways from points at the surface down to reflecting points.

Where nothing lies on it that would turn a wave, the straight way is the ray. A first arrival need not be: into a valley
a wave comes earlier through its flank, and weaker. No weights, no gradient; compiled, on the CPU.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_modules.ubdiff.geometry import SURFACE_ROW
from lightning_modules.ubdiff.one_way_times import compiled

N_PARTS = 32
"""Places on a way at which the map is read."""
_LEFT_OUT = 1.2  # cells before the point, which may lie beyond its own interface's steps

Array = npt.NDArray[np.float32]


@torch.no_grad()
def straight_ways(
    speed: Tensor, sample: Tensor, column: Tensor, depth: Tensor, surface: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean slowness of the straight ways, and by how much it differs on them.

    Args:
        speed: Maps `(map, row, column)`, m/s.
        sample: Of which map a point is, int64 `(point,)`.
        column: Where it is, `(point,)`.
        depth: Cells below the middle of the surface's row, `(point,)`.
        surface: Columns at the surface, int64 `(place,)`.

    Returns:
        Mean slowness, s/m, `(point, place)`; largest less smallest slowness over the mean, the same shape.
    """
    slowness = (1.0 / speed[:, SURFACE_ROW:]).float().contiguous().numpy(force=True)
    where = torch.stack((column, depth), dim=1).float().numpy(force=True)
    mean, spread = np.empty((2, len(sample), len(surface)), np.float32)
    _read(slowness, sample.numpy(force=True), where, surface.numpy(force=True), mean, spread)
    return torch.from_numpy(mean).to(speed.device), torch.from_numpy(spread).to(speed.device)


@compiled  # type: ignore[untyped-decorator, unused-ignore]
def _read(slowness: Array, sample: np.ndarray, where: Array, surface: np.ndarray, mean: Array, spread: Array) -> None:
    _, n_rows, n_columns = slowness.shape
    for point in range(len(sample)):
        its_map = slowness[sample[point]]
        at, depth = where[point].astype(np.float64)
        for place in range(len(surface)):
            start = np.float64(surface[place])
            across = at - start
            length = max(math.hypot(across, depth), 2.0 * _LEFT_OUT)
            share = (1.0 - _LEFT_OUT / length) / N_PARTS
            total, least, most = 0.0, 1e9, 0.0
            for part in range(N_PARTS):
                way = share * (part + 0.5)
                column = min(max(int(start + way * across + 0.5), 0), n_columns - 1)
                here = np.float64(its_map[min(max(int(way * depth + 0.5), 0), n_rows - 1), column])
                total += here
                least, most = min(least, here), max(most, here)
            mean[point, place] = total / N_PARTS
            spread[point, place] = (most - least) * N_PARTS / total
