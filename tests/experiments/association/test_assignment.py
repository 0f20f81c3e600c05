"""Assignment of picks to events, against the Hungarian method, and in terms of differences."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from experiments.association.assignment import assign
from experiments.association.problem import Events, Picks, Problem, Stations
from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes
from experiments.association.travel_times.provider import P, S

BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [50.0, 50.0, 30.0]])


def make(n_events=6, n_stations=9, noise_s=0.0, seed=0, incomplete=False, clock_s=0.0):
    rng = np.random.default_rng(seed)
    stations_km = np.column_stack([rng.uniform(0, 50, (n_stations, 2)), np.zeros(n_stations)])
    provider = HomogeneousTravelTimes(stations_km, {P: 6.0, S: 3.5}, BOUNDS_KM)
    events = Events(rng.uniform(*BOUNDS_KM, (n_events, 3)), np.sort(rng.uniform(0, 5, n_events)) + clock_s)
    event, station, phase = (a.ravel() for a in np.meshgrid(range(n_events), range(n_stations), (P, S), indexing="ij"))
    distance_km = np.linalg.norm(events.positions_km[event] - stations_km[station], axis=1)
    times_s = events.times_s[event] + distance_km / np.where(phase == P, 6.0, 3.5)
    times_s += noise_s * rng.standard_normal(len(times_s))
    if incomplete:
        there = rng.random(len(event)) > 0.1
        n_spurious = 10
        event = np.concatenate([event[there], np.full(n_spurious, -1)])
        station = np.concatenate([station[there], rng.integers(0, n_stations, n_spurious)])
        phase = np.concatenate([phase[there], rng.integers(0, 2, n_spurious)])
        times_s = np.concatenate([times_s[there], rng.uniform(-20, 60, n_spurious) + clock_s])
    order = rng.permutation(len(event))
    problem = Problem(
        Stations(tuple(f"S{i}" for i in range(n_stations)), stations_km),
        Picks(station[order], phase[order], times_s[order]),
        provider,
        n_events,
        pick_noise_s=max(noise_s, 0.01),
        may_be_incomplete=incomplete,
    )
    return problem, events, event[order]


@pytest.mark.parametrize("incomplete", [False, True])
def test_true_events_get_their_picks(incomplete):
    problem, events, truth = make(incomplete=incomplete)
    found, residuals_s = assign(problem, events)
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_allclose(residuals_s[truth >= 0], 0.0, atol=1e-12)
    assert np.isnan(residuals_s[truth < 0]).all()


@pytest.mark.parametrize("seed", range(5))
def test_sorting_gives_what_the_hungarian_method_gives(seed):
    problem, events, _ = make(noise_s=0.4, seed=seed)
    found, residuals_s = assign(problem, events)
    total = 0.0
    for (station, phase), picks in zip(problem.channels, problem.picks_of_channel, strict=True):
        away_km = np.linalg.norm(events.positions_km - problem.stations.positions_km[station], axis=1)
        arrivals_s = events.times_s + away_km / (6.0 if phase == P else 3.5)
        costs = (problem.picks.time_s[picks][:, None] - arrivals_s) ** 2
        total += costs[linear_sum_assignment(costs)].sum()
        assert sorted(found[picks]) == list(range(len(events)))
    np.testing.assert_allclose((residuals_s**2).sum(), total, rtol=1e-12)


@pytest.mark.parametrize("incomplete", [False, True])
def test_differences_need_no_origin_times(incomplete):
    problem, events, truth = make(incomplete=incomplete, clock_s=-300.0)
    unknown = dataclasses.replace(events, times_s=np.full(len(events), np.nan))
    found, residuals_s = assign(problem, unknown, form="differences")
    assert (found == truth).mean() > 0.97
    late = dataclasses.replace(events, times_s=events.times_s + 0.02)
    found, residuals_s = assign(problem, late, form="differences")
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_allclose(residuals_s[truth >= 0], 0.0, atol=1e-12)


def test_the_form_of_differences_is_eq_4():
    """For squares, the sum over pairs of stations is N times the sum about the mean."""
    rng = np.random.default_rng(0)
    residuals = rng.normal(size=7)
    pairs = sum((residuals[a] - residuals[b]) ** 2 for a in range(7) for b in range(a))
    np.testing.assert_allclose(pairs, 7 * ((residuals - residuals.mean()) ** 2).sum())


def test_far_picks_are_left_alone():
    problem, events, _ = make(noise_s=0.2, incomplete=True)
    tight, _ = assign(problem, events, reach_s=0.1)
    loose, residuals_s = assign(problem, events, reach_s=1.0)
    assert (tight >= 0).sum() < (loose >= 0).sum()
    assert np.nanmax(np.abs(residuals_s)) < 1.0


def test_without_events_or_picks_nothing_is_assigned():
    problem, events, _ = make()
    found, residuals_s = assign(problem, Events(np.zeros((0, 3)), np.zeros(0)))
    assert (found == -1).all()
    assert np.isnan(residuals_s).all()
    empty = dataclasses.replace(problem, picks=Picks(np.zeros(0, int), np.zeros(0, int), np.zeros(0)))
    assert len(assign(empty, events)[0]) == 0
