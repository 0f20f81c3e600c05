"""The network behind a travel-time field: from a point, and numbers that describe the wave speed, to all stations.

Two forms (paper, Section 2.5):

- `siren`, the paper's: the network gives times, in its units of 10 s;
- `factored`, the default: the network gives the mean slowness f between point and station, and T = |s - r| f. The cusp
  at every station, where the paper's field is off by more than a second, is then exact, and f is smooth and positive.

The stations are fixed: each is an output of the network, so that one pass serves all of them. Units km and s; z down.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.siren import Conditioning, Siren

FieldKind = Literal["factored", "siren"]
TIME_UNIT_S = 10.0
"""What the paper's code gives times in."""
TYPICAL_SLOWNESS_S_KM = 0.1
_START = math.log(math.expm1(TYPICAL_SLOWNESS_S_KM))
"""softplus of this is the typical slowness: an untrained network's zeros stand for it."""
_TINY_KM = 1e-9


class TimesAndJacobian(NamedTuple):
    """Travel times and their derivatives.

    Args:
        times_s: `(..., station)`.
        by_position: `(..., station, 3)`, s/km.
        by_latent: `(..., station, n_latent)`, s; None where the wave speed is known.
    """

    times_s: Tensor
    by_position: Tensor
    by_latent: Tensor | None


class StationField(nn.Module):
    """Travel times from points to the stations.

    Args:
        n_stations: Number of stations.
        n_conditions: How many numbers describe the wave speed, 0 where it is known.
        kind: `factored` or `siren`.
        width: Units of a sine layer.
        depth: Sine layers.
        w0: Highest angular frequency of the first layer, coordinates being 0..1 across the domain (paper: 15).
        conditioning: How the wave speed enters (see `Siren`).
        modulator_width: `modulate`: hidden units between the wave speed and what it does to the layers.

    Attributes:
        station_positions_km: `(station, 3)`; NaN before `place`.
        bounds_km: `(2, 3)`, lowest and highest x, y, z of the domain.
        validation_rmse_s: Its error on validation data, seconds; NaN before the first validation.

    Raises:
        ModuleError: If a setting is impossible.
    """

    station_positions_km: Tensor
    bounds_km: Tensor
    validation_rmse_s: Tensor

    def __init__(
        self,
        n_stations: int,
        n_conditions: int = 0,
        kind: FieldKind = "factored",
        width: int = 128,
        depth: int = 4,
        w0: float = 24.0,
        conditioning: Conditioning = "modulate",
        modulator_width: int = 128,
    ) -> None:
        super().__init__()
        if kind not in ("factored", "siren"):
            raise ModuleError(f"field: got {kind!r}; give 'factored' or 'siren'.")
        self.kind = kind
        self.network = Siren(3, n_stations, width, depth, w0, n_conditions, conditioning, modulator_width)
        self.register_buffer("station_positions_km", torch.full((n_stations, 3), math.nan))
        self.register_buffer("bounds_km", torch.full((2, 3), math.nan))
        self.register_buffer("validation_rmse_s", torch.tensor(math.nan))

    def place(self, station_positions_km: Tensor, bounds_km: Tensor) -> None:
        """Say where stations and domain are; once trained for some, a field stays with them.

        Args:
            station_positions_km: `(station, 3)`.
            bounds_km: `(2, 3)`.

        Raises:
            ModuleError: If the field was made for more, fewer or other stations.
        """
        if station_positions_km.shape != self.station_positions_km.shape:
            raise ModuleError(
                f"n_stations: the field was made for {len(self.station_positions_km)} stations and the data have "
                f"{len(station_positions_km)}; give model.n_stations and data.n_stations the same number."
            )
        for name, new in (("station_positions_km", station_positions_km), ("bounds_km", bounds_km)):
            old: Tensor = getattr(self, name)
            if not old.isnan().any() and not torch.allclose(old, new.to(old), atol=1e-3):
                raise ModuleError(
                    f"initial_weights: the field was trained for other {name} than the data have; give data with the "
                    f"same stations (data.station_seed), or train the field anew."
                )
            old.copy_(new)

    def forward(self, position_km: Tensor, condition: Tensor | None = None, row: Tensor | None = None) -> Tensor:
        """Travel times of points.

        Args:
            position_km: `(..., 3)`, within the bounds.
            condition: `(..., n_conditions)`, broadcastable to the points; None where the wave speed is known.
            row: `(...)` int. Where given, `condition` is `(wave_speed, n_conditions)` and this is each point's.

        Returns:
            `(..., station)`, seconds.
        """
        raw: Tensor = self.network(self._coordinates(position_km), condition, row)
        times_s: Tensor = TIME_UNIT_S * raw
        if self.kind == "siren":
            return times_s
        offset_km = position_km.unsqueeze(-2) - self.station_positions_km
        times_s = torch.linalg.vector_norm(offset_km, dim=-1) * softplus(raw + _START)
        return times_s

    @torch.no_grad()
    def value_and_jacobian(
        self, position_km: Tensor, condition: Tensor | None = None, condition_tangents: Tensor | None = None
    ) -> TimesAndJacobian:
        """Travel times with their derivatives in closed form, without a graph.

        At a station itself the factored field's direction is taken as zero.

        Args:
            position_km: `(..., 3)`, within the bounds.
            condition: As for `forward`.
            condition_tangents: `(..., n_latent, n_conditions)`, derivatives of the condition by a latent code.
        """
        coordinates = self._coordinates(position_km)
        raw, jacobian = self.network.value_and_jacobian(coordinates, condition, condition_tangents)
        span_km = self.bounds_km[1] - self.bounds_km[0]
        by_position = jacobian[..., :3, :].mT / span_km
        by_latent = None if condition is None else jacobian[..., 3:, :].mT
        if self.kind == "siren":
            by_latent = None if by_latent is None else TIME_UNIT_S * by_latent
            return TimesAndJacobian(TIME_UNIT_S * raw, TIME_UNIT_S * by_position, by_latent)
        offset_km = position_km.unsqueeze(-2) - self.station_positions_km
        distance_km = torch.linalg.vector_norm(offset_km, dim=-1)
        slowness_s_km, slope = softplus(raw + _START), torch.sigmoid(raw + _START)
        scale = (distance_km * slope).unsqueeze(-1)
        direction = offset_km / distance_km.clamp_min(_TINY_KM).unsqueeze(-1)
        by_position = direction * slowness_s_km.unsqueeze(-1) + scale * by_position
        by_latent = None if by_latent is None else scale * by_latent
        return TimesAndJacobian(distance_km * slowness_s_km, by_position, by_latent)

    def _coordinates(self, position_km: Tensor) -> Tensor:
        return (position_km - self.bounds_km[0]) / (self.bounds_km[1] - self.bounds_km[0])
