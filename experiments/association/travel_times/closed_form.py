"""Travel times that torch can differentiate, from a function that computes values and derivatives in one go.

The providers know their derivatives in closed form, from compiled code that torch cannot look into. This hands them to
torch's gradients, so that a solver may use either form. Second derivatives are not offered.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class _ClosedForm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions_km: Tensor, evaluate: Evaluate) -> Tensor:
        times_s, by_position = evaluate(positions_km.detach().numpy())
        ctx.save_for_backward(torch.from_numpy(by_position))
        return torch.from_numpy(times_s)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (by_position,) = ctx.saved_tensors
        return torch.einsum("...c,...cd->...d", gradients[0], by_position), None


def differentiable_times(positions_km: Tensor, evaluate: Evaluate) -> Tensor:
    """Times `(..., channel)` of positions `(..., 3)`, with gradients with respect to the positions.

    Args:
        positions_km: `(..., 3)`, float64.
        evaluate: Times `(..., channel)` and their derivatives `(..., channel, 3)` of positions, all float64 arrays.
    """
    return _ClosedForm.apply(positions_km, evaluate)  # type: ignore[no-any-return, no-untyped-call]


def rows_of_channels(channels: np.ndarray, phases: tuple[int, ...], n_stations: int) -> np.ndarray:
    """Row of each channel in an array that holds all stations of the first phase, then those of the next.

    Args:
        channels: `(channel, 2)` int, station and phase.
        phases: The phases in order.
        n_stations: Stations of each.

    Raises:
        ValueError: When a channel's phase or station is not there.
    """
    stations = channels[:, 0].astype(np.int64)
    block = np.full(max(*phases, int(channels[:, 1].max(initial=0))) + 1, -1, np.int64)
    block[list(phases)] = np.arange(len(phases))
    blocks = block[channels[:, 1]]
    if (blocks < 0).any():
        raise ValueError(f"There are no travel times for phase {channels[blocks < 0, 1][0]}; give that phase a speed.")
    if (stations < 0).any() or (stations >= n_stations).any():
        raise ValueError(f"A channel names a station outside 0..{n_stations - 1}; the problem numbers them otherwise.")
    rows: np.ndarray = blocks * n_stations + stations
    return rows
