"""Travel times of rays that go down: closed forms, Fermat's bound, and the waves that are not followed."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff.one_way_times import NODE_STEP
from lightning_modules.ubdiff.one_way_times import one_way_times as times_by_node

NODES = torch.arange(1, 70, NODE_STEP)
SOURCES = NODES[4:20]
DEPTH_M = 5.0 + 10.0 * torch.arange(68)


def offsets_m() -> Tensor:
    return 10.0 * (NODES - SOURCES[:, None]).float()


def one_way_times(speed: Tensor, sources: Tensor, nodes: Tensor) -> Tensor:
    """`(map, interface, source, node)`."""
    return times_by_node(speed, sources, nodes).transpose(2, 3)


def test_a_homogeneous_medium_has_straight_rays() -> None:
    times = one_way_times(torch.full((1, 70, 70), 2000.0), SOURCES, NODES)[0]
    exact = (offsets_m().square() + DEPTH_M[:, None, None].square()).sqrt() / 2000.0
    error = times - exact
    steep = offsets_m().abs() < 2.5 * DEPTH_M[:, None, None]
    assert float(error[steep].abs().max()) < 1e-4
    assert float(error.abs().max()) < 2.5e-3  # nearly along the surface, where a ray is of two pieces
    assert float(error.min()) > -1e-4


def test_layers_refract_as_snell_says() -> None:
    speed = torch.full((1, 70, 70), 1800.0)
    speed[:, 21:], speed[:, 41:] = 2400.0, 3200.0
    times = one_way_times(speed, SOURCES, NODES)[0]
    thickness, speeds = (195.0, 200.0, 150.0), (1800.0, 2400.0, 3200.0)
    source = 0
    for ray_parameter in (0.0, 1e-4, 2e-4, 2.6e-4):
        cosine = [math.sqrt(1.0 - (ray_parameter * v) ** 2) for v in speeds]
        offset = sum(h * ray_parameter * v / c for h, v, c in zip(thickness, speeds, cosine, strict=True))
        time = sum(h / (v * c) for h, v, c in zip(thickness, speeds, cosine, strict=True))
        below = 54  # 545 m: 150 m into the third layer
        found = np.interp(offset, offsets_m()[source], times[below, source])
        assert found == pytest.approx(time, abs=5e-4)


def test_a_constant_gradient_bends_rays_to_circles() -> None:
    """T = arccosh(1 + |g|^2 d^2 / (2 v_1 v_2)) / |g| for speed v + g . x (Slotnick 1959)."""
    right, down = 0.8, 0.6  # m/s a metre
    x, z = 10.0 * torch.arange(70).double(), 10.0 * (torch.arange(70).double() - 1.0)
    speed = (2000.0 + right * x[None] + down * z[:, None]).float()[None]
    times = one_way_times(speed, SOURCES, NODES)[0]
    at_source = 2000.0 + right * x[SOURCES][:, None]
    at_node = 2000.0 + right * x[NODES] + down * DEPTH_M[:, None, None]
    squared = offsets_m().square() + DEPTH_M[:, None, None].square()
    gradient = math.hypot(right, down)
    exact = torch.arccosh(1.0 + gradient**2 * squared / (2.0 * at_source * at_node)) / gradient
    steep = (offsets_m().abs() < 2.0 * DEPTH_M[:, None, None]) & (DEPTH_M[:, None, None] > 20.0)
    assert float((times - exact)[steep].abs().max()) < 1e-3


def test_no_straight_line_is_faster() -> None:
    rng = np.random.default_rng(0)
    steps = torch.tensor(rng.normal(size=(2, 70, 1)).cumsum(axis=1)).float()
    lateral = torch.tensor(rng.normal(size=(2, 1, 70)).cumsum(axis=2)).float()
    speed = 2500.0 + 60.0 * (steps - steps.mean()) + 60.0 * (lateral - lateral.mean())
    times = one_way_times(speed, SOURCES, NODES)
    for sample in range(2):
        for interface in (11, 38, 60):
            for source in (0, 7, 15):
                for node in range(0, len(NODES), 3):
                    n = 2000
                    along = (torch.arange(n) + 0.5) / n
                    row = (1.5 + along * (interface + 0.5)).long()
                    column = (SOURCES[source] + 0.5 + along * (NODES[node] - SOURCES[source])).long()
                    length = math.hypot(float(offsets_m()[source, node]), float(DEPTH_M[interface]))
                    straight = float((1.0 / speed[sample, row, column]).mean()) * length
                    assert float(times[sample, interface, source, node]) < straight * 1.003


def test_head_waves_are_not_followed() -> None:
    """Far from the source, just above a fast layer, the wave through the slow one arrives."""
    speed = torch.full((1, 70, 70), 1500.0)
    speed[:, 22:] = 4500.0
    times = one_way_times(speed, NODES[:1], NODES)[0, 14, 0]  # 145 m deep, the fast layer begins at 205 m
    direct = math.hypot(float(10.0 * (NODES[-1] - NODES[0])), 145.0) / 1500.0
    head = 660.0 / 4500.0 + (205.0 + 60.0) * math.sqrt(1 / 1500.0**2 - 1 / 4500.0**2)
    assert head < 0.7 * direct
    assert float(times[-1]) == pytest.approx(direct, rel=5e-3)


def test_a_map_has_the_same_times_in_any_company() -> None:
    torch.manual_seed(0)
    speed = 1500.0 + 3000.0 * torch.rand(3, 70, 70)
    together = one_way_times(speed, SOURCES, NODES)
    for sample in range(3):
        alone = one_way_times(speed[sample : sample + 1], SOURCES, NODES)
        torch.testing.assert_close(together[sample : sample + 1], alone, rtol=1e-5, atol=1e-6)


def test_threads_do_not_matter() -> None:
    torch.manual_seed(0)
    speed = 1500.0 + 3000.0 * torch.rand(3, 70, 70)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = one_way_times(speed, SOURCES, NODES)
        torch.set_num_threads(2)
        assert torch.equal(one_way_times(speed, SOURCES, NODES), alone)
    finally:
        torch.set_num_threads(before)
