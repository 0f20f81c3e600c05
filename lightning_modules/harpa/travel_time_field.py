"""The travel-time field T(s, z; r) as the association uses it: points and a latent code in, times to all stations out.

Paper, Sections 2.4 and 2.5. There z itself is the network's input: a field over a folded surface, which on few training
wave speeds learns those and no others. Here, by default (`decoded`), the network is told the wave speed that z stands
for, by the coefficients of its principal components: T(s, z; r) = T_c(z)(s; r). Times depend on these smoothly, can
be learned from wave speeds as they are, free of what the autoencoder loses, and they agree by construction with the
wave speed that is reported.

A wave speed may also be told more closely than by a code: a latent of code and mixture, one behind the other, stands
for the mixture's (`ClippedComponents`). The network gives no times of those; `wave_speed` knows them.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.harpa.clipped_components import ClippedComponents
from lightning_modules.harpa.station_field import StationField, TimesAndJacobian
from lightning_modules.harpa.wave_speed_autoencoder import WaveSpeedAutoencoder

LatentUse = Literal["decoded", "modulate", "concat"]


class TravelTimeField(nn.Module):
    """Travel times from points to the stations, of a known wave speed or of any in a family.

    Args:
        field: The network.
        autoencoder: What gives a latent code's wave speed; None where the wave speed is known.
        latent_use: `decoded`: the network sees the decoded wave speed; else the code itself.
    """

    def __init__(
        self, field: StationField, autoencoder: WaveSpeedAutoencoder | None = None, latent_use: LatentUse = "decoded"
    ) -> None:
        super().__init__()
        self.field, self.autoencoder = field, autoencoder
        self.latent_use = latent_use

    @property
    def station_positions_km(self) -> Tensor:
        """`(station, 3)`."""
        return self.field.station_positions_km

    @property
    def bounds_km(self) -> Tensor:
        """`(2, 3)`, lowest and highest x, y, z that a source may have."""
        return self.field.bounds_km

    @property
    def n_latent(self) -> int:
        """Length of the latent code, 0 where the wave speed is known."""
        return 0 if self.autoencoder is None else self.autoencoder.n_latent

    @property
    def latent_bounds(self) -> Tensor | None:
        """`(2, n_latent)`, range of z; None where the wave speed is known."""
        if self.autoencoder is None:
            return None
        return torch.stack([self.bounds_km.new_zeros(self.n_latent), self.bounds_km.new_ones(self.n_latent)])

    @property
    def mixture(self) -> ClippedComponents | None:
        """The clipped mixtures of its family of wave speeds; None where there is no family, or they were not found."""
        if self.autoencoder is None or not self.autoencoder.clipped.is_fitted:
            return None
        return self.autoencoder.clipped

    @property
    def rmse_s(self) -> float:
        """Root mean square error on validation data, seconds; NaN if it was never validated."""
        return float(self.field.validation_rmse_s)

    def forward(self, position_km: Tensor, latent: Tensor | None = None) -> Tensor:
        """Travel times of points, differentiable by both arguments.

        Args:
            position_km: `(..., 3)`, within the bounds.
            latent: `(..., n_latent)` in 0..1, broadcastable to the points; None where the wave speed is known.

        Returns:
            `(..., station)`, seconds.
        """
        condition = latent
        if latent is not None and self.autoencoder is not None and self.latent_use == "decoded":
            condition = self.autoencoder.features_of(latent)
        times_s: Tensor = self.field(position_km, condition)
        return times_s

    @torch.no_grad()
    def value_and_jacobian(self, position_km: Tensor, latent: Tensor | None = None) -> TimesAndJacobian:
        """Travel times with their derivatives in closed form, without a graph.

        Args:
            position_km: `(..., 3)`, within the bounds.
            latent: As for `forward`.
        """
        if latent is not None and self.autoencoder is not None and self.latent_use == "decoded":
            return self.field.value_and_jacobian(position_km, *self.autoencoder.features_and_tangents(latent))
        return self.field.value_and_jacobian(position_km, latent)

    def wave_speed(self, latent: Tensor) -> Tensor | None:
        """The wave speeds of latent codes `(..., n_latent)`: `(..., 32, 32, 32)` km/s; None where it is known.

        Of longer latents, code and mixture, it is the mixture's.
        """
        if self.autoencoder is None:
            return None
        if latent.shape[-1] > self.n_latent:
            return self.autoencoder.clipped.grids(latent[..., self.n_latent :])
        return self.autoencoder.decode(latent)

    def latent_of(self, wave_speed_km_s: Tensor) -> Tensor | None:
        """The latent codes of wave speeds `(..., 32, 32, 32)`: `(..., n_latent)`; None where the speed is known."""
        return None if self.autoencoder is None else self.autoencoder.encode(wave_speed_km_s)
