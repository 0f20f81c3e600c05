"""Travel times near a wave speed: the eikonal solver's at the speed itself, and their change with it to first order.

A neural field answers for a whole family of wave speeds, and errs. Once a wave speed is roughly known, the times of
that one speed are had from the eikonal solver, in the time of a few steps with the field, and so are their derivatives
by the numbers u of a clipped mixture c = clip(mean + basis u). That is all a tomography needs; nothing is learned.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.simulate.eikonal import travel_times
from datamodules.simulate.eikonal_derivatives import travel_time_derivatives
from experiments.association.travel_times.provider import P, TravelTimesAndDerivatives
from experiments.association.travel_times.table import TableTravelTimes
from experiments.association.travel_times.trilinear import interpolate

EIKONAL_ERROR_S = 0.02
"""Standard error of times computed on the nodes of a random-field speed themselves (see `eikonal.py`)."""


class Mixture(NamedTuple):
    """Wave speeds as clipped mixtures, c = clip(mean + basis u).

    Args:
        mean: `(nx, ny, nz)` km/s.
        basis: `(nx, ny, nz, component)` km/s; u has mean 0 and variance 1.
        range_km_s: Slowest and fastest.
    """

    mean: np.ndarray
    basis: np.ndarray
    range_km_s: tuple[float, float]

    def wave_speed_km_s(self, numbers: np.ndarray) -> np.ndarray:
        """The speed `(nx, ny, nz)` of u `(component,)`."""
        return np.asarray(np.clip(self.mean + self.basis @ numbers, *self.range_km_s), np.float64)

    def changes_km_s(self, numbers: np.ndarray) -> np.ndarray:
        """Its derivatives by u, `(nx, ny, nz, component)`: a clipped node does not change."""
        mixed = self.mean + self.basis @ numbers
        return np.asarray(self.basis * ((mixed > self.range_km_s[0]) & (mixed < self.range_km_s[1]))[..., None])


class TomographicTimes:
    """Travel times of the wave speeds around one, as a provider whose latent is u.

    Latents may be longer: u is what stands last, and times do not depend on the rest, a code that the search began at.

    Args:
        mixture: The wave speeds.
        numbers: `(component,)`, u of the one that times are computed for.
        spacing_km: Distance of nodes.
        origin_km: `(3,)`, the first node.
        station_positions_km: `(station, 3)`.
        vp_vs: Ratio of S to P times; None for P alone.
        refinement: How many times finer the eikonal solver's grid is.

    Attributes:
        table: The times of the wave speed itself, a provider of a known speed.
        latent_mean: `(component,)`, 0.
        latent_sd: `(component,)`, 1.
    """

    def __init__(
        self,
        mixture: Mixture,
        numbers: np.ndarray,
        spacing_km: float,
        origin_km: np.ndarray,
        station_positions_km: np.ndarray,
        vp_vs: float | None = None,
        refinement: int = 1,
    ) -> None:
        self.mixture, self.numbers = mixture, np.asarray(numbers, np.float64)
        speed = mixture.wave_speed_km_s(self.numbers)
        times_s = travel_times(speed, spacing_km, station_positions_km, origin_km, refinement)
        self.table = TableTravelTimes(
            {P: times_s},
            spacing_km,
            origin_km,
            station_positions_km,
            EIKONAL_ERROR_S / refinement**2,
            "factored",
            vp_vs,
        )
        self.bounds_km, self.n_stations, self.phases = self.table.bounds_km, self.table.n_stations, self.table.phases
        self.error_s = self.table.error_s
        self.n_latent = len(self.numbers)
        self.latent_bounds: np.ndarray | None = np.array([[-5.0], [5.0]]) * np.ones(self.n_latent)
        self.latent_mean, self.latent_sd = np.zeros(self.n_latent), np.ones(self.n_latent)
        by_number = travel_time_derivatives(
            times_s, speed, mixture.changes_km_s(self.numbers), spacing_km, station_positions_km, origin_km
        )
        # Channels last: (nx, ny, nz, station, component).
        self._by_number = np.ascontiguousarray(np.moveaxis(by_number, 0, 3)).reshape(*speed.shape, -1)
        self._origin_km, self._spacing_km = np.asarray(origin_km, np.float64), np.full(3, float(spacing_km))
        self._ratios = np.array([1.0, 1.0 if vp_vs is None else vp_vs])

    def _changes(self, positions_km: Tensor, channels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Derivatives by u `(..., channel, component)`, and of these by position `(..., channel, component, 3)`."""
        points = np.ascontiguousarray(positions_km.detach().numpy(), np.float64).reshape(-1, 3)
        columns = channels[:, :1] * self.n_latent + np.arange(self.n_latent)
        values, gradients = np.empty((len(points), columns.size)), np.empty((len(points), columns.size, 3))
        interpolate(self._by_number, columns.ravel(), points, self._origin_km, self._spacing_km, values, gradients)
        shape = (*positions_km.shape[:-1], *columns.shape)
        ratios = self._ratios[channels[:, 1]][:, None]
        return (
            torch.from_numpy(values.reshape(shape) * ratios),
            torch.from_numpy(gradients.reshape(*shape, 3) * ratios[..., None]),
        )

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        """Travel times `(..., channel)`, see `TravelTimes`; not differentiable by torch."""
        times_s = self.table.times(positions_km.detach(), channels)
        if latent is None:
            return times_s
        by_number, _ = self._changes(positions_km, channels)
        return times_s + (by_number * self._moved(latent)).sum(dim=-1)

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        """Times and derivatives, see `TravelTimes`."""
        times_s, by_position, _ = self.table.times_and_derivatives(positions_km, channels)
        by_number, mixed = self._changes(positions_km, channels)
        if latent is None:
            return TravelTimesAndDerivatives(times_s, by_position, by_number)
        moved = self._moved(latent)
        times_s = times_s + (by_number * moved).sum(dim=-1)
        by_position = by_position + (mixed * moved.unsqueeze(-1)).sum(dim=-2)
        n_before = latent.shape[-1] - self.n_latent
        return TravelTimesAndDerivatives(times_s, by_position, torch.nn.functional.pad(by_number, (n_before, 0)))

    def _moved(self, latent: Tensor) -> Tensor:
        """How far numbers are from where times were computed, `(..., 1, component)`."""
        return (latent[..., -self.n_latent :] - torch.from_numpy(self.numbers)).unsqueeze(-2)
