"""Inter-volcano samples of one step (paper: section 5.1; Algorithm 1, lines 5 to 17).

The source's part of a sample is generated from the class Gaussians with the balanced shares, as in the paper, or is a
real source event, encoded, drawn with the same shares. Rows of the target keep their order; which source row meets
them is chance.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from lightning_modules.cubism.balance import draw_classes
from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.mixup import inject_noise, mix, rows_of_classes
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.vae import ImageVae


class Anchors(NamedTuple):
    """The source's part of the mixtures.

    Attributes:
        label: Classes `(batch,)`.
        image: Real source events of these classes `(batch, 1, size, size)`; None where they are generated.
    """

    label: Tensor
    image: Tensor | None


class Mixture(NamedTuple):
    """Samples between two volcanoes.

    Attributes:
        image: `(batch, 1, size, size)`.
        latent: The flow's z `(batch, D)`, where the flow made them; else None.
        label: Soft classes `(batch, class)`.
        source_part: lambda, which is also the soft domain label `(batch,)`.
        ends: Its source and its target, as they were mixed: latents of the flow, else images.
    """

    image: Tensor
    latent: Tensor | None
    label: Tensor
    source_part: Tensor
    ends: tuple[Tensor, Tensor]


def draw_anchors(
    shares: Tensor | None, image: Tensor, label: Tensor, draws: StepDraws, processes: Processes, *, real: bool
) -> Anchors:
    """Draw the source's part of as many mixtures as the batch has rows.

    Args:
        shares: With which the classes are drawn `(class,)`; None takes the batch's events as they come.
        image: Source batch `(batch, 1, size, size)`.
        label: Its classes `(batch,)`.
        draws: The step's.
        processes: Those that share the global batch.
        real: Whether real events are wanted.
    """
    if shares is None:
        return Anchors(label, image)
    wanted = draw_classes(shares, draws.global_uniform())
    if not real:
        return Anchors(processes.own(wanted), None)
    # From the whole global batch, or the pairs would depend on the number of processes.
    rows = rows_of_classes(processes.gather(label), wanted, draws.global_uniform())
    chosen = processes.own(rows)
    return Anchors(processes.gather(label)[chosen], processes.gather(image)[chosen])


def mixed_labels(anchors: Anchors, pseudo_label: Tensor, source_part: Tensor) -> Tensor:
    """Soft classes `(batch, class)` of the mixtures."""
    one_hot = F.one_hot(anchors.label, pseudo_label.shape[1]).to(pseudo_label.dtype)
    return mix(one_hot, pseudo_label, source_part)


def mixed_images(anchors: Anchors, target_image: Tensor, pseudo_label: Tensor, source_part: Tensor) -> Mixture:
    """Mix in the input space: spectrograms themselves."""
    assert anchors.image is not None
    image = mix(anchors.image, target_image, source_part)
    ends = (anchors.image, target_image)
    return Mixture(image, None, mixed_labels(anchors, pseudo_label, source_part), source_part, ends)


def mixed_by_flow(
    model: FlowGmm,
    anchors: Anchors,
    noisy_target: Tensor,
    pseudo_label: Tensor,
    source_part: Tensor,
    draws: StepDraws,
    *,
    decode: bool,
) -> Mixture:
    """Mix z^G, from the class Gaussians or from encoded events, with noisy target latents `(batch, D)`."""
    if anchors.image is None:
        source = model.mixture.sample(anchors.label, draws.normal(noisy_target.shape[1]))
    else:
        source, _ = model.encode(anchors.image)
    latent = mix(source, noisy_target, source_part)
    image = model.decode(latent) if decode else latent.new_empty(0)
    label = mixed_labels(anchors, pseudo_label, source_part)
    return Mixture(image, latent, label, source_part, (source, noisy_target))


def mixed_by_vae(
    model: ImageVae,
    anchors: Anchors,
    target_image: Tensor,
    pseudo_label: Tensor,
    source_part: Tensor,
    draws: StepDraws,
) -> Mixture:
    """Mix two posteriors' means and deviations `(batch, latent_dim)`, sample and decode (DM-ADA)."""
    assert anchors.image is not None
    source, target = model.encode(anchors.image), model.encode(target_image)
    mean, deviation = (mix(one, other, source_part) for one, other in zip(source, target, strict=True))
    image = model.decode(mean + deviation * draws.normal(mean.shape[1]))
    label = mixed_labels(anchors, pseudo_label, source_part)
    return Mixture(image, None, label, source_part, (anchors.image, target_image))


def noisy(latent: Tensor, draws: StepDraws, sigma_m: float, sigma_a: float) -> Tensor:
    """Noisy target latents z-tilde `(batch, D)`."""
    n = latent.shape[1]
    return inject_noise(latent, draws.normal(n), draws.normal(n), sigma_m, sigma_a)
