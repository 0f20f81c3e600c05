"""The misfit that Langevin dynamics descends, and its gradient with respect to arrivals, for all chains at once.

For a channel with predicted arrivals a and picks b it is W_p^p(a, b) (`transport.py`), or, where picks may be missing
or spurious, the distance with a dustbin (`dustbin.py`). Given the matching its gradient is p |a - b|^(p-1) sign(a - b),
so that torch's graph is not needed.
"""

from typing import Any

import numba
import numpy as np
import torch

from experiments.association.transport import ArrivalSets, w_pot
from experiments.association.transport_matching import match_fewer, match_or_leave

_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@numba.njit(inline="always", **_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def _sort(times: np.ndarray, ordered: np.ndarray, order: np.ndarray) -> None:
    # By insertion: for as many events as one solve has it is no slower than anything else.
    for i in range(len(times)):
        time = times[i]
        j = i
        while j > 0 and ordered[j - 1] > time:
            ordered[j], order[j] = ordered[j - 1], order[j - 1]
            j -= 1
        ordered[j], order[j] = time, i


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def _misfit(
    arrivals: np.ndarray,
    picks: np.ndarray,
    counts: np.ndarray,
    p: float,
    reach: float,
    rooted: bool,
    misfit: np.ndarray,
    gradient: np.ndarray,
) -> None:
    rows, n = arrivals.shape
    sets = len(counts)
    forced = not np.isfinite(reach)
    order = np.empty((1, n), np.int64)
    ordered = np.empty((1, n))
    chosen = np.empty((1, n), np.int64)
    for row in range(rows):
        k = row % sets
        count = counts[k]
        _sort(arrivals[row], ordered[0], order[0])
        if forced and count == n:
            for i in range(n):
                chosen[0, i] = i
        elif forced:
            match_fewer(ordered, picks[k : k + 1], counts[k : k + 1], p, chosen)
        else:
            match_or_leave(ordered, picks[k : k + 1], counts[k : k + 1], reach, p, chosen)
        matched = 0
        total = 0.0
        for i in range(n):
            slope = 0.0
            if chosen[0, i] >= 0:
                difference = ordered[0, i] - picks[k, chosen[0, i]]
                if p == 2.0:
                    slope = 2.0 * difference
                    total += difference * difference
                else:
                    size = abs(difference)
                    slope = p * np.sign(difference) * size ** (p - 1)
                    total += size**p
                matched += 1
            gradient[row, order[0, i]] = slope
        weight = 1.0 / max(matched, 1) if forced else 1.0 / n
        if not forced:
            total += (n + count - 2 * matched) * reach**p / 2
        total *= weight
        if rooted and total > 0.0:
            weight *= total ** (1.0 / p - 1.0) / p
            total = total ** (1.0 / p)
        misfit[row] = total
        for i in range(n):
            gradient[row, i] *= weight


def misfit_and_gradient(
    arrivals_s: np.ndarray, sets: ArrivalSets, p: float = 2.0, reach_s: float = np.inf, rooted: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Misfit of every channel and its gradient.

    Args:
        arrivals_s: `(chain, channel, event)`.
        sets: The picks of the channels.
        p: At least 1.
        reach_s: Infinite to match all of the smaller set; else the dustbin's reach.
        rooted: Whether to take the p-th root, as Eq. 10 has it.

    Returns:
        `(chain, channel)`, seconds to the power p, or seconds when rooted; and `(chain, channel, event)`.
    """
    n = arrivals_s.shape[-1]
    misfit, gradient = np.empty(arrivals_s.shape[:-1]), np.empty(arrivals_s.shape)
    _misfit(
        np.ascontiguousarray(arrivals_s).reshape(-1, n),
        sets.times_s.numpy(),
        sets.counts.numpy(),
        p,
        reach_s,
        rooted,
        misfit.reshape(-1),
        gradient.reshape(-1, n),
    )
    return misfit, gradient


def misfit_and_gradient_by_pot(
    arrivals_s: np.ndarray, sets: ArrivalSets, p: float = 2.0, rooted: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The same by one POT problem after another, as the paper's program does it; without a dustbin."""
    arrivals = torch.from_numpy(arrivals_s).requires_grad_()
    columns = []
    for c, (picks, count) in enumerate(zip(sets.times_s, sets.counts.tolist(), strict=True)):
        columns.append(w_pot(arrivals[:, c], picks[:count], p, rooted) if count else arrivals[:, c].sum(-1) * 0)
    misfit = torch.stack(columns, dim=1)
    (gradient,) = torch.autograd.grad(misfit.sum(), arrivals)
    return misfit.detach().numpy(), gradient.numpy()
