"""Distances between sets of arrival times: the Wasserstein distance in one dimension (paper, Eq. 9, Section 5.7).

For sets of one size the best transport sorts both and pairs them in order, for all stations and chains at once. For
sets of two sizes an exact dynamic programme finds the best part of the larger one. Both are differentiable: the
matching is piecewise constant, so the gradient is that of the matched differences.

The paper's Eq. 10 adds w_p; its program, and by default we, add w_p to the power p (`rooted=False`), which is smooth at
zero. `w_pot` is the paper's own way, one POT problem a station, kept to compare with.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.association.transport_matching import match_fewer, match_or_leave


def _mean_power(differences: Tensor, p: float, rooted: bool) -> Tensor:
    powers = differences.square() if p == 2.0 else differences.abs() ** p
    mean = powers.mean(dim=-1)
    # A root has no gradient at 0, where the sets agree: there it is 0.
    return mean.clamp_min(torch.finfo(mean.dtype).tiny) ** (1.0 / p) if rooted else mean


def w2_squared_sorted(a: Tensor, b: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance of `a (..., n)` and `b (..., n)`, in their unit squared: `(...)`."""
    return (a.sort(dim=-1).values - b.sort(dim=-1).values).square().mean(dim=-1)


def w_sorted(a: Tensor, b: Tensor, p: float = 2.0, rooted: bool = False) -> Tensor:
    """Wasserstein-p distance to the power p of sets of one size, Eq. 9, `(...)`.

    Args:
        a: `(..., n)`.
        b: `(..., n)`.
        p: At least 1.
        rooted: Whether to take the p-th root, as Eq. 10 has it.
    """
    return _mean_power(a.sort(dim=-1).values - b.sort(dim=-1).values, p, rooted)


def w_pot(a: Tensor, b: Tensor, p: float = 2.0, rooted: bool = False) -> Tensor:
    """The same as `w_sorted` and `w_unequal` by the POT package, one problem after another.

    For sets of two sizes the smaller one gets a partner at cost 0 that takes up what is left over.

    Args:
        a: `(..., n)`.
        b: `(..., m)`.
        p: At least 1.
        rooted: Whether to take the p-th root.
    """
    import ot

    leading = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    found = []
    for one, other in zip(
        a.expand(*leading, a.shape[-1]).reshape(-1, a.shape[-1]),
        b.expand(*leading, b.shape[-1]).reshape(-1, b.shape[-1]),
        strict=True,
    ):
        few, many = (one, other) if len(one) <= len(other) else (other, one)
        costs = (few.unsqueeze(-1) - many).abs() ** p
        with_rest = np.zeros((len(few) + 1, len(many)))
        with_rest[:-1] = costs.detach().numpy()
        mass = np.full(len(few) + 1, 1.0 / len(few))
        mass[-1] = (len(many) - len(few)) / len(few)
        if len(few) == len(many):
            mass, with_rest = mass[:-1], with_rest[:-1]
        plan = ot.emd(mass, np.full(len(many), 1.0 / len(few)), with_rest)[: len(few)]
        mean = (torch.from_numpy(plan).to(costs) * costs).sum()
        found.append(mean.clamp_min(torch.finfo(mean.dtype).tiny) ** (1.0 / p) if rooted else mean)
    return torch.stack(found).reshape(leading)


@dataclass(frozen=True)
class ArrivalSets:
    """The times of several channels, of any number each.

    Args:
        times_s: `(channel, most)` float64, ascending, padded at the end with infinity.
        counts: `(channel,)` int64.
    """

    times_s: Tensor
    counts: Tensor

    @staticmethod
    def of(times_s: list[np.ndarray]) -> "ArrivalSets":
        """From a list of times, one array a channel, in any order."""
        most = max((len(times) for times in times_s), default=0)
        padded = torch.full((len(times_s), max(most, 1)), torch.inf, dtype=torch.float64)
        for row, times in zip(padded, times_s, strict=True):
            row[: len(times)] = torch.from_numpy(np.sort(np.asarray(times, np.float64)))
        return ArrivalSets(padded, torch.tensor([len(times) for times in times_s], dtype=torch.int64))

    def __getitem__(self, channels: Tensor) -> "ArrivalSets":
        return ArrivalSets(self.times_s[channels], self.counts[channels])


def match(arrivals_s: Tensor, sets: ArrivalSets, p: float = 2.0, reach_s: float | None = None) -> Tensor:
    """The best matching of arrivals with the sets of their channels.

    Args:
        arrivals_s: `(..., channel, n)`, ascending along the last axis.
        sets: What they are compared with.
        p: Power of the cost, at least 1.
        reach_s: None to match all of the smaller set; else an arrival and a member may both stay unmatched, and do so
            where they are further apart than this (see `dustbin.py`).

    Returns:
        `(..., channel, n)` int64: the member of the channel's set for each arrival, -1 for none.
    """
    rows = np.ascontiguousarray(arrivals_s.detach().numpy(), np.float64).reshape(-1, arrivals_s.shape[-1])
    found = np.empty(rows.shape, np.int64)
    times, counts = sets.times_s.numpy(), sets.counts.numpy()
    if reach_s is None:
        match_fewer(rows, times, counts, p, found)
    else:
        match_or_leave(rows, times, counts, reach_s, p, found)
    return torch.from_numpy(found.reshape(arrivals_s.shape))


def unequal_assignment(a: Tensor, b: Tensor, p: float = 2.0) -> Tensor:
    """Best assignment of sets of two sizes, Eq. 15.

    Args:
        a: `(..., n)`, ascending.
        b: `(..., m)`, ascending.
        p: At least 1.

    Returns:
        `(..., n)` int64, the element of b for each of a; where n > m, -1 for those that have none.
    """
    leading = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    flat = b.detach().expand(*leading, b.shape[-1]).reshape(-1, b.shape[-1]).double().contiguous()
    sets = ArrivalSets(flat, torch.full((len(flat),), b.shape[-1], dtype=torch.int64))
    rows = a.expand(*leading, a.shape[-1]).reshape(-1, a.shape[-1])
    return match(rows, sets, p).reshape(*leading, a.shape[-1])


def w_unequal(a: Tensor, b: Tensor, p: float = 2.0, rooted: bool = False) -> Tensor:
    """The misfit of sets of two sizes: the smaller one against the best part of the larger, Section 5.7.

    Args:
        a: `(..., n)`.
        b: `(..., m)`.
        p: At least 1.
        rooted: Whether to take the p-th root.
    """
    a, b = (a, b) if a.shape[-1] <= b.shape[-1] else (b, a)
    a, b = a.sort(dim=-1).values, b.sort(dim=-1).values
    chosen = unequal_assignment(a, b, p)
    part = b.expand(*chosen.shape[:-1], b.shape[-1]).gather(-1, chosen)
    return _mean_power(a - part, p, rooted)
