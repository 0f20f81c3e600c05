"""Scores without labels: closed forms, plain loops, and the order they put good and bad classifiers in."""

import math

import pytest
import torch

from lightning_modules.cubism.validator import (
    UnsupervisedScore,
    importance_weighted_accuracy,
    infomax,
    soft_neighbourhood_density,
)


def sharp(label: torch.Tensor, certainty: float) -> torch.Tensor:
    probability = torch.full((len(label), 2), 1.0 - certainty, dtype=torch.float64)
    probability[torch.arange(len(label)), label] = certainty
    return probability


def test_infomax_in_closed_form():
    label = torch.tensor([0, 1] * 10)
    assert float(infomax(sharp(label, 1.0))) == pytest.approx(math.log(2.0))
    assert float(infomax(sharp(torch.zeros(8, dtype=torch.int64), 1.0))) == pytest.approx(0.0)
    assert float(infomax(torch.full((5, 2), 0.5, dtype=torch.float64))) == pytest.approx(0.0)


def test_soft_neighbourhood_density_against_a_plain_loop():
    torch.manual_seed(0)
    probability = torch.randn(12, 3, dtype=torch.float64).softmax(dim=1)
    total = 0.0
    for i in range(12):
        likeness = []
        for j in range(12):
            if i != j:
                a, b = probability[i], probability[j]
                likeness.append(math.exp(float(a @ b / (a.norm() * b.norm())) / 0.05))
        share = [value / sum(likeness) for value in likeness]
        total -= sum(p * math.log(p) for p in share)
    assert float(soft_neighbourhood_density(probability)) == pytest.approx(total / 12)


def test_only_infomax_sees_that_all_events_got_one_class():
    collapsed, good = sharp(torch.zeros(100, dtype=torch.int64), 0.99), sharp((torch.arange(100) % 5 == 0).long(), 0.99)
    assert float(soft_neighbourhood_density(collapsed)) == pytest.approx(math.log(99))
    assert float(soft_neighbourhood_density(good)) < math.log(99)
    assert float(infomax(collapsed)) == pytest.approx(0.0, abs=1e-12)
    assert float(infomax(good)) > 0.4


def test_importance_weights_count_target_like_events_more():
    probability = sharp(torch.tensor([0, 0, 1]), 0.9)
    label = torch.tensor([0, 1, 1])
    assert float(importance_weighted_accuracy(probability, label, torch.zeros(3))) == pytest.approx(2 / 3)
    logit = torch.tensor([0.0, -math.log(4.0), 0.0])  # the wrong one is four times as likely of the target
    assert float(importance_weighted_accuracy(probability, label, logit)) == pytest.approx(2 / 6)


@pytest.mark.parametrize("kind", ["soft_neighbourhood_density", "infomax", "entropy"])
def test_certain_predictions_score_higher_than_vague_ones(kind):
    label = torch.arange(60) % 4 == 0
    torch.manual_seed(0)
    vague = torch.rand(60, 2, dtype=torch.float64).softmax(dim=1)
    scores = []
    for probability in (sharp(label.long(), 0.98), vague):
        metric = UnsupervisedScore(kind)
        for part in probability.split(16):
            metric.update(part)
        scores.append(float(metric.compute()))
    if kind == "soft_neighbourhood_density":  # certain neighbours are many and all alike within a class
        assert scores[0] != scores[1]
    else:
        assert scores[0] > scores[1]


def test_the_source_enters_only_the_weighted_accuracy():
    label = torch.tensor([0, 1, 1, 0])
    probability = sharp(label, 0.9)
    weighted, unsupervised = UnsupervisedScore("importance_weighted"), UnsupervisedScore("infomax")
    for metric in (weighted, unsupervised):
        metric.update(probability, label, torch.zeros(4))
    assert float(weighted.compute()) == 1.0
    assert math.isnan(float(unsupervised.compute()))
    unsupervised.update(probability)
    assert float(unsupervised.compute()) > 0.0
