"""Class shares of both volcanoes, and with which shares new samples are generated (paper: section 5.1, Eq. 5).

Cubism draws class k with probability 1 - w-bar_k, w-bar being the mean of the source's shares and the moving average of
the target's pseudo-labels; BMix-DA takes the source's shares alone. For K classes 1 - w sums to K - 1, so that it is
divided by that; Algorithm 1 knows two classes only.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.cubism.processes import Processes

Balance = Literal["co_balanced", "source", "none"]
RatioRule = Literal["averaged", "batch_first_epoch"]
_RAREST = 0.02
"""Least share of a class that is believed, where a logarithm is taken of it."""


def class_frequencies(labels: Tensor, n_classes: int, processes: Processes | None = None) -> Tensor:
    """Shares of the classes in the global batch, `(class,)`.

    Args:
        labels: Numbers `(batch,)`, or probabilities `(batch, class)`.
        n_classes: K.
        processes: Those that share the global batch; one by default.
    """
    if labels.ndim == 1:
        counts = torch.bincount(labels, minlength=n_classes).float()
    else:
        counts = labels.detach().float().sum(dim=0)
    counts = (processes or Processes()).sum(counts)
    return counts / counts.sum()


def co_balanced_frequencies(source: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: the mean of both volcanoes' shares `(class,)`."""
    return 0.5 * (source + target)


def sampling_probabilities(frequencies: Tensor) -> Tensor:
    """(1 - w) / (K - 1), `(class,)`: the rarer a class, the likelier."""
    return (1.0 - frequencies) / (len(frequencies) - 1)


def generated_shares(balance: Balance, source: Tensor, target: Tensor) -> Tensor:
    """With which shares `(class,)` the classes are generated.

    Args:
        balance: `co_balanced` (Cubism), `source` (BMix-DA), or `none`: as often as in the source.
        source: W^s `(class,)`.
        target: Estimate of W^t `(class,)`.
    """
    if balance == "none":
        return source
    return sampling_probabilities(co_balanced_frequencies(source, target) if balance == "co_balanced" else source)


def prior_offset(generated: Tensor, wanted: Tensor, source_part: Tensor) -> Tensor:
    """What to add to a classifier's logits on mixtures, so that it holds where classes are as frequent as `wanted`.

    Mixtures are labelled lambda times a generated class plus 1 - lambda times the target's: these are their classes'
    shares pi. A classifier that learns from them as they are takes pi for granted, and where balance makes four of five
    VT it calls LP events VT. With log(pi / wanted) added in training it does not (Menon et al. 2021, Eq. 10).

    Args:
        generated: With which shares the classes were generated `(class,)`.
        wanted: Estimate of W^t `(class,)`.
        source_part: lambda `(batch,)`.

    Returns:
        `(batch, class)`.
    """
    part = source_part[:, None]
    shares = part * generated + (1.0 - part) * wanted
    return shares.clamp_min(_RAREST).log() - wanted.clamp_min(_RAREST).log()


def draw_classes(shares: Tensor, uniform: Tensor) -> Tensor:
    """Classes `(n,)` with the given shares `(class,)`, from uniform numbers `(n,)` on [0, 1)."""
    edges = shares.cumsum(dim=0)[:-1].contiguous()
    return torch.searchsorted(edges, uniform.to(edges.dtype).contiguous(), right=True)


class TargetRatio(nn.Module):
    """Moving average of the class shares among the target's pseudo-labels (Algorithm 1, lines 8 to 12).

    Its state is in buffers, so that a resumed training goes on with it.

    Args:
        n_classes: K.
        decay: xi (paper: .9).
        rule: `averaged`: over all batches, corrected for the few there are at first. `batch_first_epoch`, Algorithm 1:
            a batch's own shares through the first epoch, then averaged from the last of those on.
    """

    average: Tensor
    weight: Tensor

    def __init__(self, n_classes: int, decay: float = 0.9, rule: RatioRule = "averaged") -> None:
        super().__init__()
        self.decay, self.rule = decay, rule
        self.register_buffer("average", torch.zeros(n_classes))
        self.register_buffer("weight", torch.zeros(()))

    @property
    def estimate(self) -> Tensor:
        """W-hat^t `(class,)`; equal shares before the first batch."""
        if self.weight == 0.0:
            return torch.full_like(self.average, 1.0 / len(self.average))
        return self.average / self.weight

    @torch.no_grad()
    def update(self, batch_shares: Tensor, *, first_epoch: bool) -> Tensor:
        """Take in the shares `(class,)` of a batch's pseudo-labels, and return the new estimate.

        Args:
            batch_shares: Of the global batch.
            first_epoch: Whether this is the first epoch of adaptation.
        """
        if self.rule == "batch_first_epoch":
            keep = 0.0 if first_epoch or self.weight == 0.0 else self.decay
            self.average.mul_(keep).add_(batch_shares, alpha=1.0 - keep)
            self.weight.fill_(1.0)
        else:
            self.average.mul_(self.decay).add_(batch_shares, alpha=1.0 - self.decay)
            self.weight.mul_(self.decay).add_(1.0 - self.decay)
        return self.estimate
