"""What reads a backbone's features: classifier H and domain discriminator D (paper: section 6.2)."""

import torch
from torch import Tensor, nn

from lightning_modules.cubism.draws import StepDraws


class Head(nn.Module):
    """Dropout, then two fully connected layers with a ReLU between.

    Args:
        n_features: Of the backbone.
        hidden_units: Between the layers.
        n_outputs: Logits.
        dropout: Share of features that a training step blanks.
    """

    def __init__(self, n_features: int, hidden_units: int, n_outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.hidden = nn.Linear(n_features, hidden_units)
        self.output = nn.Linear(hidden_units, n_outputs)

    def forward(self, features: Tensor, draws: list[StepDraws] | None = None) -> Tensor:
        """Return logits `(batch, n_outputs)`.

        Args:
            features: `(batch, n_features)`.
            draws: In training: where the blanked features come from, once for each block of the batch (source, target,
                mixed), one after another.
        """
        if self.training and draws and self.dropout > 0.0:
            kept = torch.cat([each.uniform(features.shape[1]) for each in draws]) >= self.dropout
            features = features * kept / (1.0 - self.dropout)
        logits: Tensor = self.output(torch.relu(self.hidden(features)))
        return logits
