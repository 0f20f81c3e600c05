"""Inter-volcano mixtures with their two ends, as spectrograms, for pictures."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lightning_modules.cubism.batches import TransferBatch
from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.inter_domain import noisy
from lightning_modules.cubism.networks import TransferNetworks
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.steps import Adaptation, weights_at


class InterVolcano(NamedTuple):
    """Mixtures.

    Attributes:
        source_image: The source's end, generated or real `(batch, 1, size, size)`.
        target_image: The target's end, as it was mixed (noisy, where the flow mixes).
        image: The mixture.
        label: Soft classes `(batch, class)`.
        source_part: lambda `(batch,)`.
    """

    source_image: Tensor
    target_image: Tensor
    image: Tensor
    label: Tensor
    source_part: Tensor


@torch.no_grad()
def inter_volcano_images(
    networks: TransferNetworks, settings: Mapping[str, Any], batch: TransferBatch, seed: int
) -> InterVolcano | None:
    """Return mixtures as the networks make them now, those of the latent space where both spaces are mixed in.

    Args:
        networks: In evaluation mode.
        settings: Of the module.
        batch: Both volcanoes' events.
        seed: Of all chance.
    """
    if settings["mixup"] == "none":
        return None
    draws = StepDraws(seed, 0, len(batch.source_image), Processes(), batch.source_image.device)
    step = Adaptation(networks, settings, weights_at(1.0, settings), draws, Processes(), first_epoch=False)
    latent = noisy_latent = None
    if isinstance(networks.generator, FlowGmm):
        latent, _ = networks.generator.encode(batch.target_image)
        noisy_latent = noisy(latent, draws, settings["sigma_m"], settings["sigma_a"])
    pseudo = step.pseudo_labels(batch.target_image, latent)
    mixture = step.mixtures(batch, pseudo, networks.target_ratio.estimate, noisy_latent)[-1]
    source, target = mixture.ends
    image = mixture.image
    if mixture.latent is not None:
        source, target, image = (networks.flow.decode(each) for each in (source, target, mixture.latent))
    return InterVolcano(source, target, image, mixture.label, mixture.source_part)
