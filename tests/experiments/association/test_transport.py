"""Transport of arrival sets against POT, scipy and finite differences."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from experiments.association.dustbin import dustbin_assignment, w_dustbin
from experiments.association.transport import (
    ArrivalSets,
    unequal_assignment,
    w2_squared_sorted,
    w_pot,
    w_sorted,
    w_unequal,
)


def _times(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 10, shape))


def _by_scipy(a: np.ndarray, b: np.ndarray, p: float) -> float:
    costs = np.abs(a[:, None] - b) ** p
    return float(costs[linear_sum_assignment(costs)].sum() / min(len(a), len(b)))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("rooted", [False, True])
def test_sorted_transport_is_that_of_pot(p, rooted):
    a, b = _times(3, 4, 9), _times(4, 9, seed=1)
    torch.testing.assert_close(w_sorted(a, b, p, rooted), w_pot(a, b, p, rooted), rtol=1e-12, atol=1e-12)
    if p == 2.0 and not rooted:
        torch.testing.assert_close(w2_squared_sorted(a, b), w_sorted(a, b))


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 6), (5, 7), (7, 5), (8, 20), (6, 6)])
def test_unequal_transport_is_that_of_pot_and_scipy(n, m, p):
    a, b = _times(5, n, seed=n), _times(5, m, seed=100 + m)
    ours = w_unequal(a, b, p)
    torch.testing.assert_close(ours, w_pot(a, b, p), rtol=1e-12, atol=1e-12)
    scipys = [_by_scipy(one.numpy(), other.numpy(), p) for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(ours, scipys, rtol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(4, 7), (7, 4)])
def test_an_unequal_assignment_is_one_to_one_and_does_not_cross(n, m):
    a, b = _times(20, n).sort(-1).values, _times(20, m, seed=1).sort(-1).values
    for row in unequal_assignment(a, b).numpy():
        used = row[row >= 0]
        assert len(used) == min(n, m)
        assert (np.diff(used) > 0).all()


def _dustbin_by_enumeration(a: np.ndarray, b: np.ndarray, reach: float, p: float) -> float:
    best = (len(a) + len(b)) * reach**p / 2
    for k in range(1, min(len(a), len(b)) + 1):
        for some in itertools.combinations(range(len(a)), k):
            for others in itertools.permutations(range(len(b)), k):
                pairs = sum(abs(a[i] - b[j]) ** p for i, j in zip(some, others, strict=True))
                best = min(best, pairs + (len(a) + len(b) - 2 * k) * reach**p / 2)
    return best / len(a)


@pytest.mark.parametrize("reach", [0.3, 2.0, 50.0])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_dustbin_distance_is_the_least_over_all_partial_matchings(reach, p):
    rng = np.random.default_rng(3)
    picks = [rng.uniform(0, 10, count) for count in (0, 1, 3, 5)]
    arrivals = torch.from_numpy(rng.uniform(0, 10, (6, 4, 4)))
    ours = w_dustbin(arrivals, ArrivalSets.of(picks), reach, p)
    naive = [
        [_dustbin_by_enumeration(a.numpy(), b, reach, p) for a, b in zip(row, picks, strict=True)] for row in arrivals
    ]
    np.testing.assert_allclose(ours, naive, rtol=1e-12)


def test_with_a_wide_reach_the_dustbin_matches_all_of_the_smaller_set():
    a, b = _times(6, seed=5).sort().values, _times(9, seed=6).sort().values
    sets = ArrivalSets.of([b.numpy()])
    assert torch.equal(dustbin_assignment(a[None], sets, 1e4)[0], unequal_assignment(a, b))


def test_what_is_far_is_left():
    sets = ArrivalSets.of([np.array([1.0, 5.0, 9.0])])
    found = dustbin_assignment(torch.tensor([[0.9, 7.0, 9.2]], dtype=torch.float64), sets, 0.5)
    assert found.tolist() == [[0, -1, 2]]


def test_gradients_are_those_of_finite_differences():
    sets = ArrivalSets.of([np.array([1.0, 4.0, 5.0]), np.array([2.0])])
    arrivals = torch.tensor([[4.3, 0.8], [2.2, 7.0]], dtype=torch.float64, requires_grad=True)
    others = _times(2, 5)
    assert torch.autograd.gradcheck(lambda t: w_dustbin(t, sets, 0.7), (arrivals,))
    assert torch.autograd.gradcheck(lambda t: w_unequal(t, others), (arrivals,))
    assert torch.autograd.gradcheck(lambda t: w_sorted(t, others[:, :2], 2.0, True), (arrivals,))


def test_a_root_has_no_gradient_where_sets_agree():
    times = _times(4).requires_grad_()
    w_sorted(times, times.detach(), rooted=True).backward()
    assert torch.equal(times.grad, torch.zeros(4))


def test_sorting_is_best_for_convex_costs_only():
    """Why p >= 1 is asked for: with |d|^(1/2) one exact pair and one far pair are cheaper than two near ones."""
    a, b = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    assert _by_scipy(a, b, 0.5) < float(np.mean(np.abs(a - b) ** 0.5))
    assert _by_scipy(a, b, 2.0) == float(np.mean(np.abs(a - b) ** 2))
