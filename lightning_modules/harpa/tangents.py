"""Derivatives of a perceptron by its inputs, carried forward layer by layer."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


class Residual(nn.Module):
    """A block of two linear layers that adds to what enters it.

    Args:
        width: Units.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map `(..., width)` to the same shape."""
        out: Tensor = hidden + self.second(silu(self.first(silu(hidden))))
        return out


def perceptron(n_in: int, width: int, depth: int, n_out: int) -> nn.Sequential:
    """A linear layer, `depth` residual blocks and a linear layer."""
    blocks = [Residual(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(n_in, width), *blocks, nn.SiLU(), nn.Linear(width, n_out))


def carried_forward(layers: nn.Sequential, value: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
    """Send a value and its derivatives through layers.

    Args:
        layers: Of `Linear`, `SiLU` and `Residual`.
        value: `(..., n_in)`.
        tangents: `(..., variable, n_in)`, derivatives of the value by some variables.

    Returns:
        `(..., n_out)` and `(..., variable, n_out)`.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear):
            value, tangents = layer(value), tangents @ layer.weight.T
        elif isinstance(layer, Residual):
            inner, inner_tangents = _silu(value, tangents)
            inner, inner_tangents = _silu(layer.first(inner), inner_tangents @ layer.first.weight.T)
            value, tangents = value + layer.second(inner), tangents + inner_tangents @ layer.second.weight.T
        else:
            value, tangents = _silu(value, tangents)
    return value, tangents


def _silu(value: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
    gate = torch.sigmoid(value)
    slope = gate * (1.0 + value * (1.0 - gate))
    return value * gate, tangents * slope.unsqueeze(-2)
