"""Tables that the solver reads, against the providers that they stand for."""

import numpy as np
import torch

from experiments.association.solvers.time_table import TimeTable, derive_times, node_times, time_table
from experiments.association.travel_times.table import TableTravelTimes
from tests.experiments.association.solvers.scenes import BOUNDS_KM, homogeneous, scene, stations, table


def at(made: TimeTable, points_km: np.ndarray) -> np.ndarray:
    out = np.empty((len(points_km), 4, made.values.shape[3]))
    for point, row in zip(points_km, out, strict=True):
        derive_times(made, *point, row)
    return out


def test_a_tables_own_nodes_are_taken_and_answer_as_it_does() -> None:
    problem, _, _ = scene(2, 6, 0)
    made, exact = time_table(problem)
    assert exact
    points_km = np.random.default_rng(0).uniform(*BOUNDS_KM, (50, 3))
    theirs = problem.travel_times.times_and_derivatives(torch.from_numpy(points_km), problem.channels)
    ours = at(made, points_km)
    np.testing.assert_allclose(ours[:, 0], theirs.times_s.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours[:, 1:].swapaxes(1, 2), theirs.by_position.numpy(), atol=1e-6)


def test_a_factored_tables_nodes_are_taken_too() -> None:
    where = stations(5, np.random.default_rng(1))
    times_s = np.moveaxis(np.asarray(table(where).node_table(np.array([[i, 0] for i in range(5)]))[0]), -1, 0)
    factored = TableTravelTimes({0: times_s}, 2.0, station_positions_km=where.positions_km, interpolation="factored")
    problem, _, _ = scene(2, 5, 1, factored)
    made, _ = time_table(problem)
    points_km = np.random.default_rng(2).uniform(*BOUNDS_KM, (30, 3))
    theirs = factored.times_and_derivatives(torch.from_numpy(points_km), problem.channels)
    ours = at(made, points_km)
    np.testing.assert_allclose(ours[:, 0], theirs.times_s.numpy(), atol=2e-6)
    np.testing.assert_allclose(ours[:, 1:].swapaxes(1, 2), theirs.by_position.numpy(), atol=2e-6)


def test_any_other_provider_is_tabulated_without_a_cusp_at_the_station() -> None:
    where = stations(6, np.random.default_rng(3))
    problem, _, _ = scene(2, 6, 3, homogeneous(where))
    made, exact = time_table(problem, max_nodes=9)
    assert not exact
    points_km = np.concatenate(
        [
            np.random.default_rng(0).uniform(*BOUNDS_KM, (50, 3)),
            problem.stations.positions_km + np.array([0.01, 0.0, 0.02]),
        ]
    )
    theirs = problem.travel_times.times_and_derivatives(torch.from_numpy(points_km), problem.channels)
    ours = at(made, points_km)
    # Mean slowness is constant here, so that a coarse table is exact.
    np.testing.assert_allclose(ours[:, 0], theirs.times_s.numpy(), atol=1e-5)
    np.testing.assert_allclose(ours[:50, 1:].swapaxes(1, 2), theirs.by_position.numpy()[:50], atol=1e-4)


def test_a_search_grid_of_another_size_interpolates_the_table() -> None:
    problem, _, _ = scene(2, 6, 4)
    made, _ = time_table(problem)
    own = node_times(made, 21)
    assert own.shape == made.values.shape[:3]
    other = node_times(made, 8)
    assert other.shape[0] == 8
    nodes = np.array([0, 17, len(other.times_s) - 1])
    np.testing.assert_allclose(other.positions_km(nodes)[[0, 2]], BOUNDS_KM)
    np.testing.assert_allclose(other.times_s[nodes], at(made, other.positions_km(nodes))[:, 0], atol=1e-6)
    assert 0.0 < own.step_s < other.step_s
