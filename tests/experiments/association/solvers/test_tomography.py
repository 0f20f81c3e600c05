"""Tomography from a rough start: times near a wave speed, and events and speed found together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.association.assignment import assign
from experiments.association.metrics import e_l
from experiments.association.problem import Events, Picks, Problem, Stations
from experiments.association.solvers.gauss_newton import GaussNewton
from experiments.association.solvers.solver import Estimate
from experiments.association.solvers.tomography import tomography
from experiments.association.travel_times.provider import P, S
from experiments.association.travel_times.tomographic import Mixture, TomographicTimes
from experiments.association.uncertainty import standard_errors

SPACING_KM, N_NODES, N_STATIONS = 3.0, 11, 12
TRUE_NUMBERS = np.array([0.8, -0.6])
SEARCH = GaussNewton(chains=10, iterations=15, candidates=300, rounds=1)


def _mixture() -> Mixture:
    axis = np.linspace(0.0, 1.0, N_NODES)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    fields = np.stack([1.2 * np.sin(3.0 * x + y), 1.5 * np.cos(2.0 * y) * (1.0 - z)], axis=-1)
    return Mixture(5.0 + 4.0 * z, fields, (5.0, 9.5))


class _Family:
    """What the tomography asks of a field's travel times."""

    n_latent = 1

    def __init__(self, vp_vs=None):
        rng = np.random.default_rng(3)
        self.mixture = _mixture()
        self.vp_vs = vp_vs
        self.station_positions_km = np.column_stack([rng.uniform(0, 30, (N_STATIONS, 2)), np.zeros(N_STATIONS)])

    def numbers_of(self, latent):
        return np.zeros(2)

    def near(self, numbers):
        return TomographicTimes(self.mixture, numbers, SPACING_KM, np.zeros(3), self.station_positions_km, self.vp_vs)


CHANNELS = np.column_stack([np.arange(N_STATIONS), np.full(N_STATIONS, P)])


def _points(n, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(2, 28, (n, 3)))


def test_times_are_the_tables_where_they_were_computed_and_follow_the_numbers():
    times = _Family().near(TRUE_NUMBERS)
    points, here = _points(40), torch.from_numpy(TRUE_NUMBERS)
    torch.testing.assert_close(times.times(points, CHANNELS, here), times.table.times(points, CHANNELS))
    torch.testing.assert_close(times.times(points, CHANNELS), times.table.times(points, CHANNELS))
    moved = TRUE_NUMBERS + np.array([0.15, -0.1])
    truth = _Family().near(moved).table.times(points, CHANNELS)
    still = (times.table.times(points, CHANNELS) - truth).square().mean().sqrt()
    followed = (times.times(points, CHANNELS, torch.from_numpy(moved)) - truth).square().mean().sqrt()
    assert followed < 0.15 * still


def test_derivatives_are_those_of_the_times():
    times = _Family(vp_vs=1.7).near(TRUE_NUMBERS)
    channels = np.array([[4, P], [4, S], [7, P]])
    points, latent = _points(5), torch.tensor([0.7, 0.9, -0.4], dtype=torch.float64)  # a code of one number in front
    found = times.times_and_derivatives(points, channels, latent)
    torch.testing.assert_close(found.times_s, times.times(points, channels, latent))
    torch.testing.assert_close(found.times_s[:, 1], 1.7 * found.times_s[:, 0])
    step = 1e-4
    for a in range(3):
        move = step * torch.eye(3, dtype=torch.float64)[a]
        difference = times.times(points + move, channels, latent) - times.times(points - move, channels, latent)
        torch.testing.assert_close(found.by_position[..., a], difference / (2 * step), rtol=1e-5, atol=1e-7)
        difference = times.times(points, channels, latent + move) - times.times(points, channels, latent - move)
        torch.testing.assert_close(found.by_latent[..., a], difference / (2 * step), rtol=1e-5, atol=1e-7)
    assert not found.by_latent[..., 0].any()


def test_a_clipped_node_does_not_change():
    mixture = _mixture()
    numbers = np.array([1.0, 1.0])
    mixed = mixture.mean + mixture.basis @ numbers
    clipped = (mixed < 5.0) | (mixed > 9.5)
    assert 0.02 < clipped.mean() < 0.9
    changes = mixture.changes_km_s(numbers)
    assert not changes[clipped].any()
    step = 1e-6 * np.array([1.0, 0.0])
    slope = (mixture.wave_speed_km_s(numbers + step) - mixture.wave_speed_km_s(numbers - step)) / 2e-6
    np.testing.assert_allclose(changes[..., 0], slope, atol=1e-6)


def _scene(family, incomplete=False):
    """Six events, their picks of the true wave speed, and a rough start."""
    rng = np.random.default_rng(11)
    truth = Events(rng.uniform(3, 27, (6, 3)), np.sort(rng.uniform(0, 3.0, 6)))
    arrivals_s = family.near(TRUE_NUMBERS).table.times(torch.from_numpy(truth.positions_km), CHANNELS).numpy()
    arrivals_s += truth.times_s[:, None]
    event, station = (each.ravel() for each in np.indices(arrivals_s.shape))
    kept = rng.random(len(event)) > 0.1 if incomplete else np.ones(len(event), bool)
    picks = Picks(station[kept], np.zeros(kept.sum(), np.int64), arrivals_s.ravel()[kept])
    names = tuple(f"S{i}" for i in range(N_STATIONS))
    problem = Problem(Stations(names, family.station_positions_km), picks, family, 6, may_be_incomplete=incomplete)
    rough = Events(np.clip(truth.positions_km + 1.5 * rng.standard_normal((6, 3)), 0, 30), truth.times_s + 0.1)
    trace = {"positions_km": rough.positions_km[None], "loss": np.array([1.0])}
    return problem, truth, event[kept], Estimate(rough, np.array([0.5]), 1.0, trace)


@pytest.mark.parametrize("incomplete", [False, True])
def test_events_and_wave_speed_are_found_together(incomplete):
    family = _Family()
    problem, truth, event_of_pick, start = _scene(family, incomplete)
    found = tomography(problem, family, start, lambda known: SEARCH.solve(known, 0), rounds=6)
    assert found.loss < 0.01 or incomplete  # there a missing pick counts a gate
    np.testing.assert_allclose(found.latent[1:], TRUE_NUMBERS, atol=0.15)
    assert found.latent[0] == start.latent[0]
    assert np.linalg.norm(found.events.positions_km - truth.positions_km, axis=1).max() < 0.5
    better = replace(problem, travel_times=found.travel_times)
    assigned, residuals_s = assign(better, found.events, found.latent)
    assert (assigned == event_of_pick).mean() > 0.95
    assert e_l(residuals_s) < 0.01
    errors = standard_errors(better, found.events, assigned, residuals_s, found.latent)
    assert np.isfinite(errors.positions_km).all()
    assert len(found.trace["loss"]) == len(found.trace["positions_km"]) > 1


def test_without_mixtures_or_events_the_start_stays():
    family = _Family()
    problem, _, _, start = _scene(family)
    nothing = Estimate(Events(np.empty((0, 3)), np.empty(0)), start.latent)
    assert tomography(problem, family, nothing, SEARCH.solve) is nothing
    family.mixture = None
    assert tomography(problem, family, start, SEARCH.solve) is start
