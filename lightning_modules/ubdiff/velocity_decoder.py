"""Velocity decoder D_v: the velocity latent z'_v to a velocity map, by convolutions (paper, Eq. 1).

Deviations from the paper's code: no BatchNorm (see `blocks`), depth-to-space upsampling in few steps, a linear branch
as in the encoder, and no tanh on the output, because two OpenFWI families exceed the normalising range.
"""

import math

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.blocks import upward_path


class VelocityDecoder(nn.Module):
    """Velocity latent z'_v to normalised velocity map.

    Args:
        size: Side of the square map in cells; the product of the strides must divide it.
        latent_dim: Length of z'_v.
        widths: Channels of each resolution, finest first, as in the encoder.
        strides: Factor between resolutions, as in the encoder.
        blocks: Residual blocks at each resolution.
        fine_width: Channels at full resolution, before the last convolution.
    """

    def __init__(
        self,
        size: int,
        latent_dim: int,
        widths: tuple[int, ...],
        strides: tuple[int, ...],
        blocks: int,
        fine_width: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.grid = (widths[-1], size // math.prod(strides), size // math.prod(strides))
        self.from_latent = nn.Linear(latent_dim, math.prod(self.grid))
        self.path = upward_path(widths, strides, blocks, fine_width)
        self.linear_branch = nn.Linear(latent_dim, size**2)
        # The convolutions see the linear branch's map beside their own features, so that they can sharpen it.
        self.sharpen = nn.Conv2d(fine_width + 1, fine_width, 3, padding=1)
        self.to_velocity = nn.Conv2d(fine_width, 1, 3, padding=1)
        nn.init.zeros_(self.to_velocity.weight)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster on a CPU

    def forward(self, latent: Tensor) -> Tensor:
        """Map z'_v `(batch, latent_dim)` to normalised velocity `(batch, 1, size, size)`."""
        coarse: Tensor = self.from_latent(latent)
        base: Tensor = self.linear_branch(latent).view(-1, 1, self.size, self.size)
        fine = nn.functional.relu(self.path(coarse.view(-1, *self.grid)))
        correction: Tensor = self.to_velocity(self.sharpen(torch.cat((fine, base), dim=1)).relu())
        return base + correction
