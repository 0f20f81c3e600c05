"""A family of media: slowness in a homogeneous medium that the code scales, station by station."""

import numpy as np
import torch
from torch import Tensor

from experiments.association.travel_times.provider import TravelTimesAndDerivatives
from tests.experiments.association.solvers.scenes import BOUNDS_KM


class ScaledTimes:
    """T = |x - r| (1 + a(r, x) z) / v with two codes: overall slowness, and slowness that grows eastwards."""

    bounds_km = BOUNDS_KM
    phases = (0,)
    n_latent = 2
    latent_bounds = np.array([[0.0, 0.0], [1.0, 1.0]])

    def __init__(self, stations_km: np.ndarray, error_s: float = 0.0) -> None:
        self._stations_km = torch.from_numpy(stations_km)
        self.n_stations, self.error_s = len(stations_km), error_s

    def times(self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None) -> Tensor:
        assert latent is not None
        away = positions_km[..., None, :] - self._stations_km[channels[:, 0]]
        distance = (away**2).sum(-1).add(1e-12).sqrt()
        east = (positions_km[..., None, 0] + self._stations_km[channels[:, 0], 0]) / 80.0 - 0.5
        scale = 1.0 + 0.3 * (latent[..., None, 0] - 0.5) + 0.8 * (latent[..., None, 1] - 0.5) * east
        return distance * scale / 5.0

    def times_and_derivatives(
        self, positions_km: Tensor, channels: np.ndarray, latent: Tensor | None = None
    ) -> TravelTimesAndDerivatives:
        assert latent is not None
        with torch.enable_grad():
            points = positions_km.detach().clone().requires_grad_()
            code = latent.detach().expand(*points.shape[:-1], 2).clone().requires_grad_()
            times_s = self.times(points, channels, code)
            grads = [
                torch.autograd.grad(times_s[..., c].sum(), (points, code), retain_graph=True)
                for c in range(len(channels))
            ]
        by_position = torch.stack([g[0] for g in grads], dim=-2)
        return TravelTimesAndDerivatives(times_s.detach(), by_position, torch.stack([g[1] for g in grads], dim=-2))
