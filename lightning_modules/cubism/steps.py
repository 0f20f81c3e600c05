"""The losses of one training step: pre-training of the generator, and adaptation (Algorithm 1, lines 5 to 18).

What has no part in a step stays in the graph with weight zero, as several processes want it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from lightning_modules.cubism.balance import class_frequencies, generated_shares, prior_offset
from lightning_modules.cubism.batches import TransferBatch
from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.inter_domain import (
    Mixture,
    draw_anchors,
    mixed_by_flow,
    mixed_by_vae,
    mixed_images,
    noisy,
)
from lightning_modules.cubism.losses import (
    classification_loss,
    conditional_alignment_loss,
    domain_loss,
    generative_loss,
)
from lightning_modules.cubism.networks import TransferNetworks
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.schedule import ramp
from lightning_modules.cubism.vae import ImageVae, vae_loss
from lightning_modules.cubism.volcano_norm import Origin


class Weights(NamedTuple):
    """Of the terms of Eq. 13, at this point of adaptation."""

    rho: float
    gamma: float
    eta: float
    delta: float


def weights_at(progress: float, settings: Mapping[str, Any]) -> Weights:
    """Return the four weights at a share of adaptation: one rise, a cap each; delta's begins after its warm-up."""
    risen = ramp(progress, settings["iota"])
    warmup = settings["conditional_warmup"]
    aligned = ramp(max(0.0, progress - warmup) / (1.0 - warmup), settings["iota"])
    return Weights(
        settings["rho_max"] * risen,
        settings["gamma_max"] * risen,
        settings["eta_max"] * risen,
        settings["delta_max"] * aligned,
    )


def kept_in_graph(network: nn.Module) -> Tensor:
    """Zero, depending on all of a network's parameters."""
    return 0.0 * torch.stack([weight.flatten()[0] for weight in network.parameters()]).sum()


def pretraining_losses(
    networks: TransferNetworks, settings: Mapping[str, Any], batch: TransferBatch, draws: StepDraws
) -> dict[str, Tensor]:
    """Return the generator's own loss and the classifier's on the source.

    The flow learns the source's classes, the VAE both volcanoes' images.
    """
    losses = {}
    generator = networks.generator
    if isinstance(generator, FlowGmm):
        losses["generator"] = _flow_loss(generator, batch, draws, settings["dequantisation"])
    elif isinstance(generator, ImageVae):
        images = torch.cat([batch.source_image, batch.target_image])
        losses["generator"] = _vae_loss(generator, images, [draws, draws])
    readable = networks.readable(batch.source_image)
    logits, _ = networks.readers(readable, Origin.all_of("source", len(readable)), None, [draws])
    networks.take_target_statistics(batch.target_image)
    losses["classification"] = classification_loss(logits, batch.source_label)
    losses["unused"] = kept_in_graph(networks.readers)
    return losses


def _flow_loss(model: FlowGmm, batch: TransferBatch, draws: StepDraws, dequantisation: float) -> Tensor:
    """Eq. 3 on the source, dequantised: with white noise of that standard deviation on its pixels."""
    image = batch.source_image
    if dequantisation > 0.0:
        image = image + dequantisation * draws.normal(*image.shape[1:])
    return generative_loss(model.log_likelihood_per_dimension(*model.encode(image)), batch.source_label)


def _vae_loss(model: ImageVae, image: Tensor, draws: list[StepDraws]) -> Tensor:
    mean, deviation = model.encode(image)
    noise = torch.cat([each.normal(mean.shape[1]) for each in draws])
    return vae_loss(image, model.decode(mean + deviation * noise), mean, deviation)


@torch.no_grad()
def _classifiers_pseudo_labels(networks: TransferNetworks, image: Tensor) -> Tensor:
    readers, was_training = networks.readers, networks.readers.training
    readers.eval()  # neither dropout nor this batch's statistics
    probability = networks.classify(image).softmax(dim=1)
    readers.train(was_training)
    return probability


class Adaptation:
    """One step of adaptation.

    Args:
        networks: All of them.
        settings: Of the module.
        weights: At this point of training.
        draws: The step's chance.
        processes: Those that share the global batch.
        first_epoch: Whether this is the first epoch of adaptation.
    """

    def __init__(
        self,
        networks: TransferNetworks,
        settings: Mapping[str, Any],
        weights: Weights,
        draws: StepDraws,
        processes: Processes,
        *,
        first_epoch: bool,
    ) -> None:
        self.networks, self.settings, self.weights = networks, settings, weights
        self.draws, self.processes, self.first_epoch = draws, processes, first_epoch
        self.batch_shares: Tensor | None = None

    def losses(self, batch: TransferBatch) -> dict[str, Tensor]:
        """Return the terms of Eq. 13 by name, as they are to be added up."""
        networks, settings, weights = self.networks, self.settings, self.weights
        losses: dict[str, Tensor] = {}
        source_latent = target_latent = target_log_det = None
        if isinstance(networks.generator, FlowGmm):
            if networks.reads_latents:
                source_latent, _ = networks.generator.encode(batch.source_image)
            target_latent, target_log_det = networks.generator.encode(batch.target_image)
            own = _flow_loss(networks.generator, batch, self.draws, settings["dequantisation"])
            losses["generator"] = settings["likelihood_weight"] * own
        elif isinstance(networks.generator, ImageVae):
            images = torch.cat([batch.source_image, batch.target_image])
            own = _vae_loss(networks.generator, images, [self.draws, self.draws])
            losses["generator"] = settings["likelihood_weight"] * own
        noisy_latent = None
        if target_latent is not None:
            noisy_latent = noisy(target_latent, self.draws, settings["sigma_m"], settings["sigma_a"])
        mixtures, ratio = [], networks.source_frequencies
        if settings["mixup"] != "none":
            pseudo = self.pseudo_labels(batch.target_image, target_latent)
            ratio = self._update_ratio(pseudo)
            mixtures = self.mixtures(batch, pseudo, ratio, noisy_latent)
        n = len(batch.source_image)
        blocks = [self._source(batch.source_image, source_latent)]
        confident = settings["conditional"] and settings["confidence"] == "classifier"
        has_target = settings["adversary"] or confident or (networks.per_volcano and bool(mixtures))
        if has_target:
            blocks.append(self._target(batch.target_image, target_latent, noisy_latent))
        else:
            networks.take_target_statistics(batch.target_image)
        blocks += [self._mixed(mixture) for mixture in mixtures]
        source_parts = torch.cat([mixture.source_part for mixture in mixtures]) if mixtures else None
        origin = Origin(n, n if has_target else 0, source_parts)
        reversal = None
        if settings["adversary"]:
            reversal = torch.tensor([weights.rho] * 2 + [weights.gamma] * len(mixtures)).repeat_interleave(n)
            reversal = reversal.to(batch.source_image.device)
        logits, source_logit = networks.readers(torch.cat(blocks), origin, reversal, [self.draws] * len(blocks))
        by_block = logits.split(n)
        losses["classification"] = classification_loss(by_block[0], batch.source_label)
        for mixture, mixed_logits in zip(mixtures, by_block[len(by_block) - len(mixtures) :], strict=True):
            if settings["prior_correction"] and settings["balance"] != "none":
                offset = prior_offset(self._drawn_shares(ratio), ratio, mixture.source_part)
                mixed_logits = mixed_logits + offset
            each = weights.eta * classification_loss(mixed_logits, mixture.label) / len(mixtures)
            losses["mixed_classification"] = losses.get("mixed_classification", 0.0) + each
        if source_logit is not None:
            parts = source_logit.split(n)
            one = torch.ones(n, device=source_logit.device)
            losses["domain"] = domain_loss(parts[0], one) + domain_loss(parts[1], 0.0 * one)
            for mixture, part in zip(mixtures, parts[2:], strict=True):
                each = domain_loss(part, mixture.source_part) / len(mixtures)
                losses["mixed_domain"] = losses.get("mixed_domain", 0.0) + each
        if settings["conditional"]:
            assert target_latent is not None
            assert target_log_det is not None
            confidence = by_block[1].softmax(dim=1) if has_target else None
            losses["conditional"] = weights.delta * self._alignment(target_latent, target_log_det, confidence)
        if networks.generator is not None:
            losses["unused"] = kept_in_graph(networks.generator)
        return losses

    # -- the target's pseudo-labels, class shares and mixtures

    def pseudo_labels(self, image: Tensor, latent: Tensor | None) -> Tensor:
        """Soft classes `(batch, class)` of target images, without gradient: Eq. 4, or the classifier's."""
        if latent is None or self.settings["pseudo_labels"] == "classifier":
            return _classifiers_pseudo_labels(self.networks, image)
        temperature = self.settings["pseudo_label_temperature"]
        return self.networks.flow.mixture.posterior(latent, temperature).detach()

    def _update_ratio(self, pseudo: Tensor) -> Tensor:
        counted = pseudo if self.settings["ratio_labels"] == "soft" else pseudo.argmax(dim=1)
        self.batch_shares = class_frequencies(counted, pseudo.shape[1], self.processes)
        return self.networks.target_ratio.update(self.batch_shares, first_epoch=self.first_epoch)

    def _drawn_shares(self, ratio: Tensor) -> Tensor:
        return generated_shares(self.settings["balance"], self.networks.source_frequencies, ratio)

    def mixtures(
        self, batch: TransferBatch, pseudo: Tensor, ratio: Tensor, noisy_latent: Tensor | None
    ) -> list[Mixture]:
        """Return a mixture for each space that is mixed in.

        Args:
            batch: Both volcanoes' images.
            pseudo: The target's soft classes `(batch, class)`.
            ratio: Estimate of the target's class shares `(class,)`.
            noisy_latent: The target's noisy latents, where there is a flow.
        """
        settings, networks, draws = self.settings, self.networks, self.draws
        shares = None if settings["balance"] == "none" else self._drawn_shares(ratio)
        per_sample = settings["mixup_per"] == "sample"
        mixtures = []
        for space in ("input", "latent"):
            if space not in settings["mixup"]:
                continue
            part = draws.beta(settings["mixup_alpha"], settings["mixup_beta"], per_sample=per_sample)
            generates = space == "latent" and settings["mixup_anchors"] == "gaussians" and noisy_latent is not None
            if generates and shares is None:
                shares_drawn: Tensor | None = networks.source_frequencies
            else:
                shares_drawn = shares
            anchors = draw_anchors(
                shares_drawn, batch.source_image, batch.source_label, draws, self.processes, real=not generates
            )
            if space == "input":
                mixtures.append(mixed_images(anchors, batch.target_image, pseudo, part))
            elif noisy_latent is not None:
                decode = not networks.reads_latents
                model = networks.flow
                mixtures.append(mixed_by_flow(model, anchors, noisy_latent, pseudo, part, draws, decode=decode))
            else:
                vae = cast(ImageVae, networks.generator)
                mixtures.append(mixed_by_vae(vae, anchors, batch.target_image, pseudo, part, draws))
        return mixtures

    # -- what the readers are given of each block

    def _source(self, image: Tensor, latent: Tensor | None) -> Tensor:
        return self._as_image(latent) if self.networks.reads_latents else image

    def _target(self, image: Tensor, latent: Tensor | None, noisy_latent: Tensor | None) -> Tensor:
        replaced = self.settings["noisy_target"] == "mixup_and_discriminator" and noisy_latent is not None
        if self.networks.reads_latents:
            return self._as_image(noisy_latent if replaced else latent)
        if not replaced:
            return image
        assert noisy_latent is not None
        return self._from_generator(self.networks.flow.decode(noisy_latent))

    def _mixed(self, mixture: Mixture) -> Tensor:
        if not self.networks.reads_latents:
            return self._from_generator(mixture.image)
        return self._as_image(mixture.latent) if mixture.latent is not None else self.networks.readable(mixture.image)

    def _as_image(self, latent: Tensor | None) -> Tensor:
        assert latent is not None
        return self.networks.flow.as_image(latent)

    def _from_generator(self, image: Tensor) -> Tensor:
        return image if self.settings["generator_gradient"] else image.detach()

    def _alignment(self, latent: Tensor, log_det: Tensor, confidence: Tensor | None) -> Tensor:
        settings, mixture = self.settings, self.networks.flow.mixture
        if confidence is None:
            confidence = mixture.posterior(latent, settings["pseudo_label_temperature"])
        likelihood = self.networks.flow.log_likelihood_per_dimension(
            latent, log_det, fixed_gaussians=not settings["conditional_moves_gaussians"]
        )
        return conditional_alignment_loss(
            likelihood,
            confidence,
            settings["tau"],
            class_cap=settings["conditional_class_cap"],
            processes=self.processes,
        )
