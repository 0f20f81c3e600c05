"""The terms of Eq. 13, as pure functions.

All are written to be minimised: Eqs. 8 and 9 are log-likelihoods that D maximises, here binary cross-entropies; Eq. 3,
called a loss, is a likelihood, here its negative logarithm. Eq. 12 minimised as it stands would push easy samples away
from their class: here -log p(x | k) / D.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.cubism.processes import Processes

CAP_ITERATIONS = 60
"""With two classes and a cap of one half the error halves with each."""


def classification_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Eqs. 6 and 7: mean cross-entropy of logits `(batch, class)`, classes `(batch,)` or shares `(batch, class)`."""
    return F.cross_entropy(logits, target)


def domain_loss(logits: Tensor, source_part: Tensor) -> Tensor:
    """Eqs. 8 and 9 negated: mean binary cross-entropy.

    Args:
        logits: Of "source" `(batch,)`.
        source_part: The domain label: 1 for source, 0 for target, lambda for a mixture `(batch,)`.
    """
    return F.binary_cross_entropy_with_logits(logits, source_part)


def generative_loss(log_likelihood: Tensor, label: Tensor) -> Tensor:
    """Eq. 3: mean negative log-likelihood per dimension under each sample's own class.

    Args:
        log_likelihood: log p(x | k) / D `(batch, class)`.
        label: `(batch,)`.
    """
    return -log_likelihood.gather(1, label[:, None]).mean()


def conditional_alignment_loss(
    log_likelihood: Tensor,
    confidence: Tensor,
    threshold: float,
    *,
    class_cap: float | None,
    processes: Processes | None = None,
) -> Tensor:
    """Eqs. 11 and 12: draw confident target samples towards their class's Gaussian.

    Unguarded, it feeds on itself: one class's samples are drawn in, the Gaussian follows, more of them are confident,
    and soon all belong to one class. With `class_cap` no class has more than that share of what is left of the loss,
    however many of its samples are easy; where one class alone has easy samples, nothing is left.

    Args:
        log_likelihood: log p(x | k) / D `(batch, class)`.
        confidence: p(k | x) `(batch, class)`.
        threshold: tau; samples with a larger confidence are easy.
        class_cap: Largest share of the loss that one class has, 1 / K or more; None for the paper's plain mean.
        processes: Those that share the global batch; one by default.

    Returns:
        A scalar; 0 with `log_likelihood` in the graph where no sample is easy.
    """
    processes = processes or Processes()
    certainty, label = confidence.detach().max(dim=1)
    easy = (certainty > threshold).to(log_likelihood.dtype)
    own = -log_likelihood.gather(1, label[:, None]).squeeze(1)
    n_classes = log_likelihood.shape[1]
    counts = processes.sum(F.one_hot(label, n_classes).to(easy.dtype).mul(easy[:, None]).sum(dim=0))
    total = counts.sum().clamp(min=1.0)
    weight = 1.0 / total.expand(n_classes)
    if class_cap is not None:
        weight = _capped(counts / total, class_cap) / counts.clamp(min=1.0)
    return processes.world_size * (own * easy * weight[label]).sum()


def _capped(shares: Tensor, cap: float) -> Tensor:
    """Lessen shares `(class,)` until none is more than `cap` of their sum.

    The sum t of what is left solves t = sum_k min(share_k, cap t): iterated from above, its largest solution.
    """
    left = shares
    for _ in range(CAP_ITERATIONS):
        left = torch.minimum(shares, cap * left.sum())
    return left
