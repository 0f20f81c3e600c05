"""Langevin dynamics: its gradient, its noise, its settings, and that it solves a small problem."""

import dataclasses

import numpy as np
import pytest
import torch

from experiments.association.assignment import assign
from experiments.association.metrics import align_events, association_accuracy
from experiments.association.solvers.psgld import PreconditionedSGLD, _Run, sgd
from experiments.association.solvers.psgld_misfit import misfit_and_gradient, misfit_and_gradient_by_pot
from experiments.association.transport import ArrivalSets, w_sorted, w_unequal
from experiments.association.travel_times.field import FieldTravelTimes
from tests.experiments.association.test_assignment import make
from tests.experiments.association.travel_times.test_field import _Field

SHORT = {"chains": 4, "restarts": 1, "patience_epochs": 3, "refine_epochs": 2, "steps_per_epoch": 10}


@pytest.mark.parametrize("counts", [(5, 5, 5), (5, 3, 9)])
@pytest.mark.parametrize(("p", "rooted"), [(2.0, False), (2.0, True), (1.5, False), (3.0, True)])
def test_the_gradient_in_closed_form_is_that_of_torch_and_of_pot(counts, p, rooted):
    rng = np.random.default_rng(0)
    picks = [rng.uniform(0, 10, count) for count in counts]
    arrivals = rng.uniform(0, 10, (4, 3, 5))
    misfit, gradient = misfit_and_gradient(arrivals, ArrivalSets.of(picks), p, rooted=rooted)
    leaf = torch.from_numpy(arrivals).requires_grad_()
    distance = w_sorted if counts[1] == 5 else w_unequal
    columns = [distance(leaf[:, c], torch.from_numpy(picks[c]).expand(4, -1), p, rooted) for c in range(3)]
    stacked = torch.stack(columns, dim=1)
    (expected,) = torch.autograd.grad(stacked.sum(), leaf)
    np.testing.assert_allclose(misfit, stacked.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14)
    by_pot = misfit_and_gradient_by_pot(arrivals, ArrivalSets.of(picks), p, rooted)
    np.testing.assert_allclose(by_pot[0], misfit, rtol=1e-12)
    np.testing.assert_allclose(by_pot[1], gradient, rtol=1e-10, atol=1e-14)


def test_with_a_dustbin_the_gradient_is_that_of_differences():
    rng = np.random.default_rng(1)
    sets = ArrivalSets.of([rng.uniform(0, 10, count) for count in (0, 3, 6)])
    arrivals, step = rng.uniform(0, 10, (2, 3, 4)), 1e-6
    _, gradient = misfit_and_gradient(arrivals, sets, reach_s=1.5)
    for event in range(4):
        moved = np.zeros(4)
        moved[event] = step
        ahead, behind = (misfit_and_gradient(arrivals + sign * moved, sets, reach_s=1.5)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[..., event], (ahead - behind) / (2 * step), atol=1e-7)


def test_the_gradient_by_unknowns_is_that_of_differences():
    problem, _, _ = make(n_events=3, n_stations=4)
    run = _Run(PreconditionedSGLD(chains=2), problem, 3, 0)
    channels = np.array([0, 3, 5])
    gradient = run._gradient(channels, np.inf)
    start, step = run.unknowns.copy(), 1e-6
    for k in range(start.shape[1]):
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            moved[:, k] += sign * step
            sides.append(run._evaluate(moved, channels, np.inf)[0].mean(axis=1) / run.scales.time_s**2)
        np.testing.assert_allclose(gradient[:, k], (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_the_latent_code_is_a_unknown_like_the_others():
    """Its gradient is that of differences, and it stays in its range."""
    field = _Field(2)
    problem = dataclasses.replace(make(n_events=3, n_stations=5)[0], travel_times=FieldTravelTimes(field, vp_vs=1.7))
    run = _Run(PreconditionedSGLD(chains=2), problem, 3, 0)
    assert run.unknowns.shape == (2, 14)
    channels = np.array([0, 3, 5])
    gradient = run._gradient(channels, np.inf)
    for k in (12, 13):
        sides = []
        for sign in (1, -1):
            moved = run.unknowns.copy()
            moved[:, k] += sign * 1e-6
            sides.append(run._evaluate(moved, channels, np.inf)[0].mean(axis=1) / run.scales.time_s**2)
        np.testing.assert_allclose(gradient[:, k], (sides[0] - sides[1]) / 2e-6, rtol=1e-5, atol=1e-8)
    latent = PreconditionedSGLD(**SHORT).solve(problem).latent
    assert latent.shape == (2,)
    assert ((latent >= 0) & (latent <= 1)).all()


def test_plain_noise_has_the_spread_of_eq_12():
    """At a tiny learning rate the noise, which goes with its root, is all that moves."""
    problem, _, _ = make(n_events=6, n_stations=3)
    settings = PreconditionedSGLD(chains=400, preconditioned=False, learning_rate=1e-6, noise=0.05)
    run = _Run(settings, problem, 6, 0)
    run.unknowns[:] = 0.3
    before = run.unknowns.copy()
    run._step(np.full(400, 1e-6), np.full(400, 0.05), np.inf, np.ones(24, bool))
    moved = run.unknowns - before
    np.testing.assert_allclose(moved.std(), np.sqrt(2e-6) * 0.05, rtol=0.03)


def test_a_small_problem_is_solved_and_the_same_seed_solves_it_the_same_way():
    problem, events, truth = make(n_events=4, n_stations=10, seed=2)
    settings = PreconditionedSGLD(chains=30, steps_per_epoch=40, refine_epochs=12)
    one, two = settings.solve(problem, seed=5), settings.solve(problem, seed=5)
    np.testing.assert_array_equal(one.events.positions_km, two.events.positions_km)
    found, _ = assign(problem, one.events)
    alignment = align_events(one.events.positions_km, events.positions_km)
    assert association_accuracy(found, truth, alignment) > 0.9
    assert one.loss < 0.1
    assert (np.diff(one.events.times_s) >= 0).all()
    assert one.trace["positions_km"].shape == (len(one.trace["loss"]), 4, 3)
    other = settings.solve(problem, seed=6)
    assert not np.array_equal(one.events.positions_km, other.events.positions_km)


def test_sgd_is_the_same_without_noise_from_the_same_start():
    problem, _, _ = make()
    noisy, still = _Run(PreconditionedSGLD(**SHORT), problem, 6, 1), _Run(sgd(**SHORT), problem, 6, 1)
    np.testing.assert_array_equal(noisy.unknowns, still.unknowns)
    assert sgd(noise=0.3).noise == 0.0
    assert np.isfinite(sgd(**SHORT).solve(problem).loss)


@pytest.mark.parametrize("settings", [{"rooted": True}, {"p": 1.5}, {"transport": "pot"}, {"preconditioned": False}])
def test_every_form_of_the_loss_runs(settings):
    problem, _, _ = make(n_events=3, n_stations=4)
    estimate = PreconditionedSGLD(**SHORT, **settings).solve(problem)
    assert np.isfinite(estimate.loss)
    assert len(estimate.events) == 3


def test_sorted_and_pot_walk_the_same_way():
    problem, _, _ = make(n_events=3, n_stations=4)
    one = PreconditionedSGLD(**SHORT).solve(problem)
    other = PreconditionedSGLD(**SHORT, transport="pot").solve(problem)
    np.testing.assert_allclose(one.events.positions_km, other.events.positions_km, rtol=1e-6)


def test_pretraining_moves_origin_times_alone():
    problem, _, _ = make()
    run = _Run(PreconditionedSGLD(**SHORT, pretrain_times=True), problem, 6, 0)
    before = run.unknowns.copy()
    run._epoch()
    moved = (run.unknowns != before).any(axis=0).reshape(6, 4)
    assert moved[:, 3].all()
    assert not moved[:, :3].any()


def test_chains_that_do_not_get_there_start_anew():
    problem, _, _ = make()
    settings = PreconditionedSGLD(**{**SHORT, "restarts": 3}, threshold_s=1e-6)
    run = _Run(settings, problem, 6, 0)
    run.estimate(progress=False)
    assert (run.starts == 3).all()


def test_positions_and_given_origin_times_stay_in_their_range():
    problem, events, _ = make()
    window = (float(events.times_s.min()), float(events.times_s.max()))
    bounded = dataclasses.replace(problem, origin_time_range_s=window)
    found = PreconditionedSGLD(**SHORT, learning_rate=0.3).solve(bounded).events
    assert (found.positions_km >= problem.travel_times.bounds_km[0]).all()
    assert (found.positions_km <= problem.travel_times.bounds_km[1]).all()
    assert (found.times_s >= window[0] - 1e-9).all()
    assert (found.times_s <= window[1] + 1e-9).all()


def test_missing_and_spurious_picks_leave_the_rest_right():
    problem, events, truth = make(n_events=4, n_stations=14, seed=4, incomplete=True)
    estimate = PreconditionedSGLD(chains=40, steps_per_epoch=60).solve(problem)
    found, _ = assign(problem, estimate.events)
    alignment = align_events(estimate.events.positions_km, events.positions_km)
    assert association_accuracy(found, truth, alignment) > 0.8


def test_without_a_number_of_events_it_says_what_to_do():
    problem, _, _ = make()
    with pytest.raises(ValueError, match="number of events"):
        PreconditionedSGLD().solve(dataclasses.replace(problem, n_events=None))
