"""A neural field as a provider: channels, phases, derivatives and bounds."""

import numpy as np
import pytest
import torch

from experiments.association.travel_times.field import FieldTravelTimes
from experiments.association.travel_times.provider import P, S
from lightning_modules.harpa.travel_time_field import TravelTimeField

BOUNDS_KM = torch.tensor([[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]])
CHANNELS = np.array([[3, S], [0, P], [3, P]])


def _field(n_latent: int) -> TravelTimeField:
    torch.manual_seed(0)
    field = TravelTimeField(5, n_latent, width=16, depth=2)
    stations_km = torch.cat([100 * torch.rand(5, 2), torch.zeros(5, 1)], dim=1)
    field.place(stations_km, BOUNDS_KM)
    return field.double()


@pytest.mark.parametrize("n_latent", [0, 3])
def test_times_and_derivatives_are_the_fields(n_latent):
    provider = FieldTravelTimes(_field(n_latent), vp_vs=1.7)
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
    provider = FieldTravelTimes(_field(0))
    channels = np.array([[1, P]])
    outside = torch.tensor([[50.0, -3.0, 40.0]], dtype=torch.float64)
    times, by_position, _ = provider.times_and_derivatives(outside, channels)
    torch.testing.assert_close(times, provider.times(outside.clamp_min(0), channels))
    assert by_position[0, 0, 1] == 0
    assert provider.wave_speed_km_s(np.zeros(0)) is None
    assert provider.station_positions_km.shape == (5, 3)
