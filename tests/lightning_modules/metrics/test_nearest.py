"""The nearest training sample: against all differences, and copies are found out."""

import pytest
import torch

from lightning_modules.metrics.nearest import NearestTrainingRatio, nearest_distances


def test_against_all_differences_in_blocks():
    torch.manual_seed(0)
    samples, training = torch.randn(23, 1, 4, 5) + 3, torch.randn(40, 1, 4, 5) + 3
    naive = (samples[:, None] - training[None]).square().mean(dim=(2, 3, 4)).sqrt().min(dim=1).values
    torch.testing.assert_close(nearest_distances(samples, training, block=7), naive)


def test_a_copy_is_at_zero_exactly_though_numbers_are_large():
    training = 1e4 + torch.randn(30, 1, 8, 8)
    assert torch.equal(nearest_distances(training[5:9], training), torch.zeros(4))


def test_ratio_finds_copies_and_lets_new_samples_pass():
    generator = torch.Generator().manual_seed(0)
    everything = torch.randn(600, 1, 3, 4, generator=generator)
    training, held_out, new = everything[:300], everything[300:450], everything[450:]
    for generated, low, high in ((new, 0.9, 1.1), (training[:100], 0.0, 0.0), (5 * new, 2.0, 10.0)):
        metric = NearestTrainingRatio(training)
        metric.update(held_out, real=True)
        for batch in generated.split(40):
            metric.update(batch, real=False)
        assert low <= float(metric.compute()) <= high


def test_mirror_images_of_training_samples_count_where_asked_for():
    training, held_out = torch.randn(50, 1, 3, 4), torch.randn(20, 1, 3, 4)
    ratios = []
    for mirrored in (False, True):
        metric = NearestTrainingRatio(training, mirrored=mirrored)
        metric.update(held_out, real=True)
        metric.update(training[:20].flip(-1), real=False)
        ratios.append(float(metric.compute()))
    assert ratios[0] > 0.5
    assert ratios[1] == 0


def test_nothing_to_compare_says_so():
    metric = NearestTrainingRatio(torch.zeros(3, 2))
    metric.update(torch.ones(2, 2), real=True)
    with pytest.raises(ValueError, match="no real or no generated"):
        metric.compute()
