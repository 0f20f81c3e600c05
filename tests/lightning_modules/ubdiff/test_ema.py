"""The moving average against the recursion written out."""

import copy

import pytest
import torch
from torch import nn

from lightning_modules.ubdiff.ema import MovingAverage


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_average_follows_the_recursion(decay: float) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    average = MovingAverage(network, decay)
    wanted = network.weight.detach().clone()
    for n in range(30):
        nn.init.normal_(network.weight)
        average.update(network)
        now = min(decay, (1 + n) / (10 + n))
        wanted = now * wanted + (1 - now) * network.weight.detach()
    assert torch.allclose(average.network.weight, wanted, atol=1e-6)  # type: ignore[arg-type]
    assert not any(weight.requires_grad for weight in average.parameters())


def test_average_goes_on_from_a_checkpoint() -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    average = MovingAverage(network, 0.9)
    average.update(nn.Linear(3, 2))
    other = MovingAverage(nn.Linear(3, 2), 0.9)
    other.load_state_dict(copy.deepcopy(average.state_dict()))
    step = nn.Linear(3, 2)
    average.update(step)
    other.update(step)
    assert torch.equal(average.network.weight, other.network.weight)  # type: ignore[arg-type]
