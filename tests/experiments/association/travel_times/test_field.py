"""A neural field as a provider: channels, phases, derivatives and bounds."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from experiments.association.travel_times.field import FieldTravelTimes
from experiments.association.travel_times.provider import P, S, TravelTimesAndDerivatives

CHANNELS = np.array([[3, S], [0, P], [3, P]])


class _Field(nn.Module):
    """What a trained field offers, with times |x - r| (0.1 + w . z)."""

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.n_latent, self.rmse_s = n_latent, math.nan
        self.station_positions_km = torch.from_numpy(rng.uniform(0, 100, (5, 3)))
        self.bounds_km = torch.tensor([[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]])
        self.latent_bounds = torch.tensor([[0.0] * n_latent, [1.0] * n_latent]) if n_latent else None
        self.weights = torch.from_numpy(rng.uniform(0, 0.1, n_latent))

    def forward(self, position_km, latent=None):
        distance_km = (position_km.unsqueeze(-2) - self.station_positions_km).norm(dim=-1)
        return distance_km * (0.1 + (0 if latent is None else (latent @ self.weights).unsqueeze(-1)))

    def value_and_jacobian(self, position_km, latent=None):
        away_km = position_km.unsqueeze(-2) - self.station_positions_km
        distance_km = away_km.norm(dim=-1)
        times_s = self(position_km, latent)
        by_latent = None if latent is None else distance_km.unsqueeze(-1) * self.weights
        return TravelTimesAndDerivatives(times_s, away_km * (times_s / distance_km**2).unsqueeze(-1), by_latent)

    def wave_speed(self, latent):
        return None


@pytest.mark.parametrize("n_latent", [0, 3])
def test_times_and_derivatives_are_the_fields(n_latent):
    provider = FieldTravelTimes(_Field(n_latent), vp_vs=1.7)
    assert provider.n_latent == n_latent
    assert provider.phases == (P, S)
    assert provider.error_s == 0.0
    points = (torch.rand(2, 4, 3, dtype=torch.float64) * 100).requires_grad_()
    code = torch.rand(2, 1, n_latent, dtype=torch.float64).requires_grad_() if n_latent else None
    times, by_position, by_latent = provider.times_and_derivatives(points.detach(), CHANNELS, code)
    assert times.shape == (2, 4, 3)
    assert by_position.shape == (2, 4, 3, 3)
    torch.testing.assert_close(times[..., 0], 1.7 * times[..., 2])
    again = provider.times(points, CHANNELS, code)
    torch.testing.assert_close(again, times)
    wanted = (points, code) if n_latent else (points,)
    gradients = torch.autograd.grad(again.sum(), wanted)
    torch.testing.assert_close(gradients[0], by_position.sum(dim=2))
    if n_latent:
        assert by_latent.shape == (2, 4, 3, n_latent)
        torch.testing.assert_close(gradients[1], by_latent.sum(dim=2).sum(dim=1, keepdim=True))
        assert provider.latent_bounds.shape == (2, n_latent)
    else:
        assert by_latent is None


def test_outside_the_nearest_face_stands_in():
    provider = FieldTravelTimes(_Field(0))
    channels = np.array([[1, P]])
    outside = torch.tensor([[50.0, -3.0, 40.0]], dtype=torch.float64)
    times, by_position, _ = provider.times_and_derivatives(outside, channels)
    torch.testing.assert_close(times, provider.times(outside.clamp_min(0), channels))
    assert by_position[0, 0, 1] == 0
    assert provider.wave_speed_km_s(np.zeros(0)) is None
    assert provider.station_positions_km.shape == (5, 3)
