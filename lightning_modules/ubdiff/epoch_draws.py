"""What chance decides in an epoch of training, drawn sample by sample and not batch by batch.

Drawn for the whole training set at the epoch's start from (seed, epoch) alone, and looked up by the samples' numbers:
so any number of processes that share a global batch see the same noise, and so does a resumed training.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.seeds import generator_of


class EpochDraws(NamedTuple):
    """Draws for each sample of the training set.

    Attributes:
        mirrored: Whether the map is mirrored left to right, bool `(n,)`, each with probability 1/2.
        step: Diffusion time, int64 `(n,)`, uniform on 0 .. n_steps - 1; empty where there is no diffusion.
        noise: Standard normal `(n, latent_dim)`; empty where there is no diffusion.
    """

    mirrored: Tensor
    step: Tensor
    noise: Tensor


def draw_epoch(seed: int, epoch: int, n_samples: int, *, latent_dim: int, n_steps: int, diffusion: bool) -> EpochDraws:
    """Draw on the CPU, where the same seed gives the same numbers on every machine.

    Args:
        seed: The run's seed.
        epoch: Number of the epoch.
        n_samples: Size of the training set.
        latent_dim: Length of the co-latent.
        n_steps: Diffusion times T.
        diffusion: Whether times and noise are needed.
    """
    generator = generator_of(seed, epoch)
    n_diffused = n_samples if diffusion else 0
    return EpochDraws(
        torch.rand(n_samples, generator=generator) < 0.5,
        torch.randint(n_steps, (n_diffused,), generator=generator),
        torch.randn(n_diffused, latent_dim, generator=generator),
    )
