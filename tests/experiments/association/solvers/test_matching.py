"""Matchings inside compiled loops, against the Hungarian method and the transport module's own."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from experiments.association.solvers.matching import match_all, match_within, sort_by_time
from experiments.association.transport import ArrivalSets, match


def naive_cost(times: np.ndarray, picks: np.ndarray, gate: float) -> float:
    """A square assignment in which each event and each pick has a partner that stands for none."""
    n, m = len(times), len(picks)
    cost = np.full((n + m, n + m), 1e9)
    cost[:n, :m] = (times[:, None] - picks[None]) ** 2
    cost[n:, m:] = 0.0
    cost[np.arange(n), m + np.arange(n)] = gate**2 / 2
    cost[n + np.arange(m), np.arange(m)] = gate**2 / 2
    return float(cost[linear_sum_assignment(cost)].sum())


def matched(times: np.ndarray, picks: np.ndarray, gate: float) -> np.ndarray:
    order = np.arange(len(times))
    sort_by_time(times, order)
    np.testing.assert_array_equal(times[order], np.sort(times))
    found = np.empty(len(times), np.int64)
    match_within(times, order, picks, len(picks), gate, np.empty((len(times) + 1, len(picks) + 1)), found)
    return found


@pytest.mark.parametrize("gate", [0.02, 0.2, 1.0, 50.0])
@pytest.mark.parametrize(("n_events", "n_picks"), [(1, 1), (5, 5), (7, 3), (3, 9), (20, 22), (4, 0)])
def test_partial_matching_costs_as_little_as_the_hungarian_method_says(
    n_events: int, n_picks: int, gate: float
) -> None:
    rng = np.random.default_rng(n_events + 10 * n_picks)
    for _ in range(5):
        times, picks = rng.uniform(0, 5, n_events), np.sort(rng.uniform(0, 5, n_picks))
        found = matched(times, picks, gate)
        has = found >= 0
        assert len(set(found[has])) == has.sum()
        cost = ((times[has] - picks[found[has]]) ** 2).sum() + (n_events + n_picks - 2 * has.sum()) * gate**2 / 2
        np.testing.assert_allclose(cost, naive_cost(times, picks, gate), atol=1e-12)


def test_partial_matching_is_the_transport_modules() -> None:
    rng = np.random.default_rng(0)
    rows = [np.sort(rng.uniform(0, 4, n)) for n in (3, 8, 12, 15)]
    times = np.sort(rng.uniform(0, 4, (4, 9)), axis=1)
    theirs = match(torch.from_numpy(times), ArrivalSets.of(rows), reach_s=0.3).numpy()
    for own, other, row in zip(times, theirs, rows, strict=True):
        found = matched(own, row, 0.3)
        has, has_other = found >= 0, other >= 0
        assert has.sum() == has_other.sum()
        np.testing.assert_allclose(
            np.sort((own[has] - row[found[has]]) ** 2).sum(), ((own[has_other] - row[other[has_other]]) ** 2).sum()
        )


def test_equal_counts_are_matched_in_order() -> None:
    times, picks = np.array([3.0, 1.0, 2.0]), np.array([0.9, 2.2, 2.9])
    order = np.arange(3)
    sort_by_time(times, order)
    found = np.empty(3, np.int64)
    match_all(order, 3, found)
    np.testing.assert_array_equal(found, linear_sum_assignment((times[:, None] - picks) ** 2)[1])
