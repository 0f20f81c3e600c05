"""Encoder E: a velocity map to the co-latent z (paper, encoder-decoder design, Eq. 1).

The paper's code is a chain of strided convolutions with BatchNorm down to 1x1 and a tanh. Here the map is brought to a
small grid in few steps, mapped to the latent by one linear layer, and a *linear branch* (one matrix from the 70x70 map
to the latent) is added before the tanh. Layered media are close to a low-dimensional linear space, which the linear
branch finds within a few epochs; the convolutions are left with what is not linear.
"""

import math

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.blocks import downward_path

# A layer that sums thousands of inputs of one sign moves its output by their number times Adam's step, which at a high
# learning rate drives the tanh into saturation within a few steps. Its inputs are made smaller and its starting weights
# larger by the same factor: it begins the same and learns more slowly (FlatVel-A, 60 CPU-s at rate 0.002: error 151 m/s
# without, 16 m/s with).
LINEAR_SCALE = 0.05
FEATURE_SCALE = 0.1


class VelocityEncoder(nn.Module):
    """Velocity map to co-latent z in (-1, 1).

    Args:
        size: Side of the square map in cells; the product of the strides must divide it.
        latent_dim: Length of the co-latent.
        widths: Channels after each downsampling.
        strides: Factor of each downsampling.
        blocks: Residual blocks after each downsampling.
    """

    def __init__(
        self, size: int, latent_dim: int, widths: tuple[int, ...], strides: tuple[int, ...], blocks: int
    ) -> None:
        super().__init__()
        cells = (size // math.prod(strides)) ** 2
        self.path = downward_path(widths, strides, blocks)
        self.to_latent = nn.Linear(widths[-1] * cells, latent_dim)
        self.linear_branch = nn.Linear(size**2, latent_dim, bias=False)
        with torch.no_grad():
            self.to_latent.weight.div_(FEATURE_SCALE)
            self.linear_branch.weight.div_(LINEAR_SCALE)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster on a CPU

    def forward(self, velocity: Tensor) -> Tensor:
        """Map normalised velocity `(batch, 1, size, size)` to z `(batch, latent_dim)`."""
        features = self.path(velocity).relu().flatten(1)
        z: Tensor = self.to_latent(FEATURE_SCALE * features) + self.linear_branch(LINEAR_SCALE * velocity.flatten(1))
        return z.tanh()
