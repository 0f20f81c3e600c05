"""Stages of the search: joint steps, stacking and descent, evidence, windows of origin times."""

import numpy as np
import pytest

from experiments.association.event_count import LEAST_EVIDENCE, evidence
from experiments.association.solvers.back_projection import tents
from experiments.association.solvers.joint_steps import MATCH_ALL, explain, solve_step, take_steps
from experiments.association.solvers.origin_times import (
    likely_window,
    origin_time_window,
    possible_window,
)
from experiments.association.solvers.pick_table import PickTable, pick_table
from experiments.association.solvers.pursuit import prune, pursue_incomplete
from experiments.association.solvers.search import Search
from experiments.association.solvers.time_table import node_times, time_table
from tests.experiments.association.solvers.scenes import scene


def search_of(seed: int, **settings: object) -> tuple[Search, np.ndarray]:
    problem, events, _ = scene(4, 12, seed, **settings)  # type: ignore[arg-type]
    made, _ = time_table(problem)
    nodes, picks = node_times(made), pick_table(problem)
    everywhere = not problem.may_be_incomplete
    window = possible_window(nodes, picks, everywhere)
    truth = np.column_stack([events.positions_km, events.times_s])
    return Search(made, nodes, picks, window, max(problem.time_error_s, 2e-3), everywhere), truth


def test_damped_normal_equations_are_solved() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((9, 4))
    normal, right, step = rows.T @ rows, rng.standard_normal(4), np.empty(4)
    solve_step(normal.copy(), right, 0.3, 0.01, step)
    damped = normal + np.diag(0.3 * np.diag(normal) + 0.01)
    np.testing.assert_allclose(step, np.linalg.solve(damped, right), rtol=1e-10)


def test_true_events_explain_everything_and_near_ones_descend_to_them() -> None:
    search, truth = search_of(0)
    pick_of_event, residuals_s, loss = explain(search.table, search.picks, truth, MATCH_ALL)
    assert loss < 1e-6
    assert (np.sort(pick_of_event, axis=1) == np.arange(4)).all()
    assert np.abs(residuals_s).max() < 1e-5
    near = truth + np.random.default_rng(0).standard_normal(truth.shape) * np.array([0.2, 0.2, 0.2, 0.02])
    settled = search.settle(near, MATCH_ALL, 30)
    np.testing.assert_allclose(settled, truth, atol=1e-3)


def test_chains_stay_within_bounds_and_the_same_seed_gives_the_same_chains() -> None:
    search, _ = search_of(1)
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        chains = rng.uniform(search.bounds[0], search.bounds[1], (3, 4, 4))
        noise = np.linspace(20.0, 0.0, 15)
        take_steps(
            search.table, search.picks, chains, np.zeros(15), noise, 0.1 * noise, 0.3 + 0 * noise, search.bounds, rng,
            0.0, np.empty(3),
        )  # fmt: skip
        assert (chains >= search.bounds[0]).all()
        assert (chains <= search.bounds[1]).all()
        runs.append(chains)
    np.testing.assert_array_equal(runs[0], runs[1])


def test_tents_measure_the_distance_to_the_nearest_pick() -> None:
    rng = np.random.default_rng(0)
    rows = np.sort(rng.uniform(0, 10, (3, 6)), axis=1)
    picks = PickTable(rows, np.array([6, 1, 0]))
    made = tents(picks, 0.5, -1.0, 120, 0.1)
    t = -1.0 + 0.1 * np.arange(120)
    for row, times_s, n in zip(made[:2], rows, (6, 1), strict=False):
        distance = np.abs(t[:, None] - times_s[None, :n]).min(axis=1)
        np.testing.assert_allclose(row, np.maximum(0.0, 1.0 - distance / 0.5), atol=1e-6)
    assert (made[2] == 0.0).all()


def test_the_stack_finds_single_events_among_all_picks() -> None:
    search, truth = search_of(2)
    found = search.candidates(search.picks, 500, np.random.default_rng(0))
    assert (np.diff(found.scores) <= 0).all()
    best = found.events[:300]
    for event in truth:
        assert np.abs(best - event).max(axis=1).min() < 0.05


def test_long_spans_are_searched_window_by_window() -> None:
    search, truth = search_of(3, span_s=3000.0)
    assert search.window_s[1] - search.window_s[0] > 1000
    found = search.candidates(search.picks, 500, np.random.default_rng(0))
    for event in truth:
        assert np.abs(found.events - event).max(axis=1).min() < 0.05


def test_windows_hold_the_origin_times() -> None:
    for seed in range(5):
        problem, events, _ = scene(6, 12, seed, start_s=5000.0)
        made, _ = time_table(problem)
        nodes, picks = node_times(made), pick_table(problem)
        sure, loose = possible_window(nodes, picks, True), possible_window(nodes, picks, False)
        assert loose[0] <= sure[0] <= events.times_s.min()
        assert events.times_s.max() <= sure[1] <= loose[1]
        likely = likely_window(nodes, picks)
        assert likely[1] - likely[0] < loose[1] - loose[0]
        assert likely[0] <= events.times_s.mean() <= likely[1]
        assert origin_time_window(problem)[0] == pytest.approx(likely[0], abs=1.0)


def test_evidence_is_the_laplace_approximation_of_a_posterior() -> None:
    # One unknown stands in for four: with derivatives that are orthonormal the Hessian is the identity over s^2.
    rng = np.random.default_rng(0)
    n, error_s, rate, volume = 12, 0.05, 0.4, 3.0e5
    derivatives = np.concatenate([np.zeros((1, 1, n)), rng.standard_normal((1, 3, n))], axis=1)
    residuals_s = error_s * rng.standard_normal((n, 1))
    by_event = np.column_stack([derivatives[0, 1:].T, np.ones(n)])
    covariance = error_s**2 * np.linalg.inv(by_event.T @ by_event)
    likelihood = -n * np.log(error_s * np.sqrt(2 * np.pi)) - 0.5 * (residuals_s**2).sum() / error_s**2
    integral = likelihood + 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1] - np.log(volume)
    found = evidence(residuals_s, derivatives, np.full(n, rate), error_s, volume)
    np.testing.assert_allclose(found, integral - n * np.log(rate), rtol=1e-4)
    residuals_s[4:] = np.nan
    assert evidence(residuals_s, derivatives, np.full(n, rate), error_s, volume) == -np.inf


def test_events_without_picks_of_their_own_are_pruned() -> None:
    search, truth = search_of(4, p_missing=0.1, n_spurious=6)
    rng = np.random.default_rng(0)
    false = rng.uniform(search.bounds[0], search.bounds[1], (3, 4))
    kept = prune(search, np.concatenate([truth, false]), LEAST_EVIDENCE)
    assert len(kept) == len(truth)
    assert np.abs(kept[:, None] - truth).max(axis=-1).min(axis=0).max() < 0.2


def test_noise_alone_makes_no_events() -> None:
    search, _ = search_of(5, p_missing=1.0, n_spurious=80)
    assert len(pursue_incomplete(search, None, np.random.default_rng(0))) == 0


def test_picks_that_are_used_or_outside_a_span_leave_the_table() -> None:
    picks = PickTable(np.array([[1.0, 2.0, 3.0], [5.0, np.inf, np.inf]]), np.array([3, 1]))
    left = picks.without(np.array([[False, True, False], [True, False, False]]))
    np.testing.assert_array_equal(left.times_s, [[1.0, 3.0], [np.inf, np.inf]])
    np.testing.assert_array_equal(left.counts, [2, 0])
    np.testing.assert_array_equal(picks.between(2.0, 4.0).counts, [2, 0])
    np.testing.assert_allclose(picks.rates(), [1.5, 1.0])
