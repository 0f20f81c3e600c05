"""A distance between sets of arrivals in which any of them may stay unmatched, for missing and spurious picks.

The paper's Section 5.7 matches all of the smaller set. With both missing and spurious picks that forces wrong pairs,
and pulls the events away from the truth. Here every arrival and every pick has a dustbin instead,

    min over partial matchings of    sum over pairs |a - b|^p  +  reach^p / 2  (unmatched a's and b's),

so that a pair alone is matched exactly when it is nearer than `reach`. This is the transport to one more point on each
side, at distance reach / 2^(1/p) from everything and of any mass. It grows to the forced matching as the reach grows.
"""

from typing import cast

import torch
from torch import Tensor

from experiments.association.transport import ArrivalSets, match


def dustbin_assignment(arrivals_s: Tensor, sets: ArrivalSets, reach_s: float, p: float = 2.0) -> Tensor:
    """The best partial matching of sorted arrivals `(..., channel, n)`: `(..., channel, n)` int64, -1 for none."""
    return match(arrivals_s, sets, p, reach_s)


def w_dustbin(arrivals_s: Tensor, sets: ArrivalSets, reach_s: float, p: float = 2.0) -> Tensor:
    """The distance, differentiable with respect to the arrivals.

    Args:
        arrivals_s: `(..., channel, n)`, in any order.
        sets: The picks of the channels.
        reach_s: Distance at which a pair is as dear as leaving both.
        p: At least 1.

    Returns:
        `(..., channel)`, in seconds to the power p, the sum over pairs and unmatched ones divided by n.
    """
    ordered = arrivals_s.sort(dim=-1).values
    chosen = dustbin_assignment(ordered, sets, reach_s, p)
    matched = chosen >= 0
    members = sets.times_s.expand(*chosen.shape[:-1], sets.times_s.shape[-1]).gather(-1, chosen.clamp_min(0))
    differences = torch.where(matched, ordered - torch.where(matched, members, 0.0), 0.0)
    left = (arrivals_s.shape[-1] + sets.counts - 2 * matched.sum(dim=-1)).to(arrivals_s)
    total = (differences.abs() ** p).sum(dim=-1) + left * reach_s**p / 2
    return cast(Tensor, total / arrivals_s.shape[-1])
