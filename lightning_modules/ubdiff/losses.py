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
    """Squared error of the amplitude, to first order, over the target's energy, pooled over the batch, a scalar.

    The logarithm of the normalisation gives a quiet sample as much weight as the direct wave, while the relative L2
    error of a gather is ruled by its amplitudes x = sign(l) (exp|l| - 1). An error dl of the logarithm is one of
    (1 + |x|) dl in the amplitude, so this is the squared error weighted by (1 + |x|)^2. The exact difference of
    amplitudes would cost three times as much and explode with a prediction that is far off.

    Args:
        prediction: Log-normalised gather `(batch, shot, time, receiver)`.
        target: The same shape.
        log_minimum: sign(x) log(1 + |x|) of the normalisation's smallest amplitude, which maps to -1.
        log_maximum: The same of the largest amplitude, which maps to 1.
    """
    half_range = 0.5 * (log_maximum - log_minimum)
    with torch.no_grad():
        one_plus_amplitude = (log_minimum + (target + 1.0) * half_range).abs().exp()
        energy = (one_plus_amplitude - 1.0).square().sum().clamp(min=1e-12)
        weight = one_plus_amplitude * (half_range / energy.sqrt())
    return ((prediction - target) * weight).square().sum()


def amplitude_energy(target: Tensor, log_minimum: float, log_maximum: float) -> Tensor:
    """Sum of squared amplitudes by which `amplitude_loss` divides, a scalar; arguments as there."""
    half_range = 0.5 * (log_maximum - log_minimum)
    amplitude = (log_minimum + (target + 1.0) * half_range).abs().expm1()
    return amplitude.square().sum().clamp(min=1e-12)


def residual_loss(reflections: Tensor, target: Tensor, reference: Tensor) -> Tensor:
    """Squared error of the reflections over the energy that the direct wave leaves, pooled over the batch, a scalar.

    On generated pairs this is the square of the residual relative L2 error.

    Args:
        reflections: What is added to the direct wave, in raw amplitude, any shape.
        target: What should be added: the gather less the direct wave that is supplied.
        reference: The gather less the direct wave of one velocity a map.
    """
    return (reflections - target).square().sum() / residual_energy(reference)


def residual_energy(reference: Tensor) -> Tensor:
    """What `residual_loss` divides by, a scalar; argument as there."""
    return reference.square().sum().clamp(min=1e-12)
