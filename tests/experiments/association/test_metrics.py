"""Measures of difficulty and success on cases that can be told by hand, or by scipy."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from experiments.association.metrics import (
    align_events,
    association_accuracy,
    confusion_factor,
    e_l,
    location_error_km,
    oracle_accuracy,
    origin_time_error_s,
    scores,
    wave_speed_rmse_km_s,
)
from experiments.association.problem import Association, Events
from tests.experiments.association.test_assignment import make


def test_the_confusion_factor_is_kendalls():
    rng = np.random.default_rng(1)
    arrivals_s, origin_s = rng.uniform(0, 10, (8, 5)), rng.uniform(0, 10, 8)
    naive = np.mean([kendalltau(arrivals_s[:, i], origin_s).statistic for i in range(5)])
    np.testing.assert_allclose(confusion_factor(arrivals_s, origin_s), 1 - max(naive, 0))
    assert confusion_factor(origin_s[:, None] + np.ones(5), origin_s) == 0.0
    assert confusion_factor(-origin_s[:, None] * np.ones(5), origin_s) == 1.0
    assert confusion_factor(arrivals_s[:1], origin_s[:1]) == 0.0


def test_events_are_aligned_one_to_one():
    true_km = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    estimated_km = true_km[[2, 0, 1]] + 1.0
    assert align_events(estimated_km, true_km).tolist() == [2, 0, 1]
    assert align_events(np.append(estimated_km, [[500.0, 0, 0]], axis=0), true_km).tolist() == [2, 0, 1, -1]
    assert align_events(estimated_km[:1], true_km).tolist() == [2]
    by_picks = align_events(true_km, true_km, "picks", np.array([0, 0, 1, 2, -1]), np.array([1, 1, 0, 2, 2]))
    assert by_picks.tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="event of each pick"):
        align_events(true_km, true_km, "picks")


def test_accuracy_counts_clean_picks_only():
    alignment = np.array([1, 0, -1])
    truth = np.array([0, 0, 1, 1, -1, -1])
    found = np.array([1, 2, 0, -1, 0, -1])
    assert association_accuracy(found, truth, alignment) == 0.5
    assert np.isnan(association_accuracy(found, np.full(6, -1), alignment))


def test_errors_are_root_mean_squares_over_aligned_events():
    true = Events(np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]]), np.array([0.0, 1.0]))
    estimated = Events(np.array([[10.0, 3.0, 4.0], [0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]), np.array([1.2, 0.0, 7.0]))
    alignment = np.array([1, 0, -1])
    np.testing.assert_allclose(location_error_km(estimated, true, alignment), 5 / np.sqrt(2))
    np.testing.assert_allclose(origin_time_error_s(estimated, true, alignment), 0.2 / np.sqrt(2))
    assert np.isnan(location_error_km(estimated, true, np.full(3, -1)))
    assert e_l(np.array([0.3, np.nan, -0.4])) == pytest.approx(np.sqrt(0.125))
    assert wave_speed_rmse_km_s(np.array([5.0, 7.0]), np.array([5.0, 5.0])) == pytest.approx(np.sqrt(2))


def test_the_oracle_is_perfect_without_noise_and_not_with():
    problem, events, truth = make()
    assert oracle_accuracy(problem, events, truth) == 1.0
    noisy, events, truth = make(noise_s=1.0)
    assert 0.2 < oracle_accuracy(noisy, events, truth) < 1.0


def test_a_right_association_scores_full():
    problem, events, truth = make()
    shuffled = np.array([3, 1, 0, 5, 4, 2])
    found = Association(
        Events(events.positions_km[shuffled], events.times_s[shuffled]),
        np.argsort(shuffled)[truth],
        np.zeros(len(truth)),
        np.zeros((6, 3)),
        np.zeros(6),
    )
    assert scores(problem, found, events, truth) == {
        "accuracy": 1.0,
        "accuracy_by_picks": 1.0,
        "oracle_accuracy": 1.0,
        "e_l_s": 0.0,
        "location_error_km": 0.0,
        "origin_time_error_s": 0.0,
    }
