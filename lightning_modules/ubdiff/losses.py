"""Losses of the reconstructing stages, as pure functions."""

import torch
from torch import Tensor
from torch.nn import functional as F


def reconstruction_loss(prediction: Tensor, target: Tensor, squared_weight: float = 1.0) -> Tensor:
    """Mean absolute plus weighted mean squared error, a scalar (the paper's code: L1 + MSE, weight 1).

    Args:
        prediction: Any shape, normalised.
        target: The same shape.
        squared_weight: Weight of the squared error.
    """
    return F.l1_loss(prediction, target) + squared_weight * F.mse_loss(prediction, target)


def amplitude_loss(prediction: Tensor, target: Tensor, log_minimum: float, log_maximum: float) -> Tensor:
    """Squared error of the amplitude over the target's energy, pooled over the batch, a scalar.

    The logarithm of the normalisation gives a quiet sample as much weight as the direct wave. This loss undoes it,
    `x = sign(l) (exp|l| - 1)`, and so answers for the quantity that the relative L2 error of a gather measures.

    Args:
        prediction: Log-normalised gather `(batch, shot, time, receiver)`.
        target: The same shape.
        log_minimum: sign(x) log(1 + |x|) of the normalisation's smallest amplitude, which maps to -1.
        log_maximum: The same of the largest amplitude, which maps to 1.
    """
    difference = _amplitude(prediction, log_minimum, log_maximum) - _amplitude(target, log_minimum, log_maximum)
    return difference.square().sum() / _amplitude(target, log_minimum, log_maximum).square().sum().clamp(min=1e-12)


def _amplitude(normalised: Tensor, log_minimum: float, log_maximum: float) -> Tensor:
    # The bound is far beyond any amplitude of OpenFWI; it keeps an untrained network's exponential finite.
    log = (log_minimum + (normalised + 1.0) * (0.5 * (log_maximum - log_minimum))).clamp(-6.0, 6.0)
    return torch.sign(log) * torch.expm1(log.abs())
