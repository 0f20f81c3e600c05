"""First arrivals in layered earths, against closed forms."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.simulate.layered_travel_times import effective_speed_km_s, layered_travel_times

DISTANCES_KM = np.linspace(0, 150, 31)
DEPTHS_KM = np.array([0.0, 3.0, 8.5, 20.0])


def test_one_speed_is_distance_over_speed_also_from_a_mountain():
    times_s = layered_travel_times([0.0], [5.0], -1.3, DISTANCES_KM, DEPTHS_KM)
    np.testing.assert_allclose(times_s, np.hypot(DISTANCES_KM[:, None], DEPTHS_KM + 1.3) / 5, atol=1e-4)


def test_a_gradient_bends_rays_to_circles():
    times_s = layered_travel_times([0.0, 80.0], [4.0, 12.0], 0.0, DISTANCES_KM, DEPTHS_KM)
    there, squared = 4 + 0.1 * DEPTHS_KM, DISTANCES_KM[:, None] ** 2 + DEPTHS_KM**2
    expected_s = np.arccosh(1 + 0.01 * squared / (2 * 4.0 * there)) / 0.1
    np.testing.assert_allclose(times_s, expected_s, atol=0.004)


@pytest.mark.parametrize("thickness_km", [10.0, 12.34])
def test_a_head_wave_overtakes_the_direct_wave(thickness_km):
    upper, lower, depths_km = 5.0, 8.0, np.array([0.0, 3.0])
    model = ([0, thickness_km, thickness_km, 60], [upper, upper, lower, lower])
    times_s = layered_travel_times(*model, 0.0, DISTANCES_KM, depths_km)
    direct = np.hypot(DISTANCES_KM[:, None], depths_km) / upper
    critical, way = np.arcsin(upper / lower), 2 * thickness_km - depths_km
    head = DISTANCES_KM[:, None] / lower + way * np.cos(critical) / upper
    expected_s = np.where(DISTANCES_KM[:, None] >= way * np.tan(critical), np.minimum(direct, head), direct)
    assert (head < direct).any()
    np.testing.assert_allclose(times_s, expected_s, atol=0.025)


def test_a_vertical_ray_feels_both_layers():
    (time_s,) = layered_travel_times([0, 10, 10, 60], [5.0, 5.0, 8.0, 8.0], 0.0, [0.0], [30.0])[0]
    assert time_s == pytest.approx(10 / 5 + 20 / 8, abs=0.01)


def test_station_and_source_may_change_places_in_depth():
    model = ([0, 10, 10, 60], [5.0, 5.5, 8.0, 8.4])
    down = layered_travel_times(*model, 0.5, [20.0, 90.0], [17.0])
    up = layered_travel_times(*model, 17.0, [20.0, 90.0], [0.5])
    np.testing.assert_allclose(down, up, atol=0.03)


def test_speed_is_that_of_the_model_away_from_jumps():
    depths, speeds = np.array([0.0, 10.0, 10.0, 20.0]), np.array([5.0, 5.0, 8.0, 9.0])
    found = effective_speed_km_s(depths, speeds, np.array([-5.0, 5.0, 10.0, 15.0, 40.0]), 1.0)
    np.testing.assert_allclose(found[[0, 1, 3, 4]], [5.0, 5.0, 8.5, 9.0], rtol=1e-4)
    assert 5.0 < found[2] < 8.0


@pytest.mark.parametrize(
    ("depths", "speeds", "message"),
    [
        ([0.0, 1.0], [5.0], "as many speeds as depths"),
        ([1.0, 0.0], [5.0, 6.0], "increase downwards"),
        ([0.0, 1.0, 1.0, 1.0], [5.0, 6.0, 7.0, 8.0], "twice"),
        ([0.0, 1.0], [5.0, 0.0], "positive"),
    ],
)
def test_unusable_models_are_refused(depths, speeds, message):
    with pytest.raises(DataError, match=message):
        layered_travel_times(depths, speeds, 0.0, [1.0], [1.0])


def test_unusable_distances_are_refused():
    with pytest.raises(DataError, match="negative"):
        layered_travel_times([0.0], [5.0], 0.0, [-1.0], [1.0])
