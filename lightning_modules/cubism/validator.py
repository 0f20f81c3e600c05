"""Scores of a classifier on a target without labels, for choosing a model; higher is better.

`infomax` (Bridle et al. 1992; Krause et al. 2010): predictions are certain each, and varied together; zero where every
event is called the same. `soft_neighbourhood_density` (Saito et al. 2021): target samples whose predictions agree lie
close together, apart from the others. It is made for many classes: between few, a classifier that says one class for
all has the largest score there is, log(n - 1).
`entropy`: certain each; a classifier that says one class for all scores best, so that it serves comparison only.
`importance_weighted` (Sugiyama et al. 2007): accuracy on the source's validation events, each weighted by how much it
resembles a target event.
"""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

Validator = Literal["soft_neighbourhood_density", "infomax", "entropy", "importance_weighted"]


def entropy(probability: Tensor) -> Tensor:
    """Entropy in nats of distributions `(..., class)`."""
    total: Tensor = torch.special.entr(probability).sum(dim=-1)
    return total


def infomax(probability: Tensor) -> Tensor:
    """Mutual information of sample and prediction: entropy of the mean less mean entropy of `(n, class)`."""
    return entropy(probability.mean(dim=0)) - entropy(probability).mean()


def soft_neighbourhood_density(probability: Tensor, temperature: float = 0.05) -> Tensor:
    """Mean entropy of each sample's distribution over its neighbours, by likeness of predictions `(n, class)`."""
    direction = torch.nn.functional.normalize(probability, dim=1)
    likeness = direction @ direction.T / temperature
    likeness.fill_diagonal_(-torch.inf)
    return entropy(likeness.softmax(dim=1)).mean()


def importance_weighted_accuracy(probability: Tensor, label: Tensor, source_logit: Tensor) -> Tensor:
    """Accuracy on source events, weighted by p(target | x) / p(source | x).

    Args:
        probability: `(n, class)`.
        label: `(n,)`.
        source_logit: The discriminator's logit of "source" `(n,)`; zero where there is no discriminator.
    """
    # Capped: a few very target-like events must not decide alone.
    weight = (-source_logit).exp().clamp(max=10.0)
    right = (probability.argmax(dim=1) == label).to(weight.dtype)
    return (right * weight).sum() / weight.sum().clamp(min=1e-12)


class UnsupervisedScore(Metric):
    """One of the scores over a whole validation.

    Args:
        kind: Which.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    target: list[Tensor]
    source: list[Tensor]
    label: list[Tensor]
    logit: list[Tensor]

    def __init__(self, kind: Validator = "infomax") -> None:
        super().__init__()
        self.kind = kind
        for name in ("target", "source", "label", "logit"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, probability: Tensor, label: Tensor | None = None, source_logit: Tensor | None = None) -> None:
        """Add predictions `(batch, class)`: of target events, or with `label` and `source_logit` of source events."""
        if label is None:
            self.target.append(probability.double())
            return
        self.source.append(probability.double())
        self.label.append(label)
        self.logit.append(torch.zeros(len(label), device=label.device) if source_logit is None else source_logit)

    def compute(self) -> Tensor:
        """Return the score; NaN where nothing was added."""
        wanted = self.source if self.kind == "importance_weighted" else self.target
        if len(wanted) == 0:
            return torch.tensor(torch.nan)
        if self.kind == "importance_weighted":
            source, label, logit = (dim_zero_cat(part) for part in (self.source, self.label, self.logit))
            return importance_weighted_accuracy(source, label, logit.double())
        target = dim_zero_cat(self.target)
        if self.kind == "soft_neighbourhood_density":
            return soft_neighbourhood_density(target)
        return infomax(target) if self.kind == "infomax" else -entropy(target).mean()
