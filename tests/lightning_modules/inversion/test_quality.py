"""OpenFWI's error figures against naive sums and scikit-image."""

import numpy as np
import pytest
import torch

from lightning_modules.inversion.quality import InversionErrors, ssim_map

structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity


def maps(n: int, seed: int) -> torch.Tensor:
    """Layered maps in -1..1 with some noise, `(n, 1, 70, 70)`."""
    rng = np.random.default_rng(seed)
    layers = np.repeat(np.sort(rng.uniform(-0.9, 0.9, (n, 1, 7, 1)), axis=2), 10, axis=2).repeat(70, axis=3)
    return torch.from_numpy((layers + 0.05 * rng.standard_normal(layers.shape)).astype(np.float32))


def oracle(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Scikit-image's SSIM of every cell, its mirrored borders turned into the benchmark's zeros."""
    pad = 5
    _, similarity = structural_similarity(
        np.pad(first, 2 * pad), np.pad(second, 2 * pad), data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    return similarity[2 * pad : -2 * pad, 2 * pad : -2 * pad]


def test_ssim_is_that_of_scikit_image_cell_by_cell():
    first, second = maps(3, 0).double() / 2 + 0.5, maps(3, 1).double() / 2 + 0.5
    ours = ssim_map(first, second)
    for i in range(3):
        expected = oracle(first[i, 0].numpy(), second[i, 0].numpy())
        np.testing.assert_allclose(ours[i, 0].numpy(), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(ssim_map(first, first), torch.ones_like(first))


def test_ssim_does_not_bear_a_shift():
    # Why velocity goes to 0..1 first, as the benchmark does: the same maps in -1..1 with a range of 2 differ.
    first, second = maps(1, 0)[0, 0].numpy(), maps(1, 1)[0, 0].numpy()
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    shifted = structural_similarity(first / 2 + 0.5, second / 2 + 0.5, data_range=1.0, **options)
    assert abs(shifted - structural_similarity(first, second, data_range=2.0, **options)) > 0.02


def test_the_errors_are_the_naive_ones_whatever_the_batches():
    prediction, target = maps(5, 0), maps(5, 1)
    errors = InversionErrors()
    for some in (slice(0, 2), slice(2, 5)):
        errors.update(prediction[some], target[some])
    found = {name: float(value) for name, value in errors.compute().items()}
    difference = (prediction - target).double().numpy()
    assert found["mae"] == pytest.approx(np.abs(difference).mean(), rel=1e-6)
    assert found["mse"] == pytest.approx(np.mean(difference**2), rel=1e-6)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-6)
    pairs = zip(prediction[:, 0].numpy() / 2 + 0.5, target[:, 0].numpy() / 2 + 0.5, strict=True)
    assert found["ssim"] == pytest.approx(np.mean([oracle(a, b).mean() for a, b in pairs]), abs=1e-5)
