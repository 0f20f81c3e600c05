"""Class shares, the co-balanced ratio and its moving average, against a second, plain implementation."""

import math

import numpy as np
import pytest
import torch

from lightning_modules.cubism.balance import (
    TargetRatio,
    class_frequencies,
    co_balanced_frequencies,
    draw_classes,
    generated_shares,
    prior_offset,
    sampling_probabilities,
)
from lightning_modules.cubism.losses import classification_loss


def test_class_frequencies_count_labels_and_sum_probabilities():
    labels = torch.tensor([0, 1, 0, 0])
    torch.testing.assert_close(class_frequencies(labels, 3), torch.tensor([0.75, 0.25, 0.0]))
    soft = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    torch.testing.assert_close(class_frequencies(soft, 2), torch.tensor([0.7, 0.3]))


def test_two_classes_are_drawn_as_algorithm_1_has_it():
    source, target = torch.tensor([0.8, 0.2]), torch.tensor([0.6, 0.4])
    torch.testing.assert_close(co_balanced_frequencies(source, target), torch.tensor([0.7, 0.3]))
    torch.testing.assert_close(generated_shares("co_balanced", source, target), torch.tensor([0.3, 0.7]))
    torch.testing.assert_close(generated_shares("source", source, target), torch.tensor([0.2, 0.8]))
    torch.testing.assert_close(generated_shares("none", source, target), source)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_sampling_probabilities_are_probabilities_that_favour_the_rare(n_classes):
    shares = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(n_classes)))
    p = sampling_probabilities(shares)
    assert float(p.sum()) == pytest.approx(1.0)
    assert (p >= 0).all()
    assert torch.equal(p.argsort(descending=True), shares.argsort())


def test_drawn_classes_have_their_shares():
    shares = torch.tensor([0.1, 0.6, 0.3])
    u = torch.from_numpy(np.random.default_rng(0).random(100_000, dtype=np.float32))
    drawn = draw_classes(shares, u)
    torch.testing.assert_close(class_frequencies(drawn, 3), shares, atol=0.01, rtol=0.0)
    assert torch.equal(draw_classes(shares, torch.tensor([0.0, 0.0999, 0.1, 0.75, 0.9999])),
                       torch.tensor([0, 0, 1, 2, 2]))  # fmt: skip
    assert torch.equal(draw_classes(torch.tensor([0.0, 1.0]), torch.tensor([0.0])), torch.tensor([1]))


@pytest.mark.parametrize("xi", [0.0, 0.5, 0.9])
def test_the_average_is_the_weighted_mean_of_all_batches(xi):
    batches = torch.from_numpy(np.random.default_rng(1).dirichlet(np.ones(2), 12)).float()
    ratio = TargetRatio(2, xi)
    torch.testing.assert_close(ratio.estimate, torch.tensor([0.5, 0.5]))
    for n, batch in enumerate(batches, start=1):
        estimate = ratio.update(batch, first_epoch=n < 4)
        weight = torch.tensor([xi ** (n - 1 - k) for k in range(n)])
        wanted = (weight[:, None] * batches[:n]).sum(dim=0) / weight.sum()
        torch.testing.assert_close(estimate, wanted)


def test_algorithm_1_does_not_average_in_the_first_epoch():
    batches = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [1.0, 0.0]])
    ratio = TargetRatio(2, 0.9, "batch_first_epoch")
    wanted = None
    for n, batch in enumerate(batches):
        first = n < 2
        wanted = batch if first or wanted is None else 0.9 * wanted + 0.1 * batch
        torch.testing.assert_close(ratio.update(batch, first_epoch=first), wanted)


def test_the_average_is_part_of_the_state():
    ratio, other = TargetRatio(2), TargetRatio(2)
    for share in (0.1, 0.6):
        ratio.update(torch.tensor([1.0 - share, share]), first_epoch=True)
    other.load_state_dict(ratio.state_dict())
    assert torch.equal(other.estimate, ratio.estimate)
    new = torch.tensor([0.3, 0.7])
    assert torch.equal(ratio.update(new, first_epoch=False), other.update(new, first_epoch=False))


def test_with_its_offset_a_classifier_learns_the_wanted_prior():
    # Two classes on a line, N(-1, 1) and N(1, 1), drawn one to four and wanted four to one: Bayes' rule is known.
    rng = torch.Generator().manual_seed(0)
    drawn, wanted = torch.tensor([0.2, 0.8]), torch.tensor([0.8, 0.2])
    label = (torch.rand(200_000, generator=rng) < drawn[1]).long()
    x = 2.0 * label - 1.0 + torch.randn(len(label), generator=rng)
    weights = torch.zeros(2, requires_grad=True)  # slope and intercept of the second logit over the first
    offset = prior_offset(drawn, wanted, torch.ones(len(label)))
    optimiser = torch.optim.LBFGS([weights], max_iter=50)

    def closure():
        optimiser.zero_grad()
        logits = torch.stack([torch.zeros_like(x), weights[0] * x + weights[1]], dim=1)
        loss = classification_loss(logits + offset, label)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert weights.detach().tolist() == pytest.approx([2.0, math.log(0.2 / 0.8)], abs=0.03)


def test_what_is_mixed_of_the_target_alone_needs_no_offset():
    generated, wanted = torch.tensor([0.2, 0.8]), torch.tensor([0.7, 0.3])
    offset = prior_offset(generated, wanted, torch.tensor([0.0, 0.5, 1.0]))
    assert offset[0].tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert offset[1].exp().tolist() == pytest.approx([0.45 / 0.7, 0.55 / 0.3])
    assert offset[2].exp().tolist() == pytest.approx([0.2 / 0.7, 0.8 / 0.3])
    assert torch.isfinite(prior_offset(generated, torch.tensor([1.0, 0.0]), torch.ones(1))).all()
