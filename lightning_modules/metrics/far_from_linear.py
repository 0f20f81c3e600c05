"""Two modalities whose relation is exact, one to one, and far from linear: a control for the measures of alignment.

Hidden variables u ~ U(-1, 1). One modality sees u itself; the other sees each u_i as a point on a spiral,
(1 + u_i / 2) (cos 1.5 pi u_i, sin 1.5 pi u_i), one and a half turns, which has one u for every point. Both are mixed
into as many numbers as asked for. A linear map from one to the other finds next to nothing, a network nearly all.
"""

import math

import torch
from torch import Tensor

HIDDEN = 3


def spiral_pairs(n: int, n_x: int, n_y: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw n pairs `(n, n_x)` and `(n, n_y)`, float32.

    Args:
        n: How many.
        n_x: Numbers of the first modality, at least 3.
        n_y: Numbers of the second, at least 6.
        seed: Of everything.

    Raises:
        ValueError: If there are fewer numbers than hidden variables need.
    """
    if n_x < HIDDEN or n_y < 2 * HIDDEN:
        raise ValueError(f"spiral_pairs got n_x {n_x} and n_y {n_y}: give at least {HIDDEN} and {2 * HIDDEN}.")
    generator = torch.Generator().manual_seed(seed)
    hidden = 2.0 * torch.rand(n, HIDDEN, generator=generator) - 1.0
    radius, angle = 1.0 + 0.5 * hidden, 1.5 * math.pi * hidden
    spiral = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return hidden @ _mixing(HIDDEN, n_x, generator), spiral @ _mixing(2 * HIDDEN, n_y, generator)


def _mixing(n_in: int, n_out: int, generator: torch.Generator) -> Tensor:
    """A matrix with orthonormal rows: it loses nothing and weighs nothing."""
    basis: Tensor = torch.linalg.qr(torch.randn(n_out, n_in, generator=generator))[0]
    return basis.T
