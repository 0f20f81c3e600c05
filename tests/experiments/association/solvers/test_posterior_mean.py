"""The sampled mean, where it is known: one event alone has a posterior that is nearly normal."""

import numpy as np

from experiments.association.solvers.origin_times import possible_window
from experiments.association.solvers.pick_table import pick_table
from experiments.association.solvers.posterior_mean import _sampled, posterior_mean
from experiments.association.solvers.search import Search
from experiments.association.solvers.time_table import node_times, time_table
from tests.experiments.association.solvers.scenes import scene


def search_of(n_events: int, seed: int, noise_s: float) -> tuple[Search, np.ndarray]:
    problem, events, _ = scene(n_events, 15, seed, noise_s=noise_s)
    made, _ = time_table(problem)
    nodes, picks = node_times(made), pick_table(problem)
    window = possible_window(nodes, picks, True)
    truth = np.column_stack([events.positions_km, events.times_s])
    return Search(made, nodes, picks, window, max(noise_s, 2e-3), True), truth


def test_one_events_mean_is_its_least_squares_solution_and_half_the_proposals_are_taken() -> None:
    search, truth = search_of(1, 2, 0.01)
    least = search.settle(truth, 0.0, 20)
    mean = np.empty_like(least)
    taken = _sampled(
        search.table, search.picks, least.copy(), 0.01, search.bounds, np.random.default_rng(0), 6000, 500, mean
    )
    assert 0.2 < taken < 0.8
    np.testing.assert_allclose(mean, least, atol=0.06)


def test_an_exact_solution_is_left_alone() -> None:
    search, truth = search_of(4, 1, 0.0)
    least = search.settle(truth, 0.0, 20)
    assert posterior_mean(search, least, np.random.default_rng(0)) is least
