"""Reflecting points: where interfaces are found, which way they face, and how much of them each point stands for."""

import math

import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff.one_way_times import NODE_STEP
from lightning_modules.ubdiff.rays import MARGIN, Legs, legs_of, medium_of


def normalised(speed: Tensor) -> Tensor:
    return ((speed - 3000.0) / 1500.0)[None, None]


def layered(*layers: tuple[int, float]) -> Tensor:
    """Normalised map of flat layers, each from a row on at a velocity in m/s."""
    speed = torch.zeros(70, 70)
    for row, velocity in layers:
        speed[row:] = velocity
    return normalised(speed)


def dipping(slope: float, above: float = 2000.0, below: float = 2600.0) -> Tensor:
    """An interface through the middle of the map that falls by `slope` rows a column."""
    row, column = torch.arange(70.0)[:, None], torch.arange(70.0)
    return normalised(torch.where(row > 34.5 + slope * (column - 34.5), below, above))


def legs(velocity: Tensor, least: float = 1e-3) -> Legs:
    return legs_of(medium_of(velocity), least)


def test_a_flat_interface_is_a_row_of_points_with_straight_legs() -> None:
    found = legs(layered((0, 2000.0), (31, 2600.0)))
    nodes = torch.arange((MARGIN + 1) % NODE_STEP, 70 + 2 * MARGIN, NODE_STEP) - MARGIN
    assert len(found.sample) == len(nodes)
    depth = 10.0 * 29.5  # from row 1 to between rows 30 and 31
    offset = 10.0 * (nodes[:, None] - torch.arange(70.0))
    length = (offset.square() + depth**2).sqrt()
    inside = (nodes > -20) & (nodes < 90)
    torch.testing.assert_close(found.time_s[inside], (length / 2000.0)[inside], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sine[inside], (offset / length)[inside], rtol=0, atol=5e-3)
    torch.testing.assert_close(found.normal_cosine[inside], (depth / length)[inside], rtol=0, atol=5e-3)
    assert (found.v_above == 2000.0).all()
    assert (found.v_below == 2600.0).all()


def test_points_fade_out_beyond_the_sides() -> None:
    weight = legs(layered((0, 2000.0), (31, 2600.0))).weight
    on_map = weight[MARGIN // NODE_STEP : -(MARGIN // NODE_STEP)]
    torch.testing.assert_close(on_map, torch.ones_like(on_map), rtol=0, atol=1e-2)
    left = weight[: MARGIN // NODE_STEP]
    assert (left.diff() > 0).all()
    assert float(left[0]) < 0.05


def test_what_an_interface_lets_through_is_lost_twice() -> None:
    found = legs(layered((0, 2000.0), (21, 3000.0), (41, 2500.0)))
    deep = found.weight[found.v_above == 3000.0][MARGIN // NODE_STEP + 2]
    assert float(deep) == pytest.approx(1.0 - 0.2**2, abs=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.3, -0.5, 1.0, -2.0, 4.0])
def test_a_dipping_interface_counts_by_its_length_and_faces_where_it_does(slope: float) -> None:
    found = legs(dipping(slope))
    total_m = 10.0 * NODE_STEP * float(found.weight.sum())
    if abs(slope) < 1.0:  # it leaves at the sides, and goes on flat in the margins
        margins_m = 10.0 * NODE_STEP * float(legs(dipping(0.0)).weight.sum()) - 700.0
        assert total_m == pytest.approx(margins_m + 700.0 * math.hypot(1.0, slope), rel=0.02)
    else:  # it leaves at the top, from the surface on, and at the bottom
        assert total_m == pytest.approx(685.0 * math.hypot(1.0, 1.0 / slope), rel=0.02)
    inside = (found.sine[:, 0] > 0) & (found.sine[:, -1] < 0)
    weight = found.weight[inside]
    angle = math.atan(slope)
    normal_x, normal_z = found.features[inside, 0, 4], found.features[inside, 0, 5]
    right_way = (normal_x + math.sin(angle)).abs() + (normal_z - math.cos(angle)).abs() < 0.2
    assert float(weight[right_way].sum() / weight.sum()) > 0.8
    heavy = found.weight > 0.2
    assert (found.v_above[heavy] == 2000.0).all()
    assert (found.v_below[heavy] == 2600.0).all()


def test_a_gradual_change_is_one_point_in_its_middle() -> None:
    sharp = legs(layered((0, 2000.0), (31, 2600.0)))
    gradual = legs(layered((0, 2000.0), (30, 2150.0), (31, 2450.0), (32, 2600.0)))
    assert len(gradual.sample) == len(sharp.sample)
    torch.testing.assert_close(gradual.v_above, sharp.v_above)
    torch.testing.assert_close(gradual.v_below, sharp.v_below)
    steep = sharp.cosine > 0.45  # a flatter way runs along in the first of the steps
    torch.testing.assert_close(gradual.time_s[steep], sharp.time_s[steep], rtol=5e-3, atol=1e-3)


def test_a_step_between_two_larger_ones_joins_the_larger() -> None:
    found = legs(layered((0, 2000.0), (30, 2300.0), (31, 2350.0), (32, 2800.0)))
    pairs = sorted({(float(a), float(b)) for a, b in zip(found.v_above, found.v_below, strict=True)})
    assert pairs == [(2000.0, 2300.0), (2300.0, 2800.0)]
    columns = range((MARGIN + 1) % NODE_STEP, 70 + 2 * MARGIN, NODE_STEP)
    assert len(found.sample) == 2 * len(columns)


def test_opposite_changes_do_not_join() -> None:
    found = legs(layered((0, 2000.0), (30, 2600.0), (31, 2100.0)))
    pairs = {(float(a), float(b)) for a, b in zip(found.v_above, found.v_below, strict=True)}
    assert pairs == {(2000.0, 2600.0), (2600.0, 2100.0)}


def test_a_homogeneous_map_has_no_points() -> None:
    found = legs(layered((0, 2000.0)))
    assert not len(found.sample)
    assert found.features.shape[1] == 70


def test_a_mirrored_map_has_mirrored_legs() -> None:
    torch.manual_seed(0)
    row, column = torch.arange(70.0)[:, None], torch.arange(70.0)
    speed = torch.where(row > 30.0 + 8.0 * torch.sin(column / 9.0), 2700.0, 1900.0)
    there, back = legs(normalised(speed)), legs(normalised(speed.flip(1)))
    assert float(there.weight.sum()) == pytest.approx(float(back.weight.sum()), rel=0.03)  # points in other columns
    assert float(there.time_s.min()) == pytest.approx(float(back.time_s.min()), rel=0.02)
