"""Cubism and its rivals, wired into Lightning (paper: section 5, Algorithm 1, Eqs. 3 to 13).

One module made of parts: generator (flow, VAE, none), balance, mixup, adversary, conditional alignment, representation.
Source-Only has none of them, DANN the adversary alone, Cubism all. One Adam trains everything; the adversary's side of
Eq. 10 is gradient reversal. The first `pretrain_epochs` of a fit train the generator on the source (Algorithm 1, line
1), the rest adapts. No target label enters: a training batch has none, and validation reads none.
"""

from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassF1Score

from lightning_modules.cubism.batches import LabelledBatch, TransferBatch, TransferData
from lightning_modules.cubism.checkpoint import load_initial_weights
from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.inter_volcano import InterVolcano, inter_volcano_images
from lightning_modules.cubism.networks import TransferNetworks
from lightning_modules.cubism.pretrained import load_pretrained
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.quality import ClassificationQuality
from lightning_modules.cubism.schedule import adaptation_progress, learning_rate_factor
from lightning_modules.cubism.settings import check_settings
from lightning_modules.cubism.steps import Adaptation, pretraining_losses, weights_at
from lightning_modules.cubism.validator import UnsupervisedScore
from lightning_modules.cubism.volcano_norm import Volcano
from lightning_modules.errors import ModuleError


class CubismModule(LightningModule):
    """Cubism.

    Args:
        generator: Model whose latent space samples are mixed in: the `flow` of FlowGMM, a `vae` (DM-ADA), or `none`.
        balance: With which class shares the source's part of mixtures is drawn: `co_balanced` (Eq. 5), `source`
            (BMix-DA), `none`: as in the source.
        mixup: Where samples are mixed.
        adversary: Whether a domain discriminator is played against.
        conditional: Whether confident target samples are drawn to their class's Gaussian (Eqs. 11 and 12).
        representation: What H and D read: z itself (`latent`), spectrograms (`image`, the paper's section 6.2), or
            features of one backbone (`shared`, DANN's).
        batch_statistics: What the backbones' batch normalisation normalises by: all rows together (`joint`), or each
            volcano's own (`per_volcano`, see `volcano_norm`), in training and afterwards. Where no loss reads the
            target, as in Source-Only, `per_volcano` still takes its statistics: that is AdaBN (Li et al. 2017).
        noisy_target: Whether noisy target samples enter the mixture alone, or stand for the target before H and D too
            (Algorithm 1).
        image_size: Rows and columns of a spectrogram.
        n_classes: K.
        backbone_width: Channels of the ResNet-18's first stage (official: 64).
        backbone_channels: Of its first convolution, 1 or the official 3.
        head_units: Hidden units of H and D.
        dropout: Of H and D.
        pretrained: File of official ResNet-18 weights, None for training from scratch.
        pretrained_sha256: Of that file, or its first digits; by default those in its name.
        flow_layers: Coupling layers (paper: 2).
        flow_units: Hidden units of each (paper: 128).
        shared_sigma: Whether the classes' Gaussians have one sigma together (paper: one each).
        dequantisation: Standard deviation of the white noise on the pixels, in [0, 1], with which the flow learns the
            source's likelihood; the whitening in front of it expects it (paper: none).
        vae_dim: Length of the VAE's latent.
        vae_width: Channels of its first stage.
        likelihood_weight: Weight of the source's negative log-likelihood (Eq. 3), or of the VAE's bound, in adaptation.
        generator_gradient: Whether H's and D's losses move the generator through what it decodes (Eq. 10).
        mixup_alpha: First parameter of lambda's Beta distribution (paper: 8).
        mixup_beta: Second (paper: 2).
        mixup_per: One lambda a `batch` (Algorithm 1) or one a `sample`.
        mixup_anchors: The source's part: generated from the class `gaussians` (paper), or real `events`, encoded.
        prior_correction: Whether H's loss on mixtures makes up for how often `balance` generates each class, so that H
            holds for the target's estimated shares (paper: no).
        sigma_m: Multiplicative noise on target latents (the paper states none).
        sigma_a: Additive noise, likewise.
        pseudo_labels: Of the target, from Eq. 4's class `gaussians` or from the `classifier` H.
        pseudo_label_temperature: Divides the log-likelihoods of Eq. 4 (paper: 1).
        ratio: Moving average of the target's class shares: `averaged` from the first batch on, or `batch_first_epoch`
            (Algorithm 1).
        ratio_labels: Whether shares count `hard` pseudo-labels (paper) or sum `soft` ones.
        xi: Decay of that average (paper: .9).
        confidence: Eq. 11's CP: softmax of the `classifier`, or Eq. 4's `gaussians`.
        tau: Least confidence (paper: .9).
        conditional_warmup: Share of adaptation before conditional alignment begins.
        conditional_class_cap: Largest share of the conditional loss that one class has; None for no cap.
        conditional_moves_gaussians: Whether target samples pull their Gaussian too, not it alone them.
        rho_max: Cap of the weight of source and target against D, in the reversed gradient (paper: 1).
        gamma_max: The same for mixtures.
        eta_max: Cap of the weight of H's loss on mixtures.
        delta_max: Cap of the weight of conditional alignment.
        iota: Steepness of the four weights' rise (paper: 10).
        pretrain_epochs: First epochs of a fit, in which only the generator learns, from the source (VAE: both).
        learning_rate: Adam's, at the start (paper: .01).
        generator_learning_rate: The generator's; None for the same.
        weight_decay: Adam's.
        beta1: Adam's first (the paper's "momentum": .9).
        schedule: Of the learning rate: `ganin` (paper), `cosine` to zero, `constant`.
        validator: Kind of val/unsupervised_score.
        sampling_seed: With the step's number, all chance in training.
        initial_weights: Checkpoint of a finished training.

    Raises:
        ModuleError: If a setting is impossible, or a file does not fit.
    """

    def __init__(
        self,
        generator: Literal["flow", "vae", "none"] = "flow",
        balance: Literal["co_balanced", "source", "none"] = "co_balanced",
        mixup: Literal["none", "latent", "input", "input_and_latent"] = "latent",
        adversary: bool = True,
        conditional: bool = True,
        representation: Literal["latent", "image", "shared"] = "latent",
        batch_statistics: Literal["joint", "per_volcano"] = "joint",
        noisy_target: Literal["mixup", "mixup_and_discriminator"] = "mixup",
        image_size: int = 64,
        n_classes: int = 2,
        backbone_width: int = 64,
        backbone_channels: int = 1,
        head_units: int = 128,
        dropout: float = 0.5,
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        flow_layers: int = 2,
        flow_units: int = 128,
        shared_sigma: bool = False,
        dequantisation: float = 0.0,
        vae_dim: int = 128,
        vae_width: int = 16,
        likelihood_weight: float = 1.0,
        generator_gradient: bool = True,
        mixup_alpha: float = 8.0,
        mixup_beta: float = 2.0,
        mixup_per: Literal["batch", "sample"] = "sample",
        mixup_anchors: Literal["gaussians", "events"] = "gaussians",
        prior_correction: bool = False,
        sigma_m: float = 0.1,
        sigma_a: float = 0.1,
        pseudo_labels: Literal["gaussians", "classifier"] = "gaussians",
        pseudo_label_temperature: float = 1.0,
        ratio: Literal["averaged", "batch_first_epoch"] = "averaged",
        ratio_labels: Literal["hard", "soft"] = "hard",
        xi: float = 0.9,
        confidence: Literal["classifier", "gaussians"] = "classifier",
        tau: float = 0.9,
        conditional_warmup: float = 0.2,
        conditional_class_cap: float | None = 0.5,
        conditional_moves_gaussians: bool = False,
        rho_max: float = 1.0,
        gamma_max: float = 1.0,
        eta_max: float = 1.0,
        delta_max: float = 1.0,
        iota: float = 10.0,
        pretrain_epochs: int = 2,
        learning_rate: float = 1e-3,
        generator_learning_rate: float | None = None,
        weight_decay: float = 0.0,
        beta1: float = 0.9,
        schedule: Literal["ganin", "cosine", "constant"] = "ganin",
        validator: Literal["soft_neighbourhood_density", "infomax", "entropy", "importance_weighted"] = "infomax",
        sampling_seed: int = 0,
        initial_weights: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_settings(self.hparams)
        self.networks = TransferNetworks(self.hparams)
        self.class_names = ["LP", "VT"] if n_classes == 2 else [str(number) for number in range(n_classes)]
        self.preprocessing: dict[str, Any] = {}
        self.source_f1 = MulticlassF1Score(n_classes, average="macro")
        self.unsupervised_score = UnsupervisedScore(validator)
        self.quality = torch.nn.ModuleDict(
            {domain: ClassificationQuality(n_classes) for domain in ("target", "source")}
        )
        self._has_weights = False

    def forward(self, image: Tensor, volcano: Volcano = "target") -> Tensor:
        """Class logits `(batch, class)` of one volcano's images `(batch, 1, size, size)`.

        Args:
            image: What to classify.
            volcano: Whose batch statistics to use, where each has its own.
        """
        return self.networks.classify(image, volcano)

    def features(self, image: Tensor, volcano: Volcano = "target") -> Tensor:
        """The classifier's backbone features `(batch, 8 * backbone_width)`; arguments as `forward`."""
        return self.networks.features(image, volcano)

    def inter_volcano_images(self, batch: TransferBatch, seed: int = 0) -> InterVolcano | None:
        """Mixtures of a batch as spectrograms, with both ends, for pictures; None where nothing is mixed."""
        return inter_volcano_images(self.networks, self.hparams, batch, seed)

    @property
    def parts(self) -> dict[str, int]:
        """Number of parameters of each part."""
        networks = {"readers": self.networks.readers, "generator": self.networks.generator}
        return {
            name: sum(weight.numel() for weight in network.parameters())
            for name, network in networks.items()
            if network is not None
        }

    # -- starting weights, and what is computed once about the data

    def _data(self) -> TransferData | None:
        return cast("TransferData | None", getattr(self.trainer, "datamodule", None))

    def setup(self, stage: str) -> None:
        """Load starting weights; a checkpoint to resume from comes afterwards and wins."""
        settings = self.hparams
        if settings["initial_weights"] is not None and not self._has_weights:
            content = load_initial_weights(self, settings["initial_weights"], settings)
            self.on_load_checkpoint(content)
        elif stage == "fit" and settings["pretrained"] is not None and not self._has_weights:
            for backbone in self.networks.readers.backbones:
                load_pretrained(backbone, settings["pretrained"], settings["pretrained_sha256"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note that trained weights arrive, and what they were trained on."""
        self._has_weights = True
        self.preprocessing = dict(checkpoint.get("preprocessing", {}))
        self.class_names = list(checkpoint.get("class_names", self.class_names))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write down how the images were made and what the classes are called, so that others can be classified."""
        checkpoint["preprocessing"], checkpoint["class_names"] = self.preprocessing, self.class_names

    def on_fit_start(self) -> None:
        """Take the source's class shares from its data, and fit the whitening to both volcanoes' unlabelled images."""
        data = self._data()
        if data is None:
            raise ModuleError("datamodule: a transfer needs a data module with both volcanoes; pass one to fit.")
        self.class_names, self.preprocessing = list(data.class_names), dict(data.preprocessing)
        if len(self.class_names) != self.hparams["n_classes"]:
            raise ModuleError(
                f"n_classes: got {self.hparams['n_classes']}, but the data have the classes "
                f"{', '.join(self.class_names)}; set it to {len(self.class_names)}."
            )
        shares = torch.as_tensor(data.source_class_frequencies, dtype=torch.float32, device=self.device)
        self.networks.source_frequencies.copy_(shares)
        generator = self.networks.generator
        if isinstance(generator, FlowGmm) and not generator.whitening.fitted:
            images = torch.cat([data.training_images(domain) for domain in ("source", "target")])
            generator.whitening.fit(images.to(self.device), self.hparams["dequantisation"])

    def on_train_end(self) -> None:
        """Note that there are trained weights."""
        self._has_weights = True

    def on_test_start(self) -> None:
        """Refuse to judge networks that nobody trained."""
        if not self._has_weights:
            raise ModuleError(
                "initial_weights: there are no trained weights to judge; give the path of a finished training's "
                "checkpoint."
            )

    def on_predict_start(self) -> None:
        """The same."""
        self.on_test_start()

    # -- steps

    def _progress(self) -> tuple[int, int, int]:
        """Optimiser steps taken, in the whole training, and in pre-training."""
        trainer = self.trainer
        n_steps = trainer.estimated_stepping_batches
        if n_steps == float("inf"):
            raise ModuleError("max_epochs: the weights' schedules need an end; set trainer.max_epochs.")
        return trainer.global_step, int(n_steps), self.hparams["pretrain_epochs"] * int(trainer.num_training_batches)

    def training_step(self, batch: TransferBatch, batch_idx: int) -> Tensor:
        """Return the generator's loss in pre-training, then Eq. 13."""
        step, n_steps, n_pretraining = self._progress()
        n = len(batch.source_image)
        processes = Processes(self.global_rank, self.trainer.world_size)
        draws = StepDraws(self.hparams["sampling_seed"], step, n, processes, self.device)
        if step < n_pretraining:
            losses = pretraining_losses(self.networks, self.hparams, batch, draws)
        else:
            weights = weights_at(adaptation_progress(step, n_steps, n_pretraining), self.hparams)
            first = step - n_pretraining < self.trainer.num_training_batches
            adaptation = Adaptation(self.networks, self.hparams, weights, draws, processes, first_epoch=first)
            losses = adaptation.losses(batch)
            if adaptation.batch_shares is not None:
                self.log("ratio/estimate", self.networks.target_ratio.estimate[-1], on_step=True, on_epoch=False)
                self.log("ratio/batch", adaptation.batch_shares[-1], on_step=True, on_epoch=False)
        loss = torch.stack(list(losses.values())).sum()
        for name, value in (("loss", loss), *losses.items()):
            if name != "unused":
                self.log(f"train/{name}", value.detach(), batch_size=n, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: LabelledBatch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Take in held-back source events, with labels, and target events, whose labels are not looked at.

        Returns:
            The classes' probabilities `(batch, class)`.
        """
        volcano: Volcano = "target" if dataloader_idx else "source"
        probability = self._probability(batch, volcano)
        if volcano == "source":
            self.source_f1.update(probability.argmax(dim=1), batch.label)
            source_logit = self.networks.source_logit(batch.image, volcano)
            self.unsupervised_score.update(probability, batch.label, source_logit)
        else:
            self.unsupervised_score.update(probability)
        return probability

    def on_validation_epoch_end(self) -> None:
        """Log the F1 on the source, and the score on the target that needs no labels."""
        self.log("val/source_f1", self.source_f1.compute(), prog_bar=True)
        self.log("val/unsupervised_score", self.unsupervised_score.compute(), prog_bar=True)
        self.source_f1.reset()
        self.unsupervised_score.reset()

    def test_step(self, batch: LabelledBatch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Judge target events (first) or source events; return the classes' probabilities `(batch, class)`."""
        volcano: Volcano = "source" if dataloader_idx else "target"
        probability = self._probability(batch, volcano)
        cast(ClassificationQuality, self.quality[volcano]).update(probability, batch.label)
        return probability

    def on_test_epoch_end(self) -> None:
        """Log each volcano's metrics, `target/f1` and so on, where labels were known."""
        for domain, quality in self.quality.items():
            for name, value in cast(ClassificationQuality, quality).compute(self.class_names).items():
                self.log(f"{domain}/{name}", value)

    def predict_step(self, batch: LabelledBatch, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Return the classes' probabilities `(batch, class)` of target events."""
        return self._probability(batch, "target")

    def _probability(self, batch: LabelledBatch, volcano: Volcano) -> Tensor:
        probability: Tensor = self(batch.image, volcano).softmax(dim=1)
        return probability

    # -- optimisation

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One Adam on everything, its rate scheduled by optimiser step."""
        settings = self.hparams
        rate = settings["learning_rate"]
        generator = list(self.networks.generator.parameters()) if self.networks.generator is not None else []
        groups: list[dict[str, Any]] = [{"params": list(self.networks.readers.parameters()), "lr": rate}]
        if generator:
            groups.append({"params": generator, "lr": settings["generator_learning_rate"] or rate})
        optimizer = Adam(groups, betas=(settings["beta1"], 0.999), weight_decay=settings["weight_decay"], fused=True)
        n_steps = self.trainer.estimated_stepping_batches

        def factor(step: int) -> float:
            return learning_rate_factor(min(1.0, step / n_steps), settings["schedule"])

        scheduler = LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
