"""Standard errors against a Monte Carlo experiment and against the dense joint Hessian."""

import dataclasses

import numpy as np
import torch
from scipy.optimize import least_squares

from experiments.association.travel_times.provider import TravelTimesAndDerivatives
from experiments.association.uncertainty import standard_errors
from tests.experiments.association.test_assignment import make


def test_errors_are_those_of_repeated_experiments():
    problem, events, truth = make(n_events=1, n_stations=12, seed=3)
    problem = dataclasses.replace(problem, pick_noise_s=0.05)
    errors = standard_errors(problem, events, truth, np.zeros(len(truth)))
    rng = np.random.default_rng(0)
    start = np.append(events.positions_km[0], events.times_s[0])
    channel = np.array(
        [
            np.flatnonzero((problem.channels == pair).all(1))[0]
            for pair in zip(problem.picks.station, problem.picks.phase, strict=True)
        ]
    )
    found = []
    for _ in range(150):
        times_s = problem.picks.time_s + 0.05 * rng.standard_normal(len(truth))

        def misfit(x, times_s=times_s):
            there = problem.travel_times.times(torch.from_numpy(x[:3]), problem.channels).numpy()
            return there[channel] + x[3] - times_s

        found.append(least_squares(misfit, start).x)
    spread = np.std(found, axis=0)
    np.testing.assert_allclose(np.append(errors.positions_km[0], errors.times_s[0]), spread, rtol=0.2)
    assert errors.latent is None


def test_larger_residuals_make_larger_errors():
    problem, events, truth = make()
    small = standard_errors(problem, events, truth, np.full(len(truth), 0.001))
    large = standard_errors(problem, events, truth, np.full(len(truth), 0.5))
    assert (large.positions_km > 40 * small.positions_km).all()


def test_what_picks_do_not_determine_is_nan():
    problem, events, truth = make()
    few = truth.copy()
    few[np.flatnonzero(truth == 2)[3:]] = -1
    few[truth == 4] = -1
    errors = standard_errors(problem, events, few, np.zeros(len(few)))
    assert np.isnan(errors.positions_km[[2, 4]]).any(axis=1).all()
    assert np.isnan(errors.times_s[4])
    assert np.isfinite(errors.positions_km[[0, 1, 3, 5]]).all()
    nothing = standard_errors(problem, events, np.full(len(truth), -1), np.full(len(truth), np.nan))
    assert np.isnan(nothing.positions_km).all()


class _WithCode:
    """A provider whose times depend on a code z: the times of another are multiplied with 1 + w . z."""

    n_latent = 2
    latent_bounds = np.array([[0.0, 0.0], [1.0, 1.0]])

    def __init__(self, provider, n_channels: int) -> None:
        self.provider, self.error_s = provider, 0.0
        self.bounds_km, self.n_stations, self.phases = provider.bounds_km, provider.n_stations, provider.phases
        self.slopes = torch.from_numpy(np.random.default_rng(1).uniform(-0.1, 0.1, (n_channels, 2)))

    def times_and_derivatives(self, positions_km, channels, latent=None):
        times, by_position, _ = self.provider.times_and_derivatives(positions_km, channels)
        factor = 1 + self.slopes @ latent
        return TravelTimesAndDerivatives(
            times * factor, by_position * factor.unsqueeze(-1), times.unsqueeze(-1) * self.slopes
        )


def test_an_unknown_wave_speed_is_carried_over_as_in_the_joint_hessian():
    problem, events, truth = make(n_events=4, n_stations=8)
    provider = _WithCode(problem.travel_times, len(problem.channels))
    joint = dataclasses.replace(problem, travel_times=provider)
    code = np.array([0.3, 0.6])
    errors = standard_errors(joint, events, truth, np.zeros(len(truth)), code)
    _, by_position, by_latent = provider.times_and_derivatives(
        torch.from_numpy(events.positions_km), problem.channels, torch.from_numpy(code)
    )
    rows = []
    for pick, event in enumerate(truth):
        pair = (problem.picks.station[pick], problem.picks.phase[pick])
        channel = int(np.flatnonzero((problem.channels == pair).all(axis=1))[0])
        row = np.zeros(4 * 4 + 2)
        row[4 * event : 4 * event + 3], row[4 * event + 3] = by_position[event, channel], 1.0
        row[16:] = by_latent[event, channel]
        rows.append(row)
    dense = problem.time_error_s * np.sqrt(np.diag(np.linalg.inv(np.array(rows).T @ np.array(rows))))
    np.testing.assert_allclose(errors.positions_km.ravel(), dense[:16].reshape(4, 4)[:, :3].ravel(), rtol=1e-6)
    np.testing.assert_allclose(errors.times_s, dense[3:16:4], rtol=1e-6)
    np.testing.assert_allclose(errors.latent, dense[16:], rtol=1e-6)
    alone = problem.time_error_s * np.sqrt(np.diag(np.linalg.inv(np.array(rows)[:, :16].T @ np.array(rows)[:, :16])))
    assert (errors.times_s > alone[3:16:4]).all()
