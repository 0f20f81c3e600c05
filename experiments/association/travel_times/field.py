"""Travel times from a neural field T(s, z; r), trained for one wave speed or for a family with latent code z.

S times are P times multiplied by the ratio of wave speeds: the field knows one phase.
"""

import numpy as np
import torch
from torch import Tensor

from experiments.association.travel_times.closed_form import rows_of_channels
from experiments.association.travel_times.provider import P, S, TravelTimesAndDerivatives
from lightning_modules.harpa.travel_time_field import TravelTimeField


class FieldTravelTimes:
    """A trained field as a provider.

    Args:
        field: The field, with its stations, bounds and validation error (`load_travel_time_field`).
        vp_vs: Ratio of S to P times; None for P alone.
    """

    def __init__(self, field: TravelTimeField, vp_vs: float | None = None) -> None:
        self._field = field.eval().requires_grad_(False)
        self._dtype = field.station_positions_km.dtype
        self.bounds_km = field.bounds_km.detach().double().numpy()
        self.n_stations = len(field.station_positions_km)
        self.phases: tuple[int, ...] = (P,) if vp_vs is None else (P, S)
        self.n_latent: int = int(field.n_latent)
        self.latent_bounds: np.ndarray | None = None
        if field.latent_bounds is not None:
            self.latent_bounds = field.latent_bounds.detach().double().numpy()
        self.error_s = float(field.rmse_s) if np.isfinite(field.rmse_s) else 0.0
        self._ratios = torch.ones(len(self.phases), dtype=torch.float64)
        if vp_vs is not None:
            self._ratios[1] = vp_vs

    @property
    def station_positions_km(self) -> np.ndarray:
        """`(station, 3)`, the stations that the field was trained for, in its order."""
        positions_km: np.ndarray = self._field.station_positions_km.detach().double().numpy()
        return positions_km

    def wave_speed_km_s(self, latent: np.ndarray) -> np.ndarray | None:
        """The wave speed `(nx, ny, nz)` of a latent code `(n_latent,)`; None where the field has only one."""
        with torch.no_grad():
            speed = self._field.wave_speed(torch.as_tensor(latent, dtype=self._dtype))
        return None if speed is None else speed.double().numpy()

    def _prepared(self, positions_km: Tensor, latent: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Positions within the bounds, and the code, in the field's precision."""
        lowest, highest = torch.from_numpy(self.bounds_km)
        inside = positions_km.clamp(lowest, highest).to(self._dtype)
        if latent is None or self.n_latent == 0:
            return inside, None
        return inside, latent.to(self._dtype)

    def _columns(self, channels: np.ndarray) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(rows_of_channels(channels, self.phases, self.n_stations))
        return rows % self.n_stations, self._ratios[rows // self.n_stations]

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        """Travel times `(..., channel)`, see `TravelTimes`."""
        stations, ratios = self._columns(channels)
        times_s: Tensor = self._field(*self._prepared(positions_km, latent))[..., stations].double() * ratios
        return times_s

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        """Times and derivatives, see `TravelTimes`."""
        stations, ratios = self._columns(channels)
        with torch.no_grad():
            inside, code = self._prepared(positions_km, latent)
            times_s, by_position, by_latent = self._field.value_and_jacobian(inside, code)
        lowest, highest = torch.from_numpy(self.bounds_km)
        is_inside = ((positions_km >= lowest) & (positions_km <= highest)).unsqueeze(-2)
        each = ratios.unsqueeze(-1)
        return TravelTimesAndDerivatives(
            times_s[..., stations].double() * ratios,
            by_position[..., stations, :].double() * each * is_inside,
            None if by_latent is None else by_latent[..., stations, :].double() * each,
        )
