"""Seismic decoder D_s by convolutions over time and receiver, with the shots as channels.

The paper holds that a gather is a sequence and wants a transformer, and leaves the comparison with convolutions open;
this is the other side of it. The latent is spread over a coarse grid of time and receiver, which is refined by
depth-to-space steps with residual blocks between, as in the velocity decoder. It is our own design, of about the
patch transformer's size.
"""

import math

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.blocks import ResidualBlock

STRIDES = ((2, 2), (5, 1), (5, 5))
"""Factors in (time, receiver) between the resolutions, finest first: 1000 x 70 comes from 20 x 7."""


def depth_to_space(x: Tensor, stride: tuple[int, int]) -> Tensor:
    """Map `(batch, channel * s * t, height, width)` to `(batch, channel, height * s, width * t)`, stride `(s, t)`."""
    batch, _, height, width = x.shape
    down, across = stride
    cells = x.view(batch, -1, down, across, height, width).permute(0, 1, 4, 2, 5, 3)
    return cells.reshape(batch, -1, height * down, width * across)


class Refine(nn.Module):
    """A residual block, a 3x3 convolution, then trade channels for resolution in time and receiver."""

    def __init__(self, width_in: int, width_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride
        self.block = ResidualBlock(width_in)
        self.mix = nn.Conv2d(width_in, width_out * stride[0] * stride[1], 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, width_in, time, receiver)` to `(batch, width_out, time * s, receiver * t)`."""
        return depth_to_space(self.mix(self.block(x)), self.stride)


class ConvolutionalSeismicDecoder(nn.Module):
    """Seismic latent z'_s to a log-normalised gather.

    Args:
        latent_dim: Length of z'_s.
        n_shots: Shots of a gather.
        n_time: Time samples of a gather; what the last coarse row reaches beyond the end is cut.
        n_receivers: Receivers of a gather, a multiple of 10.
        width: Channels at full resolution; each coarser one has twice the channels of the one before.
    """

    def __init__(self, latent_dim: int, n_shots: int, n_time: int, n_receivers: int, width: int) -> None:
        super().__init__()
        self.n_time = n_time
        rows = math.ceil(n_time / math.prod(time for time, _ in STRIDES))
        columns = n_receivers // math.prod(receiver for _, receiver in STRIDES)
        widths = [width * 2**level for level in range(len(STRIDES) + 1)]
        self.grid = (widths[-1], rows, columns)
        self.from_latent = nn.Linear(latent_dim, math.prod(self.grid))
        self.path = nn.Sequential(
            *(Refine(widths[level + 1], widths[level], STRIDES[level]) for level in reversed(range(len(STRIDES))))
        )
        self.to_gather = nn.Conv2d(width, n_shots, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Map z'_s `(batch, latent_dim)` to a gather `(batch, shot, time, receiver)`, about -1 to 1."""
        coarse: Tensor = self.from_latent(latent)
        gather: Tensor = self.to_gather(torch.relu(self.path(coarse.view(-1, *self.grid))))
        return gather[:, :, : self.n_time].contiguous()
