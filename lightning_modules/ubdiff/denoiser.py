"""The denoising network of the latent diffusion: a small perceptron with AdaLN conditioning on the diffusion time.

The paper's code runs a one-dimensional U-Net of 21 million parameters over the 128-number co-latent as if it were a
sequence of length 128 (3.5 s a sample on one core). The co-latent has no order in which neighbours would mean anything,
so a perceptron with adaptive layer norm (Peebles and Xie 2023, arXiv 2212.09748, AdaLN-Zero) takes its place.
"""

import math

import torch
from torch import Tensor, nn


def time_features(time: Tensor, width: int) -> Tensor:
    """Sinusoidal features of diffusion time.

    Args:
        time: `(batch,)`, in 0..1.
        width: Number of features, even.

    Returns:
        `(batch, width)`: cosines and sines at frequencies from 1 to 1000 radians per unit time.
    """
    frequency = torch.exp(torch.linspace(0.0, math.log(1000.0), width // 2, device=time.device))
    angle = time[:, None] * frequency
    return torch.cat((angle.cos(), angle.sin()), dim=1)


class AdaptiveBlock(nn.Module):
    """Residual perceptron whose layer norm is shifted, scaled and gated by the condition (AdaLN-Zero)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 3 * width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, expansion * width), nn.SiLU(), nn.Linear(expansion * width, width)
        )
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `x` and `condition`, both `(batch, width)`, to `(batch, width)`."""
        shift, scale, gate = self.modulation(condition).chunk(3, dim=1)
        branch: Tensor = self.perceptron(self.norm(x) * (1.0 + scale) + shift)
        out: Tensor = x + gate * branch
        return out


class Denoiser(nn.Module):
    """Predicts v, epsilon or the sample itself from a noisy latent; which one is the caller's convention.

    Args:
        latent_dim: Length of the co-latent.
        width: Hidden width, even.
        depth: Number of adaptive blocks.
        expansion: Hidden width of a block's perceptron over `width`.
    """

    def __init__(self, latent_dim: int, width: int, depth: int, expansion: int = 2) -> None:
        super().__init__()
        self.width = width
        self.from_latent = nn.Linear(latent_dim, width)
        self.condition = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(AdaptiveBlock(width, expansion) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_latent = nn.Linear(width, latent_dim)
        nn.init.zeros_(self.to_latent.weight)
        nn.init.zeros_(self.to_latent.bias)

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Map a noisy latent `(batch, latent_dim)` at time `(batch,)` in 0..1 to `(batch, latent_dim)`."""
        condition = self.condition(time_features(time, self.width))
        x = self.from_latent(noisy)
        for block in self.blocks:
            x = block(x, condition)
        out: Tensor = self.to_latent(self.norm(x))
        return out
