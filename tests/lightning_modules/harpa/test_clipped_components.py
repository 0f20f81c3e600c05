"""Clipped mixtures: found exactly where wave speeds are such, bounded, and part of the autoencoder's memory."""

import pytest
import torch

from lightning_modules.harpa.clipped_components import ClippedComponents
from lightning_modules.harpa.principal_components import PrincipalComponents
from lightning_modules.harpa.travel_time_field import TravelTimeField
from lightning_modules.harpa.wave_speed_autoencoder import WaveSpeedAutoencoder

SHAPE = (6, 5, 4)
LOWEST, HIGHEST = 5.0, 25.0


def _family(n: int, seed: int = 0) -> torch.Tensor:
    """Mixtures of three fields, about a quarter of their nodes clipped."""
    fields = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1)) * 4.0
    weights = 2.0 * torch.rand(n, 3, generator=torch.Generator().manual_seed(seed)) - 1.0
    rising = torch.linspace(6.0, 24.0, SHAPE[2])
    return (rising + torch.einsum("nk,kxyz->nxyz", weights, fields)).clamp(LOWEST, HIGHEST)


@pytest.fixture(scope="module")
def fitted():
    components = ClippedComponents(SHAPE, 3, LOWEST, HIGHEST)
    components.fit(_family(200))
    return components


def test_unseen_mixtures_come_back_where_linear_components_lose_the_clipped(fitted):
    truth = _family(30, seed=5)
    back = torch.stack([fitted.grids(fitted.numbers(each)) for each in truth])
    lost = (back - truth).square().mean().sqrt()
    linear = PrincipalComponents(SHAPE, 3)
    linear.fit(_family(200))
    lost_linearly = (linear.grids(linear.coefficients(truth)) - truth).square().mean().sqrt()
    assert lost < 0.1
    assert lost < 0.2 * lost_linearly


def test_numbers_have_mean_0_and_variance_1_over_the_samples(fitted):
    numbers = torch.stack([fitted.numbers(each) for each in _family(200)])
    assert numbers.mean(dim=0).abs().max() < 0.2
    assert (numbers.std(dim=0) - 1.0).abs().max() < 0.2


def test_grids_stay_within_the_range_and_numbers_are_found_again(fitted):
    numbers = torch.tensor([[0.5, -1.0, 0.3], [30.0, 30.0, -30.0]])
    grids = fitted.grids(numbers)
    assert grids.shape == (2, *SHAPE)
    assert grids.min() >= LOWEST
    assert grids.max() <= HIGHEST
    torch.testing.assert_close(fitted.numbers(grids[0]), numbers[0], atol=1e-2, rtol=0)


def test_the_same_samples_give_the_same_and_few_samples_fewer_components():
    first, second = (ClippedComponents(SHAPE, 8, LOWEST, HIGHEST) for _ in range(2))
    assert not first.is_fitted
    for each in (first, second):
        each.fit(_family(5))
    assert first.is_fitted
    assert torch.equal(first.basis, second.basis)
    assert not first.basis[:, 4:].any()
    none = ClippedComponents(SHAPE, 8, LOWEST, HIGHEST)
    none.fit(_family(1))
    assert not none.is_fitted


def test_an_autoencoder_remembers_how_codes_are_spread():
    torch.manual_seed(0)
    autoencoder = WaveSpeedAutoencoder(3, width=8, depth=1, n_components=4, code_noise=0.5).train()
    features = torch.randn(50, 4)
    autoencoder.remember(features)
    assert autoencoder.training
    codes = autoencoder.eval().code(features)
    torch.testing.assert_close(autoencoder.code_mean, codes.mean(dim=0))
    torch.testing.assert_close(autoencoder.code_sd, codes.std(dim=0))


def test_a_latent_longer_than_a_code_stands_for_the_mixture():
    autoencoder = WaveSpeedAutoencoder(2, width=8, depth=1, n_components=4)
    field = TravelTimeField(torch.nn.Identity(), autoencoder)  # type: ignore[arg-type]  # no times are asked for
    assert field.mixture is None
    with torch.no_grad():
        autoencoder.clipped.mean.fill_(12.0)
        autoencoder.clipped.basis[:, 1] = 2.0
    assert field.mixture is autoencoder.clipped
    numbers = torch.zeros(autoencoder.clipped.n_components)
    numbers[1] = 1.5
    speed = field.wave_speed(torch.cat([torch.tensor([0.3, 0.4]), numbers]))
    torch.testing.assert_close(speed, torch.full((32, 32, 32), 15.0))
    torch.testing.assert_close(field.wave_speed(torch.tensor([0.3, 0.4])), autoencoder.decode(torch.tensor([0.3, 0.4])))
