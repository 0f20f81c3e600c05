"""Straight ways through maps, against sums by hand."""

import torch

from lightning_modules.ubdiff.geometry import SURFACE_ROW
from lightning_modules.ubdiff.straight_ways import straight_ways

SURFACE = torch.arange(70)


def test_a_homogeneous_map_is_clear_everywhere() -> None:
    speed = torch.full((1, 70, 70), 2000.0)
    sample, column, depth = torch.tensor([0, 0]), torch.tensor([3.0, 40.5]), torch.tensor([1.0, 50.0])
    mean, spread = straight_ways(speed, sample, column, depth, SURFACE)
    assert mean.shape == spread.shape == (2, 70)
    torch.testing.assert_close(mean, torch.full((2, 70), 1.0 / 2000.0))
    assert float(spread.abs().max()) < 1e-6


def test_a_vertical_way_has_the_layers_mean() -> None:
    speed = torch.full((1, 70, 70), 2000.0)
    speed[:, SURFACE_ROW + 20 :] = 4000.0
    mean, spread = straight_ways(speed, torch.tensor([0]), torch.tensor([30.0]), torch.tensor([40.0]), SURFACE)
    # 19.5 cells above the change; of the 40 cells the last is left out, and 32 places are read.
    wanted = (19.5 / 2000.0 + (38.8 - 19.5) / 4000.0) / 38.8
    assert abs(float(mean[0, 30]) - wanted) < 0.03 * wanted
    assert abs(float(spread[0, 30]) - (1 / 2000.0 - 1 / 4000.0) / wanted) < 0.03


def test_what_lies_beside_the_way_does_not_count() -> None:
    speed = torch.full((2, 70, 70), 1500.0)
    speed[1, :, 40:43] = 4500.0  # a wall from top to bottom
    points = torch.tensor([1, 0]), torch.tensor([20.0, 20.0]), torch.tensor([30.0, 30.0])
    _, spread = straight_ways(speed, *points, SURFACE)
    assert float(spread[0, :40].abs().max()) < 1e-6
    assert float(spread[0, 45:].min()) > 0.5
    assert float(spread[1].abs().max()) < 1e-6
