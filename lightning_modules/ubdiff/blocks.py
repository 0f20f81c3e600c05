"""Convolutional blocks that the encoder and the velocity decoder share.

The paper's code normalises with BatchNorm. We use no normalisation at all: each residual branch ends in a convolution
that starts at zero, so that a network of any depth begins as an identity and trains at a high learning rate. A sample's
output then depends on that sample alone, whatever the batch, the number of processes, or training against evaluation.
"""

from itertools import pairwise

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """`x + conv(act(conv(act(x))))`, 3x3 convolutions at one width; shapes `(batch, width, height, width)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape as `x`."""
        branch: Tensor = self.second(nn.functional.relu(self.first(nn.functional.relu(x))))
        return x + branch


class Downsample(nn.Module):
    """Trade resolution for channels without losing a value (space to depth), then a 3x3 convolution."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(stride)
        self.mix = nn.Conv2d(width_in * stride**2, width_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, width_in, h, w)` to `(batch, width_out, h / stride, w / stride)`."""
        y: Tensor = self.mix(self.unshuffle(x))
        return y


class Upsample(nn.Module):
    """A 3x3 convolution, then trade channels for resolution (depth to space)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width_in, width_out * stride**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, width_in, h, w)` to `(batch, width_out, h * stride, w * stride)`."""
        y: Tensor = self.shuffle(self.mix(x))
        return y


def downward_path(widths: tuple[int, ...], strides: tuple[int, ...], blocks: int) -> nn.Sequential:
    """Downsample by each stride in turn to each width, with `blocks` residual blocks after each."""
    layers: list[nn.Module] = []
    for (width_in, width_out), stride in zip(pairwise((1, *widths)), strides, strict=True):
        layers += [Downsample(width_in, width_out, stride), *(ResidualBlock(width_out) for _ in range(blocks))]
    return nn.Sequential(*layers)


def upward_path(widths: tuple[int, ...], strides: tuple[int, ...], blocks: int, width_out: int) -> nn.Sequential:
    """Go the way of `downward_path` back: `blocks` residual blocks at each width, coarsest first, then upsample."""
    layers: list[nn.Module] = []
    for (width, width_next), stride in zip(pairwise((*widths[::-1], width_out)), strides[::-1], strict=True):
        layers += [*(ResidualBlock(width) for _ in range(blocks)), Upsample(width, width_next, stride)]
    return nn.Sequential(*layers)
