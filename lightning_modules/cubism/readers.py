"""What reads spectrograms, or latents arranged as images: backbone, classifier H and domain discriminator D.

In representation `shared` (DANN's) both heads stand on one backbone, and the reversed gradient goes into it. In `image`
(the paper's Fig. 3 and section 6.2) and `latent` each has a backbone of its own, and the reversed gradient goes on
into what made the images: the flow.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.heads import Head
from lightning_modules.cubism.resnet import ResNet18
from lightning_modules.cubism.reversal import reverse_gradient
from lightning_modules.cubism.volcano_norm import Origin, Volcano

Representation = Literal["latent", "image", "shared"]


class Readers(nn.Module):
    """H and D with their backbones.

    Args:
        n_classes: K.
        representation: Whether H and D share a backbone; `latent` and `image` differ in what they are given to read.
        adversary: Whether there is a D.
        width: Channels of a backbone's first stage.
        n_channels: Of a backbone's first convolution, 1 or 3.
        hidden_units: Of the heads.
        dropout: Of the heads.
        per_volcano: Whether the backbones normalise each volcano's rows by statistics of their own.
    """

    def __init__(
        self,
        n_classes: int,
        representation: Representation,
        adversary: bool,
        width: int = 64,
        n_channels: int = 1,
        hidden_units: int = 256,
        dropout: float = 0.5,
        per_volcano: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = ResNet18(width, n_channels, per_volcano)
        n_features = self.backbone.n_features
        self.classifier = Head(n_features, hidden_units, n_classes, dropout)
        self.discriminator = Head(n_features, hidden_units, 1, dropout) if adversary else None
        own = adversary and representation != "shared"
        self.discriminator_backbone = ResNet18(width, n_channels, per_volcano) if own else None

    @property
    def backbones(self) -> list[ResNet18]:
        """All backbones there are."""
        return [each for each in (self.backbone, self.discriminator_backbone) if each is not None]

    def forward(
        self, images: Tensor, origin: Origin, reversal: Tensor | None, draws: list[StepDraws]
    ) -> tuple[Tensor, Tensor | None]:
        """Class logits `(batch, class)`, and logits of "source" `(batch,)` where there is a D, in training.

        Args:
            images: All blocks of the batch, `(batch, 1, size, size)`, in one pass.
            origin: Where they come from.
            reversal: rho or gamma of each row `(batch,)`; not used without a D.
            draws: One for each block.
        """
        features = self.backbone(images, origin)
        logits = self.classifier(features, draws)
        if self.discriminator is None or reversal is None:
            return logits, None
        if self.discriminator_backbone is None:
            seen = reverse_gradient(features, reversal)
        else:
            seen = self.discriminator_backbone(reverse_gradient(images, reversal), origin)
        return logits, self.discriminator(seen, draws).squeeze(1)

    @torch.no_grad()
    def take_statistics(self, images: Tensor) -> None:
        """Read target images `(batch, 1, size, size)` for the sake of the target's running averages alone."""
        for backbone in self.backbones:
            backbone(images, Origin.all_of("target", len(images)))

    def source_logit(self, images: Tensor, volcano: Volcano) -> Tensor:
        """Logits of "source" `(batch,)` of one volcano's events, outside training; zero where there is no D."""
        if self.discriminator is None:
            return torch.zeros(len(images), device=images.device)
        backbone = self.discriminator_backbone or self.backbone
        logit: Tensor = self.discriminator(backbone(images, Origin.all_of(volcano, len(images)))).squeeze(1)
        return logit
