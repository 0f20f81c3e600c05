"""Standardised co-latents: what the diffusion model sees.

A diffusion process that starts and ends at unit variance wants data of about unit variance, and the co-latent's
components have spreads of their own. Mean and spread over all training maps are kept as buffers, so that a checkpoint
knows how to come back. (The paper's code feeds the raw latent.)
"""

import numpy as np
import torch
from torch import Tensor, nn


class LatentScaler(nn.Module):
    """Per-component mean and standard deviation of the co-latent.

    Args:
        latent_dim: Length of the co-latent.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("spread", torch.ones(latent_dim))

    def fit(self, latents: Tensor) -> None:
        """Take mean and spread from latents `(n, latent_dim)`, n at least 2."""
        wide = latents.double()
        self.mean.copy_(wide.mean(dim=0))
        # A component that never moves keeps a small spread instead of a division by zero.
        self.spread.copy_(wide.std(dim=0).clamp(min=1e-3))

    def standardise(self, latent: Tensor) -> Tensor:
        """Map co-latents `(batch, latent_dim)` to zero mean and unit variance."""
        return (latent - self.mean) / self.spread

    def restore(self, standardised: Tensor) -> Tensor:
        """Undo `standardise`, and keep the result in the encoder's range, -1 to 1."""
        return (standardised * self.spread + self.mean).clamp(-1.0, 1.0)


class IndexedNoise:
    """Standard normal noise whose row i depends on the seed and the sample's number alone.

    Each sample has a generator of its own on the CPU, so that sample 17 of seed 0 is the same whatever the batch size,
    the number of processes or the device.

    Args:
        indices: Sample numbers, not negative.
        seed: Seed of the whole set.
        latent_dim: Length of a row.
    """

    def __init__(self, indices: list[int], seed: int, latent_dim: int) -> None:
        self.latent_dim = latent_dim
        self.generators = [torch.Generator().manual_seed(_mix(seed, index)) for index in indices]

    def draw(self) -> Tensor:
        """Return fresh noise, float32 `(batch, latent_dim)`, on the CPU."""
        rows = [torch.randn(self.latent_dim, generator=generator) for generator in self.generators]
        return torch.stack(rows) if rows else torch.empty(0, self.latent_dim)


def _mix(seed: int, index: int) -> int:
    """Mix seed and number into 63 bits (numpy's SeedSequence: neighbouring seeds give unrelated streams)."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))
