"""Cosine transform, RealNVP and class Gaussians: exact inverses, log-determinants, densities, samples."""

import math

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from lightning_modules.cubism.dct import WhitenedDct, dct_matrix
from lightning_modules.cubism.flow import RealNVP
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.gaussian_mixture import MEANS_APART, GaussianMixture, starting_means
from lightning_modules.cubism.losses import generative_loss
from tests.lightning_modules.cubism.fake_data import events


def shaken(module: torch.nn.Module, size: float = 0.3) -> torch.nn.Module:
    """The module with random weights: as made, its coupling layers are the identity."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(size * torch.randn_like(weight) / math.sqrt(max(1, weight.shape[-1] if weight.ndim else 1)))
    return module


def test_the_transform_is_the_orthonormal_dct():
    image = torch.randn(3, 1, 12, 12, dtype=torch.float64)
    matrix = dct_matrix(12)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(12, dtype=torch.float64))
    wanted = dctn(image.numpy(), axes=(-2, -1), norm="ortho")
    np.testing.assert_allclose((matrix @ image @ matrix.T).numpy(), wanted, atol=1e-12)


def test_fitted_coefficients_are_standard_and_constant_ones_do_no_harm():
    image, _ = events(64, 0, 0)
    image[:, :, -4:] = 0.0  # rows at the floor: their coefficients depend on the others
    whitening = WhitenedDct(1, 16)
    whitening.fit(image)
    coefficients, log_det = whitening(image)
    free = (whitening.scale > whitening.scale.min() * 1.01).flatten()
    torch.testing.assert_close(coefficients.mean(dim=0), torch.zeros(256), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(coefficients.std(dim=0, unbiased=False)[free], torch.ones(int(free.sum())), rtol=1e-3,
                               atol=1e-3)  # fmt: skip
    torch.testing.assert_close(log_det, -whitening.scale.log().sum())
    assert (whitening.inverse(coefficients) - image).abs().max() < 1e-5
    flat = WhitenedDct(1, 8)
    flat.fit(torch.full((4, 1, 8, 8), 0.5))
    assert torch.isfinite(flat(torch.rand(2, 1, 8, 8))[0]).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_decoding_undoes_encoding(dtype, tolerance):
    image, _ = events(32, 0, 0)
    model = shaken(FlowGmm(2, 16, hidden_units=16))
    model.whitening.fit(image)
    model = model.to(dtype)
    if dtype == torch.float64:
        model.whitening.matrix = dct_matrix(16)
    latent, _ = model.encode(image.to(dtype))
    assert (model.decode(latent) - image.to(dtype)).abs().max() <= tolerance
    assert (model.encode(model.decode(latent))[0] - latent).abs().max() <= 1e2 * tolerance


def test_the_log_determinant_is_that_of_autograds_jacobian():
    image, _ = events(8, 0, 0, size=6)
    model = shaken(FlowGmm(2, 6, hidden_units=8)).double()
    model.whitening.matrix = dct_matrix(6)
    model.whitening.fit(image)
    for each in image.double():
        jacobian = torch.autograd.functional.jacobian(lambda x: model.encode(x[None])[0][0], each)
        _, log_det = model.encode(each[None])
        wanted = torch.linalg.slogdet(jacobian.reshape(36, 36))[1]
        torch.testing.assert_close(log_det[0], wanted)


def test_a_layer_is_zukos_affine_coupling():
    zuko = pytest.importorskip("zuko")
    flow = shaken(RealNVP((1, 4, 4), n_layers=1, hidden_units=8)).double()
    layer = flow.layers[0]
    mask = torch.zeros(16, dtype=torch.bool)
    mask[layer.kept] = True

    def meta(kept):
        full = torch.zeros(*kept.shape[:-1], 16, dtype=torch.float64)
        full[..., layer.kept] = kept
        log_scale, shift = layer._log_scale_and_shift(full)
        # zuko bounds the logarithm of its scale softly at its slope: undo that, so that both mean the same.
        bound = math.log(1e-3)
        return zuko.transforms.MonotonicAffineTransform(shift, log_scale / (1 - (log_scale / bound).abs()))

    def transform(kept):
        return zuko.transforms.DependentTransform(meta(kept), 1)

    other = zuko.transforms.CouplingTransform(transform, mask)
    x = torch.randn(5, 16, dtype=torch.float64)
    y, log_det = flow(x)
    torch.testing.assert_close(y, other(x))
    torch.testing.assert_close(log_det, other.log_abs_det_jacobian(x, y))


def test_halves_alternate_and_both_hold_low_frequencies():
    flow = RealNVP((1, 8, 8), n_layers=2)
    first, second = flow.layers
    assert torch.equal(first.kept, second.moved)
    assert sorted([*first.kept.tolist(), *first.moved.tolist()]) == list(range(64))
    assert {0, 9} <= set(first.kept.tolist())
    assert {1, 8} <= set(first.moved.tolist())
    x = torch.randn(2, 64)
    y, log_det = flow(x)
    assert torch.equal(x, y)  # the identity at the start
    assert torch.equal(log_det, torch.zeros(2))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_means_start_far_apart(n_classes):
    means = starting_means(n_classes, 50)
    apart = torch.cdist(means, means)[~torch.eye(n_classes, dtype=torch.bool)]
    torch.testing.assert_close(apart, torch.full_like(apart, MEANS_APART))
    torch.testing.assert_close(means.sum(dim=0), torch.zeros(50), atol=1e-5, rtol=0.0)


def test_densities_and_posteriors_are_those_of_torch_distributions():
    mixture = shaken(GaussianMixture(3, 5)).double()
    latent = 3.0 * torch.randn(20, 5, dtype=torch.float64)
    components = [
        torch.distributions.MultivariateNormal(mean, sigma**2 * torch.eye(5, dtype=torch.float64))
        for mean, sigma in zip(mixture.means, mixture.sigma, strict=True)
    ]
    wanted = torch.stack([component.log_prob(latent) for component in components], dim=1)
    torch.testing.assert_close(mixture.log_likelihood(latent), wanted)
    density = wanted.exp()
    torch.testing.assert_close(mixture.posterior(latent), density / density.sum(dim=1, keepdim=True))
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    weighted = density * prior
    torch.testing.assert_close(mixture.posterior(latent, prior=prior), weighted / weighted.sum(dim=1, keepdim=True))
    cool, warm = mixture.posterior(latent, 1.0), mixture.posterior(latent, 50.0)
    assert (warm.max(dim=1).values < cool.max(dim=1).values).all()
    assert torch.equal(warm.argmax(dim=1), cool.argmax(dim=1))


def test_samples_have_their_classes_mean_and_deviation_and_carry_gradients():
    mixture = shaken(GaussianMixture(2, 4))
    label = torch.arange(2).repeat(20_000)
    sample = mixture.sample(label, torch.randn(40_000, 4))
    for value in (0, 1):
        own = sample[label == value]
        torch.testing.assert_close(own.mean(dim=0), mixture.means[value], atol=0.03, rtol=0.0)
        deviation = (own - mixture.means[value]).square().mean().sqrt()
        torch.testing.assert_close(deviation, mixture.sigma[value], atol=0.0, rtol=0.02)
    sample.sum().backward()
    assert mixture.means.grad is not None
    assert mixture.raw_sigma.grad is not None


def test_with_one_sigma_the_posterior_is_a_linear_discriminant():
    """log p(1 | z) / p(0 | z) = ((mu_1 - mu_0) . z - (|mu_1|^2 - |mu_0|^2) / 2) / sigma^2, however large D is."""
    mixture = shaken(GaussianMixture(2, 4096, shared_sigma=True)).double()
    assert mixture.raw_sigma.numel() == 1
    low, high = mixture.means
    latent = torch.randn(50, 4096, dtype=torch.float64)
    wanted = (latent @ (high - low) - 0.5 * (high.square().sum() - low.square().sum())) / mixture.sigma[0] ** 2
    posterior = mixture.posterior(latent)
    torch.testing.assert_close(posterior[:, 1].logit(), wanted, rtol=1e-6, atol=1e-6)
    # A sigma of its own, 3 % smaller, makes every one of these events the other class's: D counts, not the means.
    own = GaussianMixture(2, 4096).double()
    own.load_state_dict({"means": mixture.means, "raw_sigma": mixture.raw_sigma.expand(2)})
    torch.testing.assert_close(own.posterior(latent), posterior)
    with torch.no_grad():
        own.raw_sigma[0] -= 0.05
    assert (own.sigma[0] / own.sigma[1]) > 0.95
    assert (own.posterior(0.8 * latent).argmax(dim=1) == 0).all()
    assert 0 < (posterior.argmax(dim=1) == 0).sum() < 50


def test_the_whitening_expects_the_noise_that_dequantises():
    """Noisy images have coefficients of variance 1, where clean ones of a constant coefficient would have none."""
    image, _ = events(400, 0, 0)
    image[:, :, -4:] = 0.0
    clean, noisy = WhitenedDct(1, 16), WhitenedDct(1, 16)
    clean.fit(image)
    noisy.fit(image, 0.05)
    torch.testing.assert_close(noisy.scale.square(), clean.scale.square() + 0.05**2, rtol=1e-4, atol=2e-5)
    torch.manual_seed(0)
    coefficients, _ = noisy(image + 0.05 * torch.randn_like(image))
    assert coefficients.var(dim=0).mean() == pytest.approx(1.0, abs=0.01)
    assert coefficients.var(dim=0).min() > 0.7


def neighbour_correlation(image: torch.Tensor) -> float:
    left, right = image[..., :-1].flatten(), image[..., 1:].flatten()
    return float(torch.corrcoef(torch.stack([left, right]))[0, 1])


def test_after_the_transform_what_the_flow_generates_is_as_smooth_as_what_it_saw():
    """On raw pixels two coupling layers generate noise; behind the cosine transform, images."""
    size = 16
    image, label = events(256, 0, 0, size=size)
    target, _ = events(64, 7, 2, size=size)
    torch.manual_seed(0)
    model = FlowGmm(2, size, hidden_units=32)
    model.whitening.fit(torch.cat([image, target]))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        latent, log_det = model.encode(image)
        loss = generative_loss(model.log_likelihood_per_dimension(latent, log_det), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    generated = model.generate(label, torch.randn(len(label), size * size))
    assert neighbour_correlation(generated) == pytest.approx(neighbour_correlation(image), abs=0.05)
    norm = model.encode(target)[0].norm(dim=1).mean() / size
    assert norm < 2.0
