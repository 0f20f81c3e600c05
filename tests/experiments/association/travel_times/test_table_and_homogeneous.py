"""Providers of travel times: closed forms, a second interpolation, and derivatives."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes
from experiments.association.travel_times.provider import P, S
from experiments.association.travel_times.table import TableTravelTimes

STATIONS_KM = np.array([[0.0, 0.0, 0.0], [20.0, 10.0, 0.0], [7.0, 3.0, -0.5]])
BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [20.0, 10.0, 14.0]])
SHAPE = (11, 6, 8)
SPACING_KM = 2.0
CHANNELS = np.array([[2, S], [0, P], [1, P], [1, S]])


def _points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(BOUNDS_KM[0], BOUNDS_KM[1], (n, 3))


def _nodes() -> np.ndarray:
    return np.stack(np.meshgrid(*[SPACING_KM * np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)


def _straight(speed: float, points: np.ndarray, stations: np.ndarray = STATIONS_KM) -> np.ndarray:
    return np.linalg.norm(points[..., None, :] - stations, axis=-1) / speed


def _tables() -> dict[int, np.ndarray]:
    return {phase: np.moveaxis(_straight(speed, _nodes()), -1, 0) for phase, speed in ((P, 6.0), (S, 3.5))}


def _providers() -> list[object]:
    return [
        HomogeneousTravelTimes(STATIONS_KM, {P: 6.0, S: 3.5}, BOUNDS_KM),
        TableTravelTimes(_tables(), SPACING_KM),
        TableTravelTimes(_tables(), SPACING_KM, station_positions_km=STATIONS_KM, interpolation="factored"),
    ]


@pytest.mark.parametrize("index", [0, 2])
def test_straight_rays_are_exact_at_any_point(index):
    """Homogeneous by its formula; the factored table because mean slowness is the same everywhere."""
    points = _points(50)
    times = _providers()[index].times(torch.from_numpy(points), CHANNELS)
    expected = np.stack([_straight(6.0 if c[1] == P else 3.5, points)[:, c[0]] for c in CHANNELS], axis=-1)
    np.testing.assert_allclose(times, expected, rtol=1e-12)


def test_trilinear_is_that_of_scipy_and_exact_at_nodes():
    provider, tables = TableTravelTimes(_tables(), SPACING_KM, origin_km=(0.0, 0.0, 0.0)), _tables()
    points = _points(60).reshape(3, 20, 3)
    times = provider.times(torch.from_numpy(points), CHANNELS)
    axes = [SPACING_KM * np.arange(n) for n in SHAPE]
    for c, (station, phase) in enumerate(CHANNELS):
        naive = RegularGridInterpolator(axes, tables[phase][station])(points)
        np.testing.assert_allclose(times[..., c], naive, rtol=1e-12)
    at_nodes = provider.times(torch.from_numpy(_nodes()), np.array([[1, P]]))[..., 0]
    np.testing.assert_allclose(at_nodes, tables[P][1], rtol=1e-12)


@pytest.mark.parametrize("index", range(3))
def test_derivatives_agree_with_differences_and_with_torch(index):
    provider = _providers()[index]
    points = torch.from_numpy(_points(40, seed=1)).requires_grad_()
    times, by_position, by_latent = provider.times_and_derivatives(points.detach(), CHANNELS)
    assert by_latent is None
    torch.testing.assert_close(times, provider.times(points, CHANNELS))
    step = 1e-6
    for axis in range(3):
        moved = torch.zeros(3, dtype=torch.float64)
        moved[axis] = step
        higher = provider.times(points.detach() + moved, CHANNELS)
        lower = provider.times(points.detach() - moved, CHANNELS)
        torch.testing.assert_close(by_position[..., axis], (higher - lower) / (2 * step), rtol=1e-6, atol=1e-8)
    weights = torch.rand(40, 4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * provider.times(points, CHANNELS)).sum(), points)
    torch.testing.assert_close(gradient, torch.einsum("pc,pcd->pd", weights, by_position))


@pytest.mark.parametrize("index", range(3))
def test_outside_the_bounds_the_nearest_face_stands_in(index):
    provider = _providers()[index]
    outside = torch.tensor([[-3.0, 4.0, 20.0], [25.0, -1.0, 3.0]], dtype=torch.float64)
    on_face = torch.tensor([[0.0, 4.0, 14.0], [20.0, 0.0, 3.0]], dtype=torch.float64)
    there, by_position, _ = provider.times_and_derivatives(outside, CHANNELS)
    torch.testing.assert_close(there, provider.times(on_face, CHANNELS))
    assert (by_position[0, :, [0, 2]] == 0).all()
    assert (by_position[1, :, [0, 1]] == 0).all()
    assert (by_position[0, :, 1] != 0).all()


def test_vp_vs_makes_s_times_of_p_times():
    provider = TableTravelTimes({P: _tables()[P]}, SPACING_KM, vp_vs=1.73)
    times = provider.times(torch.from_numpy(_points(5)), np.array([[1, P], [1, S]]))
    torch.testing.assert_close(times[:, 1], 1.73 * times[:, 0])


def test_the_node_table_is_what_is_interpolated():
    provider = TableTravelTimes(_tables(), SPACING_KM, origin_km=(1.0, 2.0, 3.0))
    table, spacing_km, origin_km, stations_km = provider.node_table(CHANNELS)
    np.testing.assert_array_equal(table[..., 0], _tables()[S][2])
    assert spacing_km.tolist() == [2.0, 2.0, 2.0]
    assert origin_km.tolist() == [1.0, 2.0, 3.0]
    assert stations_km is None
    slowness, _, _, stations_km = _providers()[2].node_table(CHANNELS)
    np.testing.assert_allclose(slowness, np.where(CHANNELS[:, 1] == P, 1 / 6, 1 / 3.5) * np.ones((*SHAPE, 4)))
    np.testing.assert_array_equal(stations_km, STATIONS_KM[CHANNELS[:, 0]])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="one shape"):
        TableTravelTimes({P: np.ones((2, 3, 3, 3)), S: np.ones((2, 3, 3, 4))}, 1.0)
    with pytest.raises(ValueError, match="not finite"):
        TableTravelTimes({P: np.full((2, 3, 3, 3), np.nan)}, 1.0)
    with pytest.raises(ValueError, match="positions of its stations"):
        TableTravelTimes({P: np.ones((2, 3, 3, 3))}, 1.0, interpolation="factored")
    with pytest.raises(ValueError, match="positive"):
        HomogeneousTravelTimes(STATIONS_KM, {P: 0.0}, BOUNDS_KM)
    with pytest.raises(ValueError, match="phase 1"):
        TableTravelTimes({P: np.ones((2, 3, 3, 3))}, 1.0).times(torch.zeros(1, 3, dtype=torch.float64), CHANNELS[:1])
    with pytest.raises(ValueError, match="station outside"):
        TableTravelTimes({P: np.ones((2, 3, 3, 3))}, 1.0).times(
            torch.zeros(1, 3, dtype=torch.float64), np.array([[2, P]])
        )
