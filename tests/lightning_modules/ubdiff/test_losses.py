"""The reconstruction losses against plain loops, and the amplitude loss against the amplitudes themselves."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff.losses import amplitude_energy, amplitude_loss, reconstruction_loss

LOG_MINIMUM, LOG_MAXIMUM = -math.log1p(26.95), math.log1p(52.77)


def amplitude(normalised: Tensor) -> Tensor:
    """The amplitude by the definition of OpenFWI's normalisation, read backwards."""
    log = LOG_MINIMUM + (normalised.double() + 1) / 2 * (LOG_MAXIMUM - LOG_MINIMUM)
    return torch.sign(log) * (torch.exp(log.abs()) - 1)


@pytest.mark.parametrize("squared_weight", [0.0, 1.0, 2.5])
def test_reconstruction_loss_is_absolute_plus_weighted_square(squared_weight: float) -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 1, 3, 4), torch.randn(2, 1, 3, 4)
    total = 0.0
    for i in product(range(2), range(1), range(3), range(4)):
        difference = float(prediction[i] - target[i])
        total += abs(difference) + squared_weight * difference**2
    assert float(reconstruction_loss(prediction, target, squared_weight)) == pytest.approx(total / 24, rel=1e-5)


def test_amplitude_loss_is_the_relative_square_error_of_amplitudes_for_small_errors() -> None:
    torch.manual_seed(0)
    target = torch.rand(3, 2, 10, 4) * 2 - 1
    prediction = target + 1e-3 * torch.randn_like(target)
    exact = (amplitude(prediction) - amplitude(target)).square().sum() / amplitude(target).square().sum()
    assert float(amplitude_loss(prediction, target, LOG_MINIMUM, LOG_MAXIMUM)) == pytest.approx(float(exact), rel=1e-2)


def test_amplitude_loss_of_a_perfect_or_an_empty_gather_is_finite() -> None:
    silence = torch.full((1, 1, 5, 2), 2 * -LOG_MINIMUM / (LOG_MAXIMUM - LOG_MINIMUM) - 1)
    assert float(amplitude_loss(silence, silence, LOG_MINIMUM, LOG_MAXIMUM)) == 0.0
    assert math.isfinite(float(amplitude_loss(silence + 0.1, silence, LOG_MINIMUM, LOG_MAXIMUM)))


def test_two_halves_of_a_batch_with_the_whole_energy_have_the_whole_loss() -> None:
    # What two processes do that share a batch: each divides by the mean of the halves' energies.
    torch.manual_seed(0)
    target = torch.rand(4, 1, 20, 6) * torch.tensor([0.1, 0.2, 0.9, 1.0]).view(-1, 1, 1, 1)
    prediction = target + 0.01 * torch.randn_like(target)
    whole = amplitude_loss(prediction, target, LOG_MINIMUM, LOG_MAXIMUM)
    halves = [(prediction[part], target[part]) for part in (slice(0, 2), slice(2, 4))]
    energies = [amplitude_energy(half, LOG_MINIMUM, LOG_MAXIMUM) for _, half in halves]
    mean = (energies[0] + energies[1]) / 2
    losses = [
        amplitude_loss(p, t, LOG_MINIMUM, LOG_MAXIMUM) * e / mean for (p, t), e in zip(halves, energies, strict=True)
    ]
    assert float((losses[0] + losses[1]) / 2) == pytest.approx(float(whole), rel=1e-5)
    assert float(losses[0]) != pytest.approx(float(losses[1]), rel=0.1)
