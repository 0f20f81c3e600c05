"""RelativeL2: pooled, exact over any split of the data, and in its residual form."""

import numpy as np
import pytest
import torch

from lightning_modules.metrics.relative_l2 import RelativeL2


def test_equals_numpy_over_all_batches_at_once() -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 7, 3, 5)).astype(np.float32)
    metric = RelativeL2()
    for part in np.array_split(np.arange(7), 3):
        metric.update(torch.from_numpy(prediction[part]), torch.from_numpy(target[part]))
    wide_prediction, wide_target = prediction.astype(np.float64), target.astype(np.float64)
    wanted = np.linalg.norm(wide_prediction - wide_target) / np.linalg.norm(wide_target)
    assert metric.compute().dtype == torch.float64
    assert float(metric.compute()) == pytest.approx(wanted, rel=1e-12)


def test_residual_form_scores_the_direct_wave_as_one() -> None:
    torch.manual_seed(0)
    direct, reflections = torch.randn(4, 2, 30, 6), 0.1 * torch.randn(4, 2, 30, 6)
    gather = direct + reflections
    metric = RelativeL2()
    metric.update(direct, gather, reference=gather - direct)
    assert float(metric.compute()) == pytest.approx(1.0, rel=1e-6)


def test_is_pooled_and_not_an_average_of_ratios() -> None:
    # Errors 1 and 1 against references 1 and 9: pooled 2/10, where the average ratio would be over a half.
    metric = RelativeL2()
    metric.update(torch.tensor([2.0]), torch.tensor([1.0]))
    metric.update(torch.tensor([4.0]), torch.tensor([3.0]))
    assert float(metric.compute()) == pytest.approx((2 / 10) ** 0.5)


def test_sums_in_double_precision() -> None:
    # A million float32 additions of 1e-8 to 1 would be lost in single precision.
    metric = RelativeL2()
    metric.update(torch.zeros(1), torch.ones(1))
    for _ in range(100):
        metric.update(torch.full((1,), 1e-5), torch.zeros(1))
    assert float(metric.compute()) ** 2 == pytest.approx(1 + 1e-8, rel=1e-12)


def test_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 1\) and a target of shape \(3, 3\)"):
        RelativeL2().update(torch.zeros(3, 1), torch.zeros(3, 3))
