"""Times between nodes: exact where the mean slowness is linear, good at the cusp, bounded outside."""

import numpy as np

from datamodules.simulate.eikonal import travel_times
from datamodules.simulate.time_interpolation import InterpolatedTimes

STATIONS = np.array([[4.0, 6.0, 0.0], [7.3, 2.9, 0.0]])  # on a node and off the nodes


def _table(speed, spacing_km=2.0):
    return InterpolatedTimes(travel_times(speed, spacing_km, STATIONS), spacing_km, STATIONS)


def test_in_a_homogeneous_medium_nothing_is_lost_at_the_cusp():
    points = np.random.default_rng(0).uniform(0, 14, (200, 3))
    points[:20] = STATIONS[1] + np.random.default_rng(1).uniform(0, 0.2, (20, 3))
    expected_s = np.linalg.norm(points[:, None] - STATIONS, axis=-1) / 5
    np.testing.assert_allclose(_table(np.full((8, 8, 8), 5.0))(points), expected_s, atol=1e-5)


def test_nodes_are_met_and_the_station_itself_is_at_zero():
    speed = 5 + 0.4 * np.arange(8) + np.zeros((8, 8, 8))
    times_s = travel_times(speed, 2.0, STATIONS)
    node = np.array([[2, 3, 0], [7, 7, 7], [0, 5, 3]])
    found = InterpolatedTimes(times_s, 2.0, STATIONS)(2.0 * node)
    np.testing.assert_allclose(found, times_s[:, *node.T].T, atol=1e-5)
    assert found[0, 0] == 0


def test_points_outside_are_taken_at_the_face():
    times = _table(5 + 0.4 * np.arange(8) + np.zeros((8, 8, 8)))
    np.testing.assert_allclose(times([[-3.0, 20.0, 5.0]]), times([[0.0, 14.0, 5.0]]))


def test_the_origin_shifts_coordinates():
    table = travel_times(np.full((8, 8, 8), 5.0), 2.0, STATIONS)
    shift = np.array([10.0, -5.0, 1.0])
    here, there = InterpolatedTimes(table, 2.0, STATIONS), InterpolatedTimes(table, 2.0, STATIONS + shift, shift)
    points = np.random.default_rng(0).uniform(0, 14, (10, 3))
    np.testing.assert_allclose(here(points), there(points + shift), atol=1e-6)
