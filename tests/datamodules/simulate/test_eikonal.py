"""Travel times against closed forms, against themselves on finer grids, and against scikit-fmm."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.simulate.eikonal import error_s, refined, travel_times
from datamodules.simulate.eikonal_reference import reference, speed_at, time_near
from datamodules.simulate.wave_speeds import SPACING_KM, background, random_field_wave_speeds

OFF_GRID = np.array([[7.3, 11.9, 0.0], [20.0, 3.1, 4.4], [14.2, 14.3, 25.0]])


def _distance_km(shape, spacing_km, source_km):
    nodes = np.stack(np.meshgrid(*[spacing_km * np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return nodes, np.linalg.norm(nodes - source_km, axis=-1)


def _linear_gradient_s(nodes, distance_km, speed_0_km_s, gradient, source_km):
    """Travel time where the speed is speed_0 + gradient . x, written down apart from the program's own reference."""
    here, there = speed_0_km_s + source_km @ gradient, speed_0_km_s + nodes @ gradient
    g = np.linalg.norm(gradient)
    return np.arccosh(1 + (g * distance_km) ** 2 / (2 * here * there)) / g


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


@pytest.mark.parametrize("source_km", OFF_GRID)
def test_in_a_homogeneous_medium_time_is_distance_over_speed(source_km):
    _, distance_km = _distance_km((18, 16, 20), 1.5, source_km)
    times_s = travel_times(np.full((18, 16, 20), 6.0), 1.5, source_km[None])[0]
    np.testing.assert_allclose(times_s, distance_km / 6, atol=1e-5)


@pytest.mark.parametrize("source_km", OFF_GRID)
def test_in_a_linear_gradient_rays_are_circles(source_km):
    gradient = np.array([0.03, -0.05, 0.2])
    nodes, distance_km = _distance_km((18, 16, 20), 1.5, source_km)
    speed = 5 + nodes @ gradient
    expected_s = _linear_gradient_s(nodes, distance_km, 5.0, gradient, source_km)
    np.testing.assert_allclose(travel_times(speed, 1.5, source_km[None])[0], expected_s, atol=1e-5)


def test_the_scheme_itself_is_second_order_where_the_reference_does_not_fit():
    """Slowness squared linear in x: parabolic rays and a closed form that no linear speed has."""
    source_km, slope = np.array([7.3, 11.9, 10.0]), -4e-4
    errors = []
    for n in (17, 33):
        spacing_km = 24.0 / (n - 1)
        nodes, distance_km = _distance_km((n, n, n), spacing_km, source_km)
        squared = 0.04 + slope * nodes[..., 2]
        mean = 0.04 + slope * (source_km[2] + nodes[..., 2]) / 2
        path = np.sqrt(2 * distance_km**2 / (mean + np.sqrt(mean**2 - (slope * distance_km / 2) ** 2)))
        expected_s = mean * path - slope**2 * path**3 / 24
        errors.append(_rms(travel_times(squared**-0.5, spacing_km, source_km[None])[0] - expected_s))
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 2.5


def test_times_converge_under_refinement():
    speed = random_field_wave_speeds(1, seed=1003)[0][::2, ::2, ::2]
    source = OFF_GRID[:1]
    finest = travel_times(speed, 2.0, source, refinement=4)
    errors = [_rms(travel_times(speed, 2.0, source, refinement=r) - finest) for r in (1, 2)]
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 2
    assert errors[0] / 3 < error_s(speed, 2.0, 1) < errors[0] * 3


def test_sources_and_receivers_may_change_places():
    speed = random_field_wave_speeds(1, seed=1004)[0]  # one of the roughest
    ends_km = SPACING_KM * np.array([[3, 28, 0], [25, 6, 17]])
    there, back = travel_times(speed, SPACING_KM, ends_km, refinement=2)
    assert abs(there[25, 6, 17] - back[3, 28, 0]) < 0.01
    assert there[25, 6, 17] > 1


def test_a_source_between_nodes_is_as_good_as_one_on_a_node():
    """The same source is a node of the finer grid and none of the coarser one; snapping it would cost .1 s."""
    speed = random_field_wave_speeds(1, seed=1002)[0][:20, :20, :20].astype(np.float64)
    source_km = SPACING_KM * np.array([[10.5, 13.25, 0.0]])
    on_node = travel_times(refined(speed, 4), SPACING_KM / 4, source_km)[0][::4, ::4, ::4]
    off_node = travel_times(speed, SPACING_KM, source_km)[0]
    snapped = travel_times(speed, SPACING_KM, SPACING_KM * np.array([[10.0, 13.0, 0.0]]))[0]
    assert _rms(off_node - on_node) < 0.009
    assert _rms(snapped - on_node) > 0.05


def test_first_arrivals_never_disobey_the_largest_slowness_or_the_smallest():
    speed = random_field_wave_speeds(1, seed=1006)[0]
    source_km = np.array([31.0, 64.0, 0.0])
    _, distance_km = _distance_km(speed.shape, SPACING_KM, source_km)
    times_s = travel_times(speed, SPACING_KM, source_km[None])[0]
    assert (times_s >= distance_km / speed.max() - 0.03).all()
    assert (times_s <= distance_km / speed.min() + 0.03).all()


def test_a_plane_of_nodes_is_the_section_through_a_medium_that_does_not_vary_across_it():
    section = random_field_wave_speeds(1, seed=1010)[0][:, :1, :]
    source_km = SPACING_KM * np.array([[9.4, 0.0, 2.2]])
    flat = travel_times(section, SPACING_KM, source_km)[0]
    assert flat.shape == (32, 1, 32)
    middle = source_km + SPACING_KM * np.array([0.0, 5.0, 0.0])
    full = travel_times(np.repeat(section, 11, axis=1), SPACING_KM, middle)[0]
    assert np.abs(full[:, 5] - flat[:, 0]).max() < 0.01


def test_rough_media_have_times_between_those_of_their_slowest_and_fastest_node():
    rng = np.random.default_rng(0)
    speed, source_km = rng.uniform(1, 10, (12, 14, 9)), np.array([6.3, 8.8, 3.1])
    _, distance_km = _distance_km(speed.shape, 1.0, source_km)
    times_s = travel_times(speed, 1.0, source_km[None], refinement=2)[0]
    assert (times_s > distance_km / speed.max()).all()
    assert (times_s < distance_km / speed.min()).all()


def test_scikit_fmm_agrees_and_is_less_accurate():
    nodes, distance_km = _distance_km((32, 32, 32), SPACING_KM, OFF_GRID[0])
    expected_s = _linear_gradient_s(nodes, distance_km, 5.0, np.array([0, 0, 0.2]), OFF_GRID[0])
    fmm = travel_times(background(), SPACING_KM, OFF_GRID[:1], solver="fmm")[0]
    assert 1e-3 < _rms(fmm - expected_s) < 0.08


def test_threads_change_nothing():
    speed = random_field_wave_speeds(1, seed=1007)[0][::2, ::2, ::2]
    one, two = (travel_times(speed, 2.0, OFF_GRID, workers=workers) for workers in (1, 2))
    assert (one == two).all()


def test_the_origin_only_shifts_coordinates():
    speed = random_field_wave_speeds(1, seed=1008)[0][::2, ::2, ::2]
    shift = np.array([-40.0, 7.0, -3.0])
    assert np.allclose(travel_times(speed, 2.0, OFF_GRID), travel_times(speed, 2.0, OFF_GRID + shift, shift), atol=1e-5)


def test_the_gradient_of_the_reference_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    for offset in rng.normal(0, 5, (20, 3)):
        args = (6.0, 0.1, -0.05, 0.2)
        _, *gradient = reference(*offset, *args)
        steps = 1e-4 * np.eye(3)
        numeric = [(reference(*(offset + s), *args)[0] - reference(*(offset - s), *args)[0]) / 2e-4 for s in steps]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)
        assert np.linalg.norm(gradient) == pytest.approx(1 / (6.0 + offset @ args[1:]), rel=1e-9)  # eikonal equation


def test_times_near_the_source_need_no_fitting_gradient():
    """To second order the time along a ray does not care which of two nearby rays it is."""
    speed = 5 + 0.3 * np.arange(12)[:, None, None] + 0.2 * np.arange(12) + np.zeros((12, 12, 12))
    source, offset = (5.2, 5.0, 5.1), (1.0, 1.2, -1.4)
    c0 = speed_at(speed, *source)
    exact, *_ = reference(*offset, c0, 0.3, 0.0, 0.2)
    assert time_near(speed, *source, *offset, c0, np.array([0.3, 0.0, 0.2])) == pytest.approx(exact, rel=1e-9)
    assert time_near(speed, *source, *offset, c0, np.zeros(3)) == pytest.approx(exact, rel=1e-3)


def test_refined_speeds_keep_the_nodes_and_are_linear_between():
    speed = random_field_wave_speeds(1, seed=1009)[0][:5, :6, :7].astype(np.float64)
    fine = refined(speed, 3)
    assert fine.shape == (13, 16, 19)
    np.testing.assert_allclose(fine[::3, ::3, ::3], speed)
    np.testing.assert_allclose(fine[1, 0, 0], (2 * speed[0, 0, 0] + speed[1, 0, 0]) / 3)
    assert fine[4, 8, 10] == pytest.approx(speed_at(speed, 4 / 3, 8 / 3, 10 / 3))


def test_a_source_just_outside_is_moved_to_the_face():
    speed = np.full((8, 8, 8), 5.0)
    outside = travel_times(speed, 2.0, [[3.0, 4.0, -0.019]])
    assert np.array_equal(outside, travel_times(speed, 2.0, [[3.0, 4.0, 0.0]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources_km": [[1.0, 1.0, 1.0], [1.0, 1.0, -0.021]]}, "source 1 at .* outside the grid"),
        ({"sources_km": [[1.0, np.nan, 1.0]]}, "finite positions"),
        ({"sources_km": [1.0, 1.0, 1.0]}, "shape"),
        ({"wave_speed_km_s": np.zeros((4, 4, 4))}, "positive at every node"),
        ({"wave_speed_km_s": np.ones((4, 4))}, "nx, ny, nz"),
        ({"spacing_km": 0.0}, "spacing_km is 0"),
        ({"refinement": 0}, "refinement is 0"),
        ({"refinement": 1000}, "lower the refinement"),
    ],
)
def test_unusable_arguments_are_named(change, message):
    arguments = {"wave_speed_km_s": np.full((4, 4, 4), 5.0), "spacing_km": 2.0, "sources_km": [[1.0, 1.0, 1.0]]}
    with pytest.raises(DataError, match=message):
        travel_times(**{**arguments, **change})
