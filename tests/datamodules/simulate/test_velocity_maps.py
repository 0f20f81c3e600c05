from pathlib import Path

import numpy as np
import pytest

from datamodules.simulate import velocity_maps
from datamodules.simulate.velocity_maps import SYNTHETIC_FAMILIES, curve_velocity_maps, flat_velocity_maps

REAL_MAPS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "openfwi"
FAMILIES = sorted(SYNTHETIC_FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_maps_are_whole_layers_that_get_faster_with_depth(family):
    maps = SYNTHETIC_FAMILIES[family](300, np.random.default_rng(0))
    assert maps.shape == (300, 70, 70)
    assert maps.dtype == np.float32
    assert maps.min() >= 1500
    assert maps.max() <= 4500
    assert (maps == np.round(maps)).all()
    assert (np.diff(maps, axis=1) >= 0).all()
    assert {len(np.unique(m)) for m in maps} >= {4, 5, 6, 7}


def test_flat_layers_are_flat_and_evenly_spaced():
    maps = flat_velocity_maps(500, np.random.default_rng(1))
    assert (maps == maps[:, :, :1]).all()
    for profile in maps[:, :, 0]:
        interfaces = np.flatnonzero(np.diff(profile)) + 1
        # h + U(-1, 1) from one to the next, rounded twice, h = 70 / L, L of 3..7; doubled where velocities coincide
        steps = np.diff(interfaces)
        assert any(all(abs(s - h) <= 2 or abs(s - 2 * h) <= 3 for s in steps) for h in 70 / np.arange(3, 8))


def test_the_first_interface_lies_within_half_a_spacing():
    first = np.array(
        [np.flatnonzero(np.diff(m[:, 0]))[0] + 1 for m in flat_velocity_maps(2000, np.random.default_rng(2))]
    )
    assert first.min() == 5  # h / 2 for the thinnest layers
    assert np.percentile(first, 99) <= 35  # 3 h / 2 for the thickest, but for two layers of one velocity


def test_curves_swing_more_on_the_right():
    maps = curve_velocity_maps(400, np.random.default_rng(3))
    slope = np.abs(np.diff((maps == maps[:, :1, :1]).sum(axis=1), axis=1)).mean(axis=0)
    assert slope[45:65].mean() > 1.5 * slope[:20].mean()


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_spline_reproduces_a_parabola(power):
    knots = np.array(velocity_maps.KNOT_COLUMNS, float)
    columns = np.arange(70) + velocity_maps.FIRST_COLUMN
    np.testing.assert_allclose(velocity_maps._spline_matrix() @ knots**power, columns**power, rtol=1e-9, atol=1e-9)


def test_the_spline_is_a_chain_of_parabolas_with_one_slope():
    """The same curve piece by piece: each parabola starts with the slope that the last one ended with."""
    knots = np.array(velocity_maps.KNOT_COLUMNS, float)
    depths = np.random.default_rng(4).uniform(10, 30, 8)
    columns = np.arange(70) + velocity_maps.FIRST_COLUMN
    first = np.polyfit(knots[:3], depths[:3], 2)
    wanted = np.polyval(first, columns)
    slope = np.polyval(np.polyder(first), knots[2])
    for k in range(2, 7):
        width = knots[k + 1] - knots[k]
        curvature = (depths[k + 1] - depths[k] - slope * width) / width**2
        here = columns > knots[k]
        wanted[here] = (depths[k] + slope * (columns - knots[k]) + curvature * (columns - knots[k]) ** 2)[here]
        slope += 2 * curvature * width
    np.testing.assert_allclose(velocity_maps._spline_matrix() @ depths, wanted, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_seed_fixes_the_maps_and_more_maps_keep_the_first_ones(family):
    draw = SYNTHETIC_FAMILIES[family]
    few, many = draw(5, np.random.default_rng(6)), draw(9, np.random.default_rng(6))
    np.testing.assert_array_equal(few, many[:5])
    assert not np.array_equal(few, draw(5, np.random.default_rng(7)))
    assert draw(0, np.random.default_rng(0)).shape == (0, 70, 70)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_negative_number_of_maps_is_refused(family):
    with pytest.raises(ValueError, match="n must be 0 or more, found -1"):
        SYNTHETIC_FAMILIES[family](-1, np.random.default_rng(0))


def frechet(a, b):
    product = np.linalg.eigvals(np.cov(a.T) @ np.cov(b.T)).real
    spread = np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * np.sqrt(np.maximum(product, 0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + spread


@pytest.mark.parametrize("family", FAMILIES)
def test_synthetic_maps_are_as_close_to_real_ones_as_real_ones_are(family):
    folder = REAL_MAPS / family / "model"
    if not folder.exists():
        pytest.skip(f"no real maps at {folder}")
    grid = np.arange(5, 70, 10)
    files = sorted(folder.glob("model*.npy"))[:8]
    real = np.concatenate([np.load(f, mmap_mode="r")[:, 0][:, grid][:, :, grid] for f in files]) / 1000.0
    real = np.random.default_rng(0).permutation(real.reshape(len(real), -1)).reshape(4, -1, 49)
    drawn = SYNTHETIC_FAMILIES[family](4000, np.random.default_rng(0))[:, grid][:, :, grid] / 1000.0
    drawn = drawn.reshape(4, -1, 49)
    floor = np.mean([frechet(real[i], real[j]) for i in range(4) for j in range(i)])
    found = np.mean([frechet(real[i], drawn[j]) for i in range(4) for j in range(4)])
    assert found < 1.35 * floor
