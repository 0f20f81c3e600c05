"""The processes that share a global batch: what must be the same on all of them is summed or gathered here.

Row r of process p is row r * n + p of the global batch, as the sampler deals them out.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Processes(NamedTuple):
    """This process among all.

    Attributes:
        rank: Its number.
        world_size: How many there are.
    """

    rank: int = 0
    world_size: int = 1

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes, without gradient."""
        total = values.detach().clone()
        if self.world_size > 1:
            torch.distributed.all_reduce(total)
        return total

    def gather(self, rows: Tensor) -> Tensor:
        """Rows `(batch, ...)` of all processes in the order of the global batch, without gradient."""
        if self.world_size == 1:
            return rows.detach()
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        torch.distributed.all_gather(parts, rows.detach().contiguous())
        return torch.stack(parts, dim=1).flatten(0, 1)

    def own(self, rows: Tensor) -> Tensor:
        """This process's rows of a global batch."""
        return rows[self.rank :: self.world_size]

    def mean(self, values: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean over the global batch, scaled so that the processes' average gradient is its gradient.

        Args:
            values: `(batch,)`.
            weight: `(batch,)`, at least 0; where all are 0 the mean is 0, and `values` stay in the graph.
        """
        total = self.sum(weight.sum())
        return self.world_size * (values * weight).sum() / total.clamp(min=torch.finfo(values.dtype).tiny)
