"""Exponential moving average of a network's weights, kept in the module so that every checkpoint holds it."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """A frozen copy of a network whose weights follow the trained ones: w' = d w' + (1 - d) w.

    Early on the decay d is (1 + n) / (10 + n) after n updates, so that a short training does not sample from its
    starting weights.

    Args:
        network: The network that is trained.
        decay: Final decay of one update, in 0..1.
    """

    n_updates: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = deepcopy(network).requires_grad_(False)
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take one step towards `network`'s weights."""
        n = int(self.n_updates)
        decay = min(self.decay, (1.0 + n) / (10.0 + n))
        for average, current in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(current, 1.0 - decay)
        self.n_updates += 1

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Run the averaged network."""
        out: Tensor = self.network(noisy, time)
        return out
