"""What chance decides in an epoch of an autoencoder's training, drawn wave speed by wave speed and not batch by batch.

Looked up by the wave speeds' numbers: so any number of processes that share a global batch see the same noise and the
same points, and so does a resumed training.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.seeds import generator_of


class EpochDraws(NamedTuple):
    """Draws for each wave speed.

    Attributes:
        code_noise: Standard normal `(wave_speed, n_latent)`.
        points: Where times are compared, uniform in the unit cube `(wave_speed, n_points, 3)`.
    """

    code_noise: Tensor
    points: Tensor


def draw_epoch(seed: int, epoch: int, n_wave_speeds: int, n_latent: int, n_points: int) -> EpochDraws:
    """Draw them.

    Args:
        seed: The run's seed.
        epoch: Number of the epoch.
        n_wave_speeds: Of all splits.
        n_latent: Length of the code.
        n_points: Points of each wave speed; 0 where times are not compared.
    """
    generator = generator_of(seed, epoch)
    return EpochDraws(
        torch.randn(n_wave_speeds, n_latent, generator=generator),
        torch.rand(n_wave_speeds, n_points, 3, generator=generator),
    )
