"""All networks of a transfer, and the reading of spectrograms with them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.cubism.balance import TargetRatio
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.readers import Readers
from lightning_modules.cubism.vae import ImageVae
from lightning_modules.cubism.volcano_norm import Origin, Volcano
from lightning_modules.errors import ModuleError


class TransferNetworks(nn.Module):
    """Readers H and D, generator F, and the class shares of both volcanoes.

    Args:
        settings: Of the module.
    """

    source_frequencies: Tensor

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        n_classes = settings["n_classes"]
        self.readers = Readers(
            n_classes,
            settings["representation"],
            settings["adversary"],
            settings["backbone_width"],
            settings["backbone_channels"],
            settings["head_units"],
            settings["dropout"],
            settings["batch_statistics"] == "per_volcano",
        )
        self.generator: FlowGmm | ImageVae | None = None
        if settings["generator"] == "flow":
            self.generator = FlowGmm(
                n_classes,
                settings["image_size"],
                settings["flow_layers"],
                settings["flow_units"],
                settings["shared_sigma"],
            )
        elif settings["generator"] == "vae":
            self.generator = ImageVae(settings["image_size"], settings["vae_dim"], settings["vae_width"])
        self.per_volcano = bool(settings["batch_statistics"] == "per_volcano")
        self.reads_latents = bool(settings["representation"] == "latent")
        self.target_ratio = TargetRatio(n_classes, settings["xi"], settings["ratio"])
        self.register_buffer("source_frequencies", torch.full((n_classes,), 1.0 / n_classes))

    @property
    def flow(self) -> FlowGmm:
        """The FlowGMM.

        Raises:
            ModuleError: If there is none.
        """
        if not isinstance(self.generator, FlowGmm):
            raise ModuleError("generator: there is no flow with class Gaussians here; set generator to 'flow'.")
        return self.generator

    def readable(self, image: Tensor) -> Tensor:
        """What the readers are given of images: themselves, or their z arranged as images; the same shape."""
        return self.flow.as_image(self.flow.encode(image)[0]) if self.reads_latents else image

    def features(self, image: Tensor, volcano: Volcano = "target") -> Tensor:
        """The classifier's backbone features `(batch, 8 * backbone_width)` of images `(batch, 1, size, size)`.

        Args:
            image: Of one volcano's events.
            volcano: By whose statistics they are normalised, where each volcano has its own.
        """
        features: Tensor = self.readers.backbone(self.readable(image), Origin.all_of(volcano, len(image)))
        return features

    def classify(self, image: Tensor, volcano: Volcano = "target") -> Tensor:
        """Class logits `(batch, class)`; arguments as `features`."""
        logits: Tensor = self.readers.classifier(self.features(image, volcano))
        return logits

    def source_logit(self, image: Tensor, volcano: Volcano) -> Tensor:
        """Logits of "source" `(batch,)`, zero where there is no discriminator; arguments as `features`."""
        return self.readers.source_logit(self.readable(image), volcano)

    def take_target_statistics(self, image: Tensor) -> None:
        """Update the target's running averages, where it has its own, by images that no loss of this step reads."""
        if self.per_volcano:
            with torch.no_grad():
                self.readers.take_statistics(self.readable(image))
