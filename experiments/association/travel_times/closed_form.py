"""Travel times that torch can differentiate, from a function that computes values and derivatives in one go.

The providers know their derivatives in closed form, from compiled code that torch cannot look into. This hands them to
torch's gradients, so that a solver may use either form. Second derivatives are not offered.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from experiments.association.travel_times.provider import TravelTimesAndDerivatives

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


class ClosedFormTravelTimes(ABC):
    """`TravelTimes` of a subclass that fills in times and derivatives with respect to the position.

    Attributes:
        phases: The phases in order (0 P, 1 S).
        n_stations: Stations of each; a row is a station of a phase, all stations of the first phase first.
        bounds_km: `(2, 3)`, where sources may lie.
        error_s: Standard error of the times, seconds.
    """

    n_latent: int = 0
    latent_bounds: np.ndarray | None = None
    phases: tuple[int, ...]
    n_stations: int
    bounds_km: np.ndarray
    error_s: float

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        """Travel times `(..., channel)`, see `TravelTimes`."""
        rows = rows_of_channels(channels, self.phases, self.n_stations)
        if positions_km.requires_grad and torch.is_grad_enabled():
            made = _ClosedForm.apply(positions_km, lambda points: self._evaluate(points, rows))  # type: ignore[no-untyped-call]
            return cast(Tensor, made)
        return torch.from_numpy(self._evaluate(positions_km.detach().numpy(), rows, derivatives=False)[0])

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        """Times and derivatives, see `TravelTimes`; outside the bounds the derivatives across a face are 0."""
        rows = rows_of_channels(channels, self.phases, self.n_stations)
        times_s, by_position = self._evaluate(positions_km.detach().numpy(), rows)
        return TravelTimesAndDerivatives(torch.from_numpy(times_s), torch.from_numpy(by_position), None)

    def _evaluate(
        self, positions_km: np.ndarray, rows: np.ndarray, derivatives: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        points = np.ascontiguousarray(positions_km, np.float64).reshape(-1, 3)
        values = np.empty((len(points), len(rows)))
        gradients = np.empty((len(points), len(rows), 3)) if derivatives else np.empty((0, 0, 3))
        self._fill(points, rows, values, gradients)
        leading = positions_km.shape[:-1]
        return values.reshape(*leading, len(rows)), gradients.reshape(*leading, len(rows), 3) if derivatives else values

    @abstractmethod
    def _fill(self, points: np.ndarray, rows: np.ndarray, values: np.ndarray, gradients: np.ndarray) -> None:
        """Fill in what belongs to some points.

        Args:
            points: `(point, 3)` km.
            rows: `(row,)` int.
            values: Out: times `(point, row)`, seconds.
            gradients: Out: derivatives `(point, row, 3)`, s/km; of no point where they are not wanted.
        """


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
