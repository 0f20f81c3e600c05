"""Derivatives of travel times by the wave speed: closed forms, and differences of the eikonal solver's times."""

import numpy as np
import pytest

from datamodules.simulate.eikonal import travel_times
from datamodules.simulate.eikonal_derivatives import travel_time_derivatives

SPACING_KM = 2.0
SOURCES_KM = np.array([[7.3, 9.1, 0.0], [20.0, 4.0, 0.0]])


def _nodes_km(n=12):
    axis = SPACING_KM * np.arange(n)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def test_a_speed_that_is_everywhere_faster_by_the_same_factor_makes_times_shorter_by_it():
    nodes_km = _nodes_km()
    speed = 5.0 + 0.3 * nodes_km[..., 2] + 0.5 * np.sin(nodes_km[..., 0] / 5.0)
    times_s = travel_times(speed, SPACING_KM, SOURCES_KM)
    found = travel_time_derivatives(times_s, speed, speed[..., None], SPACING_KM, SOURCES_KM)[..., 0]
    np.testing.assert_allclose(found, -times_s, rtol=1e-5, atol=1e-6)


def test_in_a_homogeneous_speed_a_small_gradient_counts_by_its_mean_along_the_straight_ray():
    nodes_km = _nodes_km(16)
    speed = np.full(nodes_km.shape[:3], 5.0)
    change = 0.2 * nodes_km[..., 2:] / nodes_km[..., 2].max()
    times_s = travel_times(speed, SPACING_KM, SOURCES_KM)
    found = travel_time_derivatives(times_s, speed, change, SPACING_KM, SOURCES_KM)[..., 0]
    away_km = np.linalg.norm(nodes_km - SOURCES_KM[:, None, None, None], axis=-1)
    mean = 0.5 * (change[..., 0] + 0.0)  # linear in depth, sources at the surface
    expected = -away_km * mean / 25.0
    assert np.abs(found - expected).max() < 0.06 * np.abs(expected).max()


@pytest.mark.parametrize("origin_km", [(0.0, 0.0, 0.0), (-30.0, 10.0, 5.0)])
def test_a_bump_delays_as_the_solver_has_it(origin_km):
    nodes_km = _nodes_km(16)
    speed = 5.0 + 0.1 * nodes_km[..., 2]
    centre_km = np.array([14.0, 12.0, 8.0])
    bump = np.exp(-((nodes_km - centre_km) ** 2).sum(axis=-1) / (2 * 5.0**2))
    sources_km = SOURCES_KM + np.array(origin_km)
    times_s = travel_times(speed, SPACING_KM, sources_km, origin_km)
    found = travel_time_derivatives(times_s, speed, bump[..., None], SPACING_KM, sources_km, origin_km)[..., 0]
    step = 0.05
    ahead, behind = (travel_times(speed + s * bump, SPACING_KM, sources_km, origin_km) for s in (step, -step))
    expected = (ahead.astype(float) - behind) / (2 * step)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.12 * np.sqrt(np.mean(expected**2))
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
