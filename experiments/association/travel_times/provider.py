"""What a solver asks of travel times: T(s, z; r) for any point s and wave speed z (paper, Section 2.4).

A provider answers for *channels*: a channel is one phase at one station, and picks are compared channel by channel.
"""

from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

P, S = 0, 1
PHASES = ("P", "S")


class TravelTimesAndDerivatives(NamedTuple):
    """Travel times of points and their derivatives.

    Args:
        times_s: `(..., channel)`, seconds.
        by_position: `(..., channel, 3)`, s/km.
        by_latent: `(..., channel, n_latent)`, seconds; None where the wave speed is known.
    """

    times_s: Tensor
    by_position: Tensor
    by_latent: Tensor | None


class TravelTimes(Protocol):
    """Travel times between points and channels; float64 in, float64 out.

    Attributes:
        bounds_km: `(2, 3)`, lowest and highest x, y, z that a source may have; z points down.
        n_stations: Stations, numbered as in the problem.
        phases: Which of P (0) and S (1) it has times for.
        n_latent: Length of the wave speed's latent code z; 0 where the wave speed is known.
        latent_bounds: `(2, n_latent)`, range of z; None where the wave speed is known.
        error_s: Standard error of its times, seconds, as far as it is known; 0 for an exact table.
    """

    bounds_km: np.ndarray
    n_stations: int
    phases: tuple[int, ...]
    n_latent: int
    latent_bounds: np.ndarray | None
    error_s: float

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        """Travel times, differentiable by torch with respect to positions and latent.

        Args:
            positions_km: `(..., 3)`; points outside the bounds are taken at the nearest face.
            channels: `(channel, 2)` int: station and phase of each channel asked for.
            latent: `(..., n_latent)`, of the same leading shape or broadcastable to it.

        Returns:
            `(..., channel)`, seconds.
        """
        ...

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        """The same with derivatives in closed form, without a graph."""
        ...
