"""Drawn problems: reproducible, as hard as asked for, and judged rightly."""

import json

import numpy as np
import pytest

from datamodules.simulate.arrivals import random_stations
from experiments import association_trials
from experiments.association.problem import Association, Events
from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes
from experiments.association.travel_times.provider import P
from experiments.association_trials import (
    Setting,
    confusion_of,
    draw,
    drawn,
    judged,
    oracle,
    point_times,
    solved,
    summary,
    trial_of,
    words,
)
from experiments.ledger import Ledger

BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]])
STATIONS_KM = random_stations(10, 0)
SPEED_KM_S = 8.0
TIMES = HomogeneousTravelTimes(STATIONS_KM, {P: SPEED_KM_S}, BOUNDS_KM)


def _trial(seed=1000, **setting):
    return trial_of(Setting(**{"n_events": 5, **setting}), seed, point_times(TIMES), STATIONS_KM, TIMES)


def _truth_as_solution(trial, order=None):
    """The true events as if a solver had found them, in another order."""
    order = np.arange(len(trial.truth.positions_km)) if order is None else np.asarray(order)
    place = np.append(np.argsort(order), -1)
    return Association(
        Events(trial.truth.positions_km[order], trial.truth.origin_times_s[order]),
        place[trial.truth.event_of_pick],
        np.zeros(len(trial.truth.time_s)),
        np.zeros((len(order), 3)),
        np.zeros(len(order)),
    )


def test_point_times_are_distances_over_speed():
    points = np.random.default_rng(0).uniform(0, 100, (7, 3))
    wanted = np.linalg.norm(points[:, None] - STATIONS_KM, axis=-1) / SPEED_KM_S
    np.testing.assert_allclose(point_times(TIMES)(points), wanted, rtol=1e-12)


def test_a_seed_gives_the_same_trial_and_picks_are_travel_times_plus_origin_times():
    one, two = _trial(), _trial()
    assert np.array_equal(one.truth.time_s, two.truth.time_s)
    truth = one.truth
    arrivals = point_times(TIMES)(truth.positions_km) + truth.origin_times_s[:, None]
    np.testing.assert_allclose(truth.time_s, arrivals[truth.event_of_pick, truth.station], rtol=1e-12)
    assert one.problem.origin_time_range_s is None, "the solver is not told when"
    assert not one.problem.may_be_incomplete


def test_a_least_confusion_factor_is_kept_and_one_out_of_reach_is_told(monkeypatch):
    monkeypatch.setattr(association_trials, "_MOST_DRAWS", 20)
    assert _trial(least_confusion=0.9).confusion_factor >= 0.9
    assert _trial(seed=1003, origin_window_s=2000.0).confusion_factor < 0.05
    with pytest.raises(ValueError, match="do not reach"):
        draw(Setting(5, origin_window_s=2000.0, least_confusion=0.9), 1000, point_times(TIMES), BOUNDS_KM)


def test_the_order_of_estimates_does_not_matter_and_wrong_picks_count():
    trial = _trial()
    right = judged(trial, _truth_as_solution(trial))
    assert right == judged(trial, _truth_as_solution(trial, [3, 1, 4, 0, 2]))
    assert right["accuracy"] == 1.0
    assert right["location_error_km"] == 0.0
    wrong = _truth_as_solution(trial)
    wrong.event_of_pick[:10] = (wrong.event_of_pick[:10] + 1) % 5
    assert judged(trial, wrong)["accuracy"] == pytest.approx(1 - 10 / len(trial.truth.time_s))


def test_the_oracle_of_exact_times_is_right_and_noise_costs_it_picks():
    assert oracle(_trial())["accuracy"] == 1.0
    assert oracle(_trial(pick_noise_s=1.0))["accuracy"] < 1.0


def test_missing_and_spurious_picks_make_an_incomplete_problem():
    trial = _trial(n_events=10, p_missing=0.2, p_spurious=0.1)
    assert trial.problem.may_be_incomplete
    assert len(trial.problem.picks) == len(STATIONS_KM) * (10 - 2 + 1)
    assert (trial.truth.event_of_pick == -1).sum() == len(STATIONS_KM)


def test_gauss_newton_solves_an_easy_trial_and_what_is_drawn_fits():
    trial = _trial(n_events=3)
    association = solved(trial, "gauss_newton", 0)
    scores = judged(trial, association)
    assert scores["accuracy"] == 1.0
    shown = drawn(trial, association, words(scores))
    assert np.array_equal(shown.found_event, shown.true_event)
    np.testing.assert_allclose(shown.found_positions_km, trial.truth.positions_km, atol=0.1)
    assert "ACC 100.0 %" in shown.title


def test_estimates_that_are_missing_are_drawn_nowhere():
    trial = _trial()
    few = _truth_as_solution(trial)
    fewer = Association(
        Events(few.events.positions_km[:3], few.events.times_s[:3]),
        np.where(few.event_of_pick < 3, few.event_of_pick, -1),
        few.residuals_s, few.position_errors_km[:3], few.time_errors_s[:3],
    )  # fmt: skip
    shown = drawn(trial, fewer, "")
    assert np.isnan(shown.found_positions_km[3:]).all()
    assert (shown.found_event[trial.truth.event_of_pick >= 3] == -1).all()


def test_a_summary_leaves_out_what_is_no_number():
    found = summary([{"accuracy": 1.0, "e_l_s": np.nan}, {"accuracy": 0.5, "e_l_s": 2.0}])
    assert found == {"accuracy": 0.75, "e_l_s": 2.0, "accuracy_sd": 0.25, "accuracy_min": 0.5}


def test_confusion_factor_of_events_far_apart_is_zero():
    assert confusion_of(_trial(origin_window_s=1e6).truth) == 0.0


def test_a_ledger_goes_on_and_forgets_what_was_made_from_other_inputs(tmp_path):
    path = tmp_path / "results" / "cells.json"
    calls = []

    def compute(value):
        calls.append(value)
        return {"value": value}

    first = Ledger(path, ["experiments.ledger"], {"seed": 0})
    assert first.result("a", compute, 1) == {"value": 1}
    assert Ledger(path, ["experiments.ledger"], {"seed": 0}).result("a", compute, 2) == {"value": 1}
    assert Ledger(path, ["experiments.ledger"], {"seed": 1}).result("a", compute, 3) == {"value": 3}
    assert calls == [1, 3]
    assert json.loads(path.read_text())["results"] == {"a": {"value": 3}}
    with pytest.raises(ZeroDivisionError):
        first.result("b", lambda: 1 / 0)
    assert "b" not in first
