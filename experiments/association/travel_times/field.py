"""Travel times from a neural field T(s, z; r), trained for one wave speed or for a family with latent code z.

S times are P times multiplied by the ratio of wave speeds: the field knows one phase. Where the field knows its family
of wave speeds as mixtures too, `near` gives the eikonal solver's times instead, for a tomography that starts at a code.
"""

import numpy as np
import torch
from torch import Tensor

from experiments.association.travel_times.closed_form import rows_of_channels
from experiments.association.travel_times.provider import P, S, TravelTimesAndDerivatives
from experiments.association.travel_times.tomographic import Mixture, TomographicTimes
from lightning_modules.harpa.travel_time_field import TravelTimeField


class FieldTravelTimes:
    """A trained field as a provider.

    Args:
        field: The field, with its stations, bounds and validation error (`load_travel_time_field`).
        vp_vs: Ratio of S to P times; None for P alone.

    Attributes:
        latent_mean: `(n_latent,)`, of the codes of training wave speeds; None where the wave speed is known.
        latent_sd: `(n_latent,)`, their standard deviation.
        mixture: The family's wave speeds as mixtures; None where the field knows none.
    """

    def __init__(self, field: TravelTimeField, vp_vs: float | None = None) -> None:
        self._field = field.eval().requires_grad_(False)
        self._dtype = field.station_positions_km.dtype
        self.bounds_km = field.bounds_km.detach().double().numpy()
        self.n_stations = len(field.station_positions_km)
        self.phases: tuple[int, ...] = (P,) if vp_vs is None else (P, S)
        self._vp_vs = vp_vs
        self.n_latent: int = int(field.n_latent)
        self.latent_bounds: np.ndarray | None = None
        if field.latent_bounds is not None:
            self.latent_bounds = field.latent_bounds.detach().double().numpy()
        self.latent_mean, self.latent_sd = _spread_of_codes(field)
        self.mixture = _mixture(field)
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
        """The wave speed `(nx, ny, nz)` of a latent; None where the field has only one.

        Args:
            latent: `(n_latent,)`, a code, or longer: a code and the numbers of a mixture, whose speed it then is.
        """
        with torch.no_grad():
            speed = self._field.wave_speed(torch.as_tensor(latent, dtype=self._dtype))
        return None if speed is None else speed.double().numpy()

    def numbers_of(self, latent: np.ndarray) -> np.ndarray:
        """The numbers `(component,)` of the mixture that is nearest to the wave speed of a code `(n_latent,)`."""
        family, speed = self._field.mixture, self._field.wave_speed(torch.as_tensor(latent, dtype=self._dtype))
        assert family is not None
        assert speed is not None
        return family.numbers(speed).double().numpy()

    def near(self, numbers: np.ndarray) -> TomographicTimes:
        """The eikonal solver's times around the wave speed of a mixture's numbers `(component,)`."""
        assert self.mixture is not None
        spacing_km = (self.bounds_km[1, 0] - self.bounds_km[0, 0]) / (self.mixture.mean.shape[0] - 1)
        return TomographicTimes(
            self.mixture, numbers, spacing_km, self.bounds_km[0], self.station_positions_km, self._vp_vs
        )

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


def _spread_of_codes(field: TravelTimeField) -> tuple[np.ndarray | None, np.ndarray | None]:
    autoencoder = getattr(field, "autoencoder", None)  # a field of a known wave speed need not have any
    if autoencoder is None:
        return None, None
    return autoencoder.code_mean.double().numpy(), autoencoder.code_sd.double().numpy()


def _mixture(field: TravelTimeField) -> Mixture | None:
    """The field's mixtures, where its nodes are as far apart along all axes, as the eikonal solver wants them."""
    family = getattr(field, "mixture", None)
    if family is None:
        return None
    spacings_km = (field.bounds_km[1] - field.bounds_km[0]).double().numpy() / (np.array(family.shape) - 1)
    if not np.allclose(spacings_km, spacings_km[0]):
        return None
    return Mixture(
        family.mean.reshape(family.shape).double().numpy(),
        family.basis.reshape(*family.shape, -1).double().numpy(),
        (family.lowest, family.highest),
    )
