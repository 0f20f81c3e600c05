"""Times in a depth-dependent medium: straight rays, the linear gradient's closed form, and derivatives."""

import numpy as np
import pytest
import torch

from experiments.association.travel_times.layered import LayeredTravelTimes
from experiments.association.travel_times.provider import P, S

STATIONS_KM = np.array([[0.0, 0.0, 0.0], [60.0, 20.0, 0.0]])
BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [60.0, 40.0, 30.0]])
DEPTHS_KM = np.linspace(0.0, 40.0, 9)
SURFACE_SPEED, GRADIENT = 5.0, 0.06  # km/s, 1/s


@pytest.fixture(scope="module")
def provider() -> LayeredTravelTimes:
    speeds = {P: SURFACE_SPEED + GRADIENT * DEPTHS_KM, S: np.full(9, 3.0)}
    return LayeredTravelTimes(STATIONS_KM, DEPTHS_KM, speeds, BOUNDS_KM, n_distances=81, n_depths=41)


def _points(n: int) -> np.ndarray:
    return np.random.default_rng(4).uniform(BOUNDS_KM[0] + 1.0, BOUNDS_KM[1] - 1.0, (n, 3))


def test_times_are_those_of_the_linear_gradient_and_of_straight_rays(provider):
    points = _points(200)
    times = provider.times(torch.from_numpy(points), np.array([[0, P], [1, P], [1, S]])).numpy()
    away = points[:, None] - STATIONS_KM
    there = SURFACE_SPEED + GRADIENT * points[:, 2:]
    bent = np.arccosh(1 + GRADIENT**2 * (away**2).sum(-1) / (2 * SURFACE_SPEED * there)) / GRADIENT
    np.testing.assert_allclose(times[:, :2], bent, atol=0.005)
    np.testing.assert_allclose(times[:, 2], np.linalg.norm(away[:, 1], axis=-1) / 3.0, atol=0.002)


def test_derivatives_agree_with_differences_and_with_torch(provider):
    channels = np.array([[1, S], [0, P]])
    points = torch.from_numpy(_points(30)).requires_grad_()
    times, by_position, _ = provider.times_and_derivatives(points.detach(), channels)
    torch.testing.assert_close(times, provider.times(points, channels))
    step = 1e-5
    for axis in range(3):
        moved = torch.zeros(3, dtype=torch.float64)
        moved[axis] = step
        ahead, behind = (provider.times(points.detach() + sign * moved, channels) for sign in (1, -1))
        torch.testing.assert_close(by_position[..., axis], (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)
    (gradient,) = torch.autograd.grad(provider.times(points, channels).sum(), points)
    torch.testing.assert_close(gradient, by_position.sum(dim=1))


def test_outside_the_nearest_face_stands_in(provider):
    channels = np.array([[0, P]])
    outside = torch.tensor([[10.0, -5.0, 33.0]], dtype=torch.float64)
    on_edge = torch.tensor([[10.0, 0.0, 30.0]], dtype=torch.float64)
    times, by_position, _ = provider.times_and_derivatives(outside, channels)
    torch.testing.assert_close(times, provider.times(on_edge, channels))
    assert (by_position[0, 0, 1:] == 0).all()
    assert by_position[0, 0, 0] > 0


def test_many_station_depths_share_tables():
    """Thirty stations within 0.4 km of height: three tables, times as good as a table for each."""
    rng = np.random.default_rng(6)
    stations = np.column_stack([rng.uniform(5, 55, 30), rng.uniform(5, 35, 30), rng.uniform(-0.4, 0.0, 30)])
    speeds = {P: SURFACE_SPEED + GRADIENT * DEPTHS_KM}
    shared = LayeredTravelTimes(stations, DEPTHS_KM, speeds, BOUNDS_KM, n_distances=81, n_depths=41)
    alone = LayeredTravelTimes(stations[:1], DEPTHS_KM, speeds, BOUNDS_KM, n_distances=81, n_depths=41)
    points = torch.from_numpy(_points(50))
    one = shared.times(points, np.array([[0, P]]))
    np.testing.assert_allclose(one, alone.times(points, np.array([[0, P]])), atol=0.005)
