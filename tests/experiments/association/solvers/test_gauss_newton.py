"""The default solver on small problems of every kind."""

import numpy as np
import pytest

from experiments.association.associate import associate
from experiments.association.metrics import align_events, association_accuracy
from experiments.association.problem import Association, Events
from experiments.association.solvers.gauss_newton import GaussNewton
from experiments.association.solvers.solver import Estimate
from tests.experiments.association.solvers.scenes import homogeneous, scene, stations
from tests.experiments.association.solvers.test_exact_steps import CODE, unknown_speed


def accuracy(found: Association, events: Events, event_of_pick: np.ndarray) -> float:
    alignment = align_events(found.events.positions_km, events.positions_km)
    return association_accuracy(found.event_of_pick, event_of_pick, alignment)


@pytest.mark.parametrize("seed", range(1000, 1003))
def test_entangled_arrivals_without_any_origin_time_are_associated_exactly(seed: int) -> None:
    problem, events, event_of_pick = scene(8, 16, seed, start_s=1.0e5)
    found = associate(problem, seed=seed)
    assert accuracy(found, events, event_of_pick) == 1.0
    assert found.loss < 1e-5
    order = np.argsort(events.times_s)
    np.testing.assert_allclose(found.events.positions_km, events.positions_km[order], atol=1e-2)
    assert (np.diff(found.events.times_s) >= 0).all()
    assert found.trace["positions_km"].shape[1:] == (8, 3)


def test_missing_and_spurious_picks_and_an_unknown_number_of_events() -> None:
    problem, events, event_of_pick = scene(6, 18, 1001, p_missing=0.1, n_spurious=12, tell_events=False, span_s=4.0)
    found = associate(problem)
    assert len(found.events) == 6
    assert accuracy(found, events, event_of_pick) > 0.98
    assert (found.event_of_pick[event_of_pick < 0] < 0).mean() > 0.9


def test_a_station_without_picks_and_a_station_with_one_event_less() -> None:
    problem, events, event_of_pick = scene(4, 14, 1004, p_missing=0.05)
    kept = problem.picks.station != 3
    picks = type(problem.picks)(*(getattr(problem.picks, name)[kept] for name in ("station", "phase", "time_s")))
    found = associate(type(problem)(problem.stations, picks, problem.travel_times, 4, None, 1e-3, True))
    assert accuracy(found, events, event_of_pick[kept]) == 1.0


def test_times_that_are_no_table_are_tabulated_and_polished() -> None:
    where = stations(14, np.random.default_rng(1005))
    problem, events, event_of_pick = scene(6, 14, 1005, homogeneous(where))
    found = associate(problem)
    assert accuracy(found, events, event_of_pick) == 1.0
    assert found.loss < 1e-6


def test_an_unknown_wave_speed_is_found_with_the_events() -> None:
    problem, truth, event_of_pick = unknown_speed(5, 16, 1006)
    found = associate(problem, GaussNewton(chains=30, iterations=30), seed=0)
    assert found.latent is not None
    assert accuracy(found, Events(truth[:, :3], truth[:, 3]), event_of_pick) == 1.0
    np.testing.assert_allclose(found.latent, CODE, atol=0.02)


def test_the_search_starts_again_until_enough_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, truth, _ = unknown_speed(5, 16, 1006)
    right = Estimate(Events(truth[:, :3], truth[:, 3]), np.asarray(CODE, float))
    elsewhere = Events(truth[:, :3] * 0.5, truth[:, 3] + np.linspace(5.0, 9.0, 5))
    half = Events(truth[:, :3], np.where(np.arange(5) < 2, truth[:, 3], truth[:, 3] + 30.0))
    wrong, better = (Estimate(events, np.asarray(CODE, float)) for events in (elsewhere, half))
    for starts, given, wanted in (
        (3, [right], right),
        (3, [wrong, right], right),
        (3, [better, wrong, wrong], better),
        (1, [wrong], wrong),
    ):
        left = list(given)
        monkeypatch.setattr(GaussNewton, "_with_latent", lambda self, *rest, left=left: left.pop(0))
        assert GaussNewton(starts=starts).solve(problem) is wanted
        assert not left


def test_the_same_seed_gives_the_same_association() -> None:
    problem, _, _ = scene(6, 12, 1007, noise_s=0.05)
    first, second = associate(problem, seed=3), associate(problem, seed=3)
    np.testing.assert_array_equal(first.events.positions_km, second.events.positions_km)
    np.testing.assert_array_equal(first.event_of_pick, second.event_of_pick)


def test_noisy_picks_are_explained_at_least_as_well_as_by_the_true_events() -> None:
    from experiments.association.solvers.joint_steps import MATCH_ALL, explain
    from experiments.association.solvers.pick_table import pick_table
    from experiments.association.solvers.time_table import time_table

    problem, events, _ = scene(8, 16, 1008, noise_s=0.05)
    truth = np.column_stack([events.positions_km, events.times_s])
    found = associate(problem)
    assert found.loss <= explain(time_table(problem)[0], pick_table(problem), truth, MATCH_ALL)[2]
