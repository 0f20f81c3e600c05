"""The kernel distance against a naive double loop, and that it is unbiased."""

import numpy as np
import pytest
import torch

from lightning_modules.metrics.kid import KernelDistance, squared_discrepancy


def _naive(x, y):
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize(("n", "m", "d"), [(4, 4, 3), (5, 2, 1), (3, 7, 6)])
def test_against_a_double_loop(n, m, d):
    x, y = np.random.default_rng(0).normal(size=(n, d)), np.random.default_rng(1).normal(size=(m, d))
    got = squared_discrepancy(torch.from_numpy(x), torch.from_numpy(y))
    assert float(got) == pytest.approx(_naive(x, y), rel=1e-12)


def test_equal_distributions_average_to_zero_at_any_n():
    generator = torch.Generator().manual_seed(0)
    for n in (3, 20):
        draws = torch.randn(2000, 2, n, 2, generator=generator, dtype=torch.float64)
        values = torch.stack([squared_discrepancy(x, y) for x, y in draws])
        assert abs(float(values.mean())) < 4 * float(values.std()) / 2000**0.5
        assert float(values.min()) < 0


def test_metric_over_all_samples_is_the_discrepancy():
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.randn(30, 4, dtype=torch.float64) + 1
    metric = KernelDistance(4, n_subsets=3, subset_size=1000)
    for batch in x.split(6):
        metric.update(batch, real=True)
    metric.update(y, real=False)
    mean, deviation = metric.compute()
    assert deviation > 0  # y gives subsets of 20
    metric = KernelDistance(4, n_subsets=3, subset_size=1000)
    metric.update(x, real=True)
    metric.update(y[:20], real=False)
    mean, deviation = metric.compute()
    assert float(mean) == pytest.approx(float(squared_discrepancy(x, y[:20])), rel=1e-9)
    assert float(deviation) == pytest.approx(0, abs=1e-9)


def test_metric_leaves_the_global_random_numbers_alone_and_repeats_itself():
    metric = KernelDistance(3, subset_size=5)
    metric.update(torch.randn(9, 3), real=True)
    metric.update(torch.randn(9, 3), real=False)
    state = torch.get_rng_state()
    first = metric.compute()
    assert torch.equal(torch.get_rng_state(), state)
    metric._computed = None  # torchmetrics keeps the last result
    assert metric.compute() == first


def test_metric_without_samples_says_so():
    metric = KernelDistance(3)
    metric.update(torch.zeros(4, 3), real=True)
    with pytest.raises(ValueError, match="4 real and 0 generated"):
        metric.compute()
