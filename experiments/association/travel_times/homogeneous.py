"""Travel times in a medium of one wave speed a phase: straight rays, T = |x - r| / v."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from experiments.association.travel_times.closed_form import rows_of_channels
from experiments.association.travel_times.provider import TravelTimesAndDerivatives


class HomogeneousTravelTimes:
    """Travel times along straight lines.

    Args:
        station_positions_km: `(station, 3)`.
        speeds_km_s: For each phase (0 P, 1 S) its speed.
        bounds_km: `(2, 3)`, where sources may lie.
        error_s: Standard error of the times, seconds.

    Raises:
        ValueError: When a speed is not positive.
    """

    n_latent: int = 0
    latent_bounds: np.ndarray | None = None

    def __init__(
        self,
        station_positions_km: np.ndarray,
        speeds_km_s: Mapping[int, float],
        bounds_km: np.ndarray,
        error_s: float = 0.0,
    ) -> None:
        for speed in speeds_km_s.values():
            if not 0.0 < speed < np.inf:
                raise ValueError(f"A wave speed is a positive number of km/s; got {speed}.")
        self.phases = tuple(sorted(speeds_km_s))
        self.n_stations = len(station_positions_km)
        self.bounds_km = np.asarray(bounds_km, np.float64)
        self.error_s = error_s
        stations_km = torch.as_tensor(np.asarray(station_positions_km), dtype=torch.float64)
        self._stations_km = stations_km.repeat(len(self.phases), 1)
        speeds = [torch.full((self.n_stations,), speeds_km_s[phase], dtype=torch.float64) for phase in self.phases]
        self._slowness_s_km = 1.0 / torch.cat(speeds)
        self._lowest_km, self._highest_km = torch.from_numpy(self.bounds_km)

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        """Travel times `(..., channel)`, see `TravelTimes`."""
        rows = rows_of_channels(channels, self.phases, self.n_stations)
        inside_km = positions_km.clamp(self._lowest_km, self._highest_km)
        distance_km: Tensor = (inside_km.unsqueeze(-2) - self._stations_km[rows]).norm(dim=-1)
        return self._slowness_s_km[rows] * distance_km

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        """Times and derivatives, see `TravelTimes`; at a station itself the derivative is taken as 0."""
        rows = rows_of_channels(channels, self.phases, self.n_stations)
        positions_km = positions_km.detach()
        inside_km = positions_km.clamp(self._lowest_km, self._highest_km)
        away_km = inside_km.unsqueeze(-2) - self._stations_km[rows]
        distance_km = away_km.norm(dim=-1)
        slowness = self._slowness_s_km[rows]
        is_inside = (inside_km == positions_km).unsqueeze(-2)
        directions = away_km / distance_km.clamp_min(1e-12).unsqueeze(-1) * is_inside
        return TravelTimesAndDerivatives(slowness * distance_km, slowness.unsqueeze(-1) * directions, None)
