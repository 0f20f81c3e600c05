"""The paper's denoising network: a one-dimensional U-Net that reads the co-latent as a one-channel sequence.

The co-latent's 128 numbers are taken for 128 positions of one channel and halved in length from level to level, with
residual convolutions, linear attention on each level and full attention at the bottom. The paper's code takes it from a
widely used image model (Ho et al. 2020, arXiv 2006.11239, as a sequence model). The latent has no order in which
neighbours would mean anything, and its receptive fields have to build what a matrix has at once: `denoiser` is our
default, this one stands for comparison.

Deviations: the diffusion time's features are those of our default network; and the last convolution starts at zero, so
that both start from the same answer.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.denoiser import time_features
from lightning_modules.ubdiff.settings import UNET_GROUPS

HEADS = 4
HEAD_WIDTH = 32


class ConditionedBlock(nn.Module):
    """Two convolutions around a residual; the condition shifts and scales between them.

    Args:
        width_in: Channels in.
        width_out: Channels out.
        condition_width: Length of the condition.
    """

    def __init__(self, width_in: int, width_out: int, condition_width: int) -> None:
        super().__init__()
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition_width, 2 * width_out))
        self.first = nn.Conv1d(width_in, width_out, 3, padding=1)
        self.first_norm = nn.GroupNorm(UNET_GROUPS, width_out)
        self.second = nn.Conv1d(width_out, width_out, 3, padding=1)
        self.second_norm = nn.GroupNorm(UNET_GROUPS, width_out)
        self.shortcut = nn.Identity() if width_in == width_out else nn.Conv1d(width_in, width_out, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `(batch, width_in, position)` and `(batch, condition_width)` to `(batch, width_out, position)`."""
        scale, shift = self.modulation(condition)[:, :, None].chunk(2, dim=1)
        branch = nn.functional.silu(self.first_norm(self.first(x)) * (1.0 + scale) + shift)
        branch = nn.functional.silu(self.second_norm(self.second(branch)))
        out: Tensor = branch + self.shortcut(x)
        return out


class PositionAttention(nn.Module):
    """Residual attention between the positions of a sequence.

    The linear kind (Shen et al. 2021, arXiv 1812.01243) sums up all positions in one matrix a head, which each query
    reads: softmax over a query's features, and over the positions of each key feature.

    Args:
        width: Channels.
        linear: Linear instead of full attention.
    """

    def __init__(self, width: int, linear: bool) -> None:
        super().__init__()
        self.linear = linear
        self.norm = nn.RMSNorm(width)
        self.query_key_value = nn.Linear(width, 3 * HEADS * HEAD_WIDTH, bias=False)
        self.out = nn.Linear(HEADS * HEAD_WIDTH, width)
        self.out_norm = nn.RMSNorm(width) if linear else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, width, position)` to the same shape."""
        projected: Tensor = self.query_key_value(self.norm(x.transpose(1, 2)))
        # (batch, position, 3 * HEADS * HEAD_WIDTH) -> 3 x (batch, head, position, HEAD_WIDTH)
        query, key, value = projected.view(*projected.shape[:2], 3, HEADS, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        if self.linear:
            summary = key.softmax(dim=2).transpose(2, 3) @ value
            read = (query.softmax(dim=3) * HEAD_WIDTH**-0.5) @ summary
        else:
            read = nn.functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.out_norm(self.out(read.transpose(1, 2).flatten(2)))
        return x + attended.transpose(1, 2)


class Level(nn.Module):
    """One level of the way down or up: two conditioned blocks, linear attention, then the way to the next level.

    Args:
        width_in: Channels that each block takes, its skip included.
        width: Channels of the level.
        skips: Whether each block takes up a skip connection (the way up) or leaves one behind (the way down).
        to_next: The way to the next level.
        condition_width: Length of the condition.
    """

    def __init__(self, width_in: int, width: int, skips: bool, to_next: nn.Module, condition_width: int) -> None:
        super().__init__()
        self.skips = skips
        self.first = ConditionedBlock(width_in, width, condition_width)
        self.second = ConditionedBlock(width_in, width, condition_width)
        self.attention = PositionAttention(width, linear=True)
        self.to_next = to_next

    def forward(self, x: Tensor, condition: Tensor, stack: list[Tensor]) -> Tensor:
        """Map `(batch, channel, position)` to the next level's shape; put skips on the stack, or take them from it."""
        if self.skips:
            x = self.first(torch.cat((x, stack.pop()), dim=1), condition)
            x = self.attention(self.second(torch.cat((x, stack.pop()), dim=1), condition))
        else:
            x = self.first(x, condition)
            stack.append(x)
            x = self.attention(self.second(x, condition))
            stack.append(x)
        out: Tensor = self.to_next(x)
        return out


class UNetDenoiser(nn.Module):
    """Predicts v, epsilon or the sample itself from a noisy latent; which one is the caller's convention.

    At the paper's sizes (width 128, multipliers 1, 2, 2, 4) it has 21.32 million parameters; 21.3 are counted in the
    paper's code.

    Args:
        latent_dim: Length of the co-latent, a multiple of 2 to the power of the number of halvings, which is one less
            than that of the multipliers.
        width: Channels of the first level, a multiple of 8 (paper's code: 128).
        multipliers: Channels after each level over `width` (paper's code: 1, 2, 2, 4).
    """

    def __init__(self, latent_dim: int, width: int, multipliers: tuple[int, ...]) -> None:
        super().__init__()
        self.width = width
        condition_width = 4 * width
        self.condition = nn.Sequential(
            nn.Linear(width, condition_width), nn.GELU(), nn.Linear(condition_width, condition_width)
        )
        self.from_latent = nn.Conv1d(1, width, 7, padding=3)
        levels = list(pairwise((width, *(width * multiplier for multiplier in multipliers))))
        deepest = len(levels) - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for depth, (shallow, deep) in enumerate(levels):
            kernel, stride = (4, 2) if depth < deepest else (3, 1)
            to_next: nn.Module = nn.Conv1d(shallow, deep, kernel, stride=stride, padding=1)
            self.down.append(Level(shallow, shallow, False, to_next, condition_width))
        for depth, (shallow, deep) in reversed(list(enumerate(levels))):
            widen = [nn.Upsample(scale_factor=2.0)] if depth > 0 else []
            to_next = nn.Sequential(*widen, nn.Conv1d(deep, shallow, 3, padding=1))
            self.up.append(Level(shallow + deep, deep, True, to_next, condition_width))
        bottom = levels[-1][1]
        self.bottom_first = ConditionedBlock(bottom, bottom, condition_width)
        self.bottom_attention = PositionAttention(bottom, linear=False)
        self.bottom_second = ConditionedBlock(bottom, bottom, condition_width)
        self.last = ConditionedBlock(2 * width, width, condition_width)
        self.to_latent = nn.Conv1d(width, 1, 1)
        nn.init.zeros_(self.to_latent.weight)
        nn.init.zeros_(self.to_latent.bias)  # type: ignore[arg-type]

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Map a noisy latent `(batch, latent_dim)` at time `(batch,)` in 0..1 to `(batch, latent_dim)`."""
        condition = self.condition(time_features(time, self.width))
        start = self.from_latent(noisy[:, None])
        x, stack = start, list[Tensor]()
        for level in self.down:
            x = level(x, condition, stack)
        x = self.bottom_attention(self.bottom_first(x, condition))
        x = self.bottom_second(x, condition)
        for level in self.up:
            x = level(x, condition, stack)
        out: Tensor = self.to_latent(self.last(torch.cat((x, start), dim=1), condition))
        return out[:, 0]
