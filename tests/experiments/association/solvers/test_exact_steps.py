"""Gauss-Newton with a provider's own times and the wave speed's code: the arrow-shaped system, against a dense one."""

import numpy as np
import torch

from experiments.association.problem import Picks, Problem
from experiments.association.solvers.exact_steps import CodePrior, ExactSteps, settle_exactly
from experiments.association.solvers.joint_steps import MATCH_ALL
from experiments.association.solvers.pick_table import pick_table
from tests.experiments.association.solvers.linear_wave_speed import ScaledTimes
from tests.experiments.association.solvers.scenes import homogeneous, scene, stations

CODE = np.array([0.7, 0.35])
OPEN = np.array([[0.0, 0.0, 0.0, -np.inf], [40.0, 40.0, 20.0, np.inf]])


def unknown_speed(
    n_events: int, n_stations: int, seed: int, noise_s: float = 0.0
) -> tuple[Problem, np.ndarray, np.ndarray]:
    """A problem of the family, its events `(event, 4)` and the event of each pick."""
    known, events, event_of_pick = scene(n_events, n_stations, seed)
    provider = ScaledTimes(known.stations.positions_km)
    channels = np.column_stack([np.arange(n_stations), np.zeros(n_stations, int)])
    code = torch.from_numpy(CODE).expand(n_events, -1)
    arrivals = provider.times(torch.from_numpy(events.positions_km), channels, code).numpy() + events.times_s[:, None]
    time_s = arrivals[event_of_pick, known.picks.station]
    time_s = time_s + noise_s * np.random.default_rng(seed).standard_normal(len(time_s))
    picks = Picks(known.picks.station, known.picks.phase, time_s)
    problem = Problem(known.stations, picks, provider, n_events, None, max(noise_s, 1e-3), may_be_incomplete=False)
    return problem, np.column_stack([events.positions_km, events.times_s]), event_of_pick


def test_a_step_solves_the_dense_normal_equations() -> None:
    problem, truth, _ = unknown_speed(3, 8, 0)
    rng = np.random.default_rng(1)
    events = truth + rng.standard_normal(truth.shape) * np.array([0.1, 0.1, 0.1, 0.01])
    code = CODE + 0.02
    prior = CodePrior.of(problem.travel_times)
    chain = ExactSteps(problem, pick_table(problem), events[None].copy(), code[None].copy(), OPEN, prior)
    residuals, by_event, by_code = chain._evaluate(MATCH_ALL)
    chain.step(MATCH_ALL, 0.0, prior_s=0.05)

    rows = np.zeros((3, 8, 14))
    for e in range(3):
        rows[e, :, 4 * e : 4 * e + 4] = by_event[0, e]
    rows[..., 12:] = by_code[0]
    rows, right = rows.reshape(24, 14), residuals[0].ravel()
    weight = np.zeros(14)
    weight[12:] = 24 * (0.05 / prior.sd) ** 2
    pull = np.zeros(14)
    pull[12:] = weight[12:] * (prior.mean - code)
    dense = np.linalg.solve(rows.T @ rows + np.diag(weight), rows.T @ right + pull)
    assert chain.latents is not None
    np.testing.assert_allclose(chain.events[0], np.clip(events + dense[:12].reshape(3, 4), *OPEN), atol=1e-4)
    np.testing.assert_allclose(chain.latents[0], code + dense[12:], atol=1e-5)


def test_events_and_code_settle_on_the_truth() -> None:
    problem, truth, _ = unknown_speed(5, 15, 2)
    rng = np.random.default_rng(3)
    near = truth + rng.standard_normal(truth.shape) * np.array([0.3, 0.3, 0.3, 0.03])
    events, code, loss = settle_exactly(problem, pick_table(problem), near, np.full(2, 0.5), steps=60)
    assert loss < 1e-6
    np.testing.assert_allclose(events, truth, atol=1e-3)
    np.testing.assert_allclose(code, CODE, atol=1e-4)


def test_a_known_wave_speed_settles_with_gated_picks() -> None:
    where = stations(12, np.random.default_rng(4))
    problem, events, _ = scene(4, 12, 4, homogeneous(where), p_missing=0.2)
    truth = np.column_stack([events.positions_km, events.times_s])
    settled, code, loss = settle_exactly(problem, pick_table(problem), truth + 0.005, None, gate_s=0.04, steps=20)
    assert code is None
    assert loss < 0.04
    np.testing.assert_allclose(settled, truth, atol=2e-2)
