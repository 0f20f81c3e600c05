"""The Frechet distance against closed forms and SciPy's matrix root, and its floor."""

import numpy as np
import pytest
import torch

from lightning_modules.metrics.features import PCAFeatures
from lightning_modules.metrics.frechet import (
    FrechetDistance,
    frechet_against_held_out,
    gaussian_frechet_distance,
    sample_frechet_distance,
)


def _covariance(d, rank, seed):
    factor = np.random.default_rng(seed).normal(size=(d, rank))
    return torch.from_numpy(factor @ factor.T)


def _samples(n, d, seed, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(n, d, generator=generator, dtype=torch.float64)


def test_commuting_gaussians_in_closed_form():
    # Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2.
    mean_1, mean_2 = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 0.5]], dtype=torch.float64)
    deviation_1, deviation_2 = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.5, 0.1]], dtype=torch.float64)
    distance = gaussian_frechet_distance(mean_1, deviation_1.square().diag(), mean_2, deviation_2.square().diag())
    assert float(distance) == pytest.approx(1 + 9 + 4 + 2.25 + 0.01, rel=1e-12)


def test_two_by_two_without_commuting():
    # tr of the root of a 2 x 2 matrix M with eigenvalues >= 0 is sqrt(tr M + 2 sqrt(det M)).
    first, second = _covariance(2, 2, 0), _covariance(2, 2, 1)
    product = first @ second
    root_trace = torch.sqrt(product.trace() + 2 * product.det().sqrt())
    zero = torch.zeros(2).double()
    wanted = first.trace() + second.trace() - 2 * root_trace
    assert float(gaussian_frechet_distance(zero, first, zero, second)) == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.parametrize(("rank_1", "rank_2"), [(12, 12), (3, 5), (12, 1)])
def test_against_scipys_matrix_root(rank_1, rank_2):
    linalg = pytest.importorskip("scipy.linalg")
    first, second = _covariance(12, rank_1, 2), _covariance(12, rank_2, 3)
    zero = torch.zeros(12).double()
    # A little is added, without which SciPy's root of a singular product fails: hence the wide tolerance.
    ridge = 1e-9 * np.eye(12)
    root = linalg.sqrtm((first.numpy() + ridge) @ (second.numpy() + ridge))
    wanted = float(first.trace() + second.trace()) - 2 * float(np.trace(root).real)
    assert float(gaussian_frechet_distance(zero, first, zero, second)) == pytest.approx(wanted, rel=1e-3)


def test_singular_gaussians_on_perpendicular_lines():
    first, second = torch.diag(torch.tensor([4.0, 0.0])).double(), torch.diag(torch.tensor([0.0, 9.0])).double()
    zero = torch.zeros(2).double()
    assert float(gaussian_frechet_distance(zero, first, zero, second)) == pytest.approx(13, rel=1e-12)
    assert float(gaussian_frechet_distance(zero, first, zero, first)) == pytest.approx(0, abs=1e-12)


def test_both_routes_from_samples_agree():
    x, y = _samples(9, 20, 0), _samples(7, 20, 1, scale=2.0, shift=0.5)
    few = sample_frechet_distance(x, y)
    full = gaussian_frechet_distance(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))
    assert float(few) == pytest.approx(float(full), rel=1e-9)
    assert torch.isnan(sample_frechet_distance(x, y * float("inf")))


def test_invariances():
    x, y = _samples(50, 6, 0), _samples(60, 6, 1, scale=1.5, shift=0.3)
    distance = float(sample_frechet_distance(x, y))
    rotation, _ = torch.linalg.qr(_samples(6, 6, 2))
    assert float(sample_frechet_distance(y, x)) == pytest.approx(distance)
    assert float(sample_frechet_distance(x @ rotation + 7, y @ rotation + 7)) == pytest.approx(distance)
    assert float(sample_frechet_distance(3 * x, 3 * y)) == pytest.approx(9 * distance)
    assert float(sample_frechet_distance(x.flip(0), x)) == pytest.approx(0, abs=1e-12)


def test_metric_over_batches_equals_samples_at_once():
    x, y = _samples(40, 5, 0, shift=3.0).float(), _samples(30, 5, 1).float()
    metric = FrechetDistance(5)
    for batch in x.split(7):
        metric.update(batch, real=True)
    for batch in y.split(11):
        metric.update(batch, real=False)
    assert metric.compute().dtype == torch.float64
    assert float(metric.compute()) == pytest.approx(float(sample_frechet_distance(x, y)), rel=1e-9)
    metric.reset()
    metric.update(x, real=True)
    with pytest.raises(ValueError, match="at least two of each"):
        metric.compute()


def test_metric_takes_a_feature_network_and_refuses_other_shapes():
    x, y = _samples(40, 8, 0).float(), _samples(40, 8, 1, shift=0.5).float()
    network = PCAFeatures.fit(x, 3)
    metric = FrechetDistance(network)
    metric.update(x, real=True)
    metric.update(y, real=False)
    assert float(metric.compute()) == pytest.approx(float(sample_frechet_distance(network(x), network(y))), rel=1e-6)
    with pytest.raises(ValueError, match=r"features of shape \(40, 8\): \(batch, 3\) is wanted"):
        FrechetDistance(3).update(x, real=True)


def test_real_samples_as_generated_score_the_floor():
    everything = _samples(900, 10, 0)
    result = frechet_against_held_out(everything[:300], everything[300:], 20)
    assert result.n == 300
    assert result.ratio == pytest.approx(1, abs=0.2)
    assert frechet_against_held_out(everything[:300] + 0.3, everything[300:], 20).ratio > 3


def test_all_generated_samples_are_drawn_from_wherever_they_stand():
    good, bad = _samples(200, 5, 3), _samples(200, 5, 4, shift=2.0)
    held_out = _samples(400, 5, 5)
    ratios = [
        frechet_against_held_out(torch.cat(parts), held_out, 40).ratio
        for parts in ((good, good), (good, bad), (bad, good), (bad, bad))
    ]
    assert ratios[0] < 0.5 * ratios[1] < 0.5 * ratios[3]
    assert ratios[1] == pytest.approx(ratios[2], rel=0.05)


def test_the_floor_falls_as_one_over_n():
    everything = _samples(3200, 10, 1)
    floors = [frechet_against_held_out(everything[:n], everything, 20).floor for n in (200, 800)]
    assert floors[0] / floors[1] == pytest.approx(4, rel=0.2)


def test_reconstructions_are_compared_with_other_samples_than_their_own():
    held_out = _samples(400, 6, 2)
    perfect = frechet_against_held_out(held_out, held_out, 10, same_rows=True)
    assert perfect.ratio == pytest.approx(1, abs=1e-9)
    assert frechet_against_held_out(held_out, held_out, 10).ratio < 0.9


def test_too_few_samples_have_no_distance():
    assert frechet_against_held_out(_samples(1, 3, 0), _samples(9, 3, 1)) is None
    assert frechet_against_held_out(_samples(9, 3, 0), _samples(3, 3, 1)) is None
    assert frechet_against_held_out(_samples(9, 3, 0), _samples(8, 3, 1), n=3).n == 3
