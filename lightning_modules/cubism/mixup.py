"""Samples between two volcanoes (paper: sections 4.1 and 5.1; Zhang et al. 2018).

lambda ~ Beta(8, 2) is the source's part, .8 in the mean. The paper draws one for a batch; one for each sample tells the
soft discriminator more at once.
"""

from typing import Literal

import torch
from torch import Tensor

Mixup = Literal["none", "latent", "input", "input_and_latent"]


def inject_noise(latent: Tensor, multiplicative: Tensor, additive: Tensor, sigma_m: float, sigma_a: float) -> Tensor:
    """Noisy feature mixup's (1 + sigma_m zeta_m) z + sigma_a zeta_a (paper: section 5.1; Lim et al. 2021).

    Args:
        latent: z `(batch, D)`.
        multiplicative: zeta_m, standard normal, the same shape.
        additive: zeta_a, likewise.
        sigma_m: Size of the multiplicative noise.
        sigma_a: Size of the additive noise.
    """
    return (1.0 + sigma_m * multiplicative) * latent + sigma_a * additive


def mix(source: Tensor, target: Tensor, source_part: Tensor) -> Tensor:
    """Eq. 2: lambda * source + (1 - lambda) * target.

    Args:
        source: `(batch, ...)`.
        target: The same shape.
        source_part: lambda `(batch,)` in [0, 1].
    """
    part = source_part.to(source.dtype).view(-1, *(1 for _ in source.shape[1:]))
    return part * source + (1.0 - part) * target


def rows_of_classes(label: Tensor, wanted: Tensor, uniform: Tensor) -> Tensor:
    """For each wanted class a row of that class, drawn evenly.

    Args:
        label: Classes of the rows to draw from `(n,)`.
        wanted: Classes `(m,)`.
        uniform: Uniform numbers on [0, 1) `(m,)`.

    Returns:
        Rows `(m,)`; where no row has the wanted class, any row.
    """
    rows = torch.empty_like(wanted)
    everything = torch.arange(len(label), device=label.device)
    for value in torch.unique(wanted):
        asked = wanted == value
        there = everything[label == value]
        there = there if len(there) else everything
        rows[asked] = there[(uniform[asked] * len(there)).long().clamp(max=len(there) - 1)]
    return rows
