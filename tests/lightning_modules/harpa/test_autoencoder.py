"""Principal components and autoencoders of wave speeds."""

import numpy as np
import pytest
import torch

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.principal_components import PrincipalComponents
from lightning_modules.harpa.wave_speed_autoencoder import WaveSpeedAutoencoder


def test_components_are_those_of_a_singular_value_decomposition():
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=(40, 5)) * [9, 5, 3, 1, 0.5]) @ rng.normal(size=(5, 60)) + 12.0
    components = PrincipalComponents((3, 4, 5), 3)
    components.fit(torch.from_numpy(samples).float().reshape(40, 3, 4, 5))
    _, _, rows = np.linalg.svd(samples - samples.mean(axis=0), full_matrices=False)
    expected = samples.mean(axis=0) + (samples - samples.mean(axis=0)) @ rows[:3].T @ rows[:3]
    grids = torch.from_numpy(samples).float().reshape(40, 3, 4, 5)
    back = components.grids(components.coefficients(grids))
    np.testing.assert_allclose(back.reshape(40, 60), expected, atol=1e-3)
    assert float(components.coefficients(grids)[:, 0].std(correction=0)) == pytest.approx(1.0, rel=1e-4)


def test_a_difference_of_coefficients_measures_that_of_grids():
    components = PrincipalComponents((2, 3, 4), 4)
    torch.manual_seed(0)
    components.fit(torch.randn(30, 2, 3, 4))
    first, second = torch.randn(2, 6, 4)
    expected = (components.grids(first) - components.grids(second)).square().flatten(1).mean(dim=1)
    torch.testing.assert_close(components.mean_square(first - second), expected)


def test_samples_of_fewer_dimensions_than_components_leave_the_rest_zero():
    components = PrincipalComponents((2, 2, 2), 5)
    samples = torch.randn(20, 1) * torch.ones(8) + 3.0
    components.fit(samples.reshape(20, 2, 2, 2))
    grids = samples.reshape(20, 2, 2, 2)
    torch.testing.assert_close(components.grids(components.coefficients(grids)), grids, rtol=1e-4, atol=1e-4)
    assert not components.basis[:, 1:].any()
    with pytest.raises(ModuleError, match="with 5 wave speeds"):
        components.fit(samples[:5].reshape(5, 2, 2, 2))


@pytest.mark.parametrize("kind", ["components", "convolutional"])
def test_codes_lie_within_their_range_and_speeds_within_theirs(kind):
    torch.manual_seed(0)
    autoencoder = WaveSpeedAutoencoder(5, kind, 4, 1, 6).eval()
    if autoencoder.components is not None:
        autoencoder.components.fit(torch.rand(12, 32, 32, 32) * 30.0)
    speeds = 5.0 + 20.0 * torch.rand(3, 2, 32, 32, 32)
    code = autoencoder.encode(speeds)
    assert code.shape == (3, 2, 5)
    assert ((code > 0.0) & (code < 1.0)).all()
    back = autoencoder(speeds)
    assert back.shape == speeds.shape
    assert back.min() >= 5.0
    assert back.max() <= 25.0
    torch.testing.assert_close(autoencoder.encode(speeds), code)


def test_the_loss_is_the_mean_square_over_the_grid():
    torch.manual_seed(0)
    autoencoder = WaveSpeedAutoencoder(3, "convolutional", 2).eval()
    first, second = 5.0 + 20.0 * torch.rand(2, 4, 32, 32, 32)
    found = autoencoder.mean_square_error(autoencoder.features(first), autoencoder.features(second))
    torch.testing.assert_close(found, (first - second).square().flatten(1).mean(dim=1), rtol=1e-4, atol=1e-4)


def test_noise_is_added_to_the_code_in_its_size():
    autoencoder = WaveSpeedAutoencoder(3, width=4, depth=1, n_components=4, code_noise=0.1)
    features, noise = torch.rand(500, 4), torch.randn(500, 3)
    torch.testing.assert_close(autoencoder.code(features, noise), autoencoder.code(features) + 0.1 * noise)


def test_impossible_autoencoders_are_refused():
    for wrong, message in (
        ({"kind": "linear"}, "autoencoder: got 'linear'"),
        ({"code_noise": 1.0}, "code_noise: got 1.0"),
        ({"speed_range_km_s": (9.0, 5.0)}, "speed_range_km_s"),
        ({"n_latent": 0}, "latent_dim: got 0"),
        ({"n_components": 0}, "n_components: got 0"),
    ):
        with pytest.raises(ModuleError, match=message):
            WaveSpeedAutoencoder(**wrong)
