"""The paper's wave speeds: ranges, seeds, and the shapes that the text describes."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.simulate.overthrust import STAND_IN, overthrust
from datamodules.simulate.wave_speeds import (
    background,
    gaussian_perturbation_wave_speeds,
    gaussian_random_field_modes,
    interpolate,
    random_field_wave_speeds,
)

REAL = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "wave_speed" / "overthrust_32.npy"


def test_the_background_grows_with_depth_alone():
    speed = background()
    assert speed.shape == (32, 32, 32)
    assert (speed == speed[0, 0]).all()
    np.testing.assert_allclose(np.diff(speed[0, 0]), 20 / 31, rtol=1e-5)


def test_patterns_span_their_range_and_are_smoother_for_a_steeper_spectrum():
    rough, smooth = (gaussian_random_field_modes(2, alpha, seed=1000) for alpha in (1.5, 3.5))
    for modes in (rough, smooth):
        np.testing.assert_allclose([modes.min((1, 2, 3)), modes.max((1, 2, 3))], [[0, 0], [15, 15]], atol=1e-5)
    assert np.abs(np.diff(smooth, axis=1)).mean() < np.abs(np.diff(rough, axis=1)).mean()


@pytest.mark.parametrize("make", [random_field_wave_speeds, gaussian_perturbation_wave_speeds])
def test_a_wave_speed_depends_on_seed_and_number_alone(make):
    speeds = make(5, seed=1000)
    assert speeds.shape == (5, 32, 32, 32)
    assert speeds.dtype == np.float32
    assert speeds.min() >= 5
    assert speeds.max() <= 25
    assert (make(2, seed=1000) == speeds[:2]).all()
    assert (make(2, seed=1000, first=3) == speeds[3:]).all()
    assert (make(1, seed=1001) != speeds[:1]).any()


def test_random_fields_lie_in_the_span_of_their_patterns():
    """Where nothing is clipped, what is added to the background is a sum of at most two patterns."""
    modes = gaussian_random_field_modes(6, seed=1000).reshape(6, -1)
    for speed in random_field_wave_speeds(4, 6, 2, seed=1000, mode_seed=1000):
        free = ((speed > 5) & (speed < 25)).reshape(-1)
        added = (speed - background()).reshape(-1)[free]
        weights, *_ = np.linalg.lstsq(modes[:, free].T.astype(np.float64), added, rcond=None)
        assert np.abs(modes[:, free].T @ weights - added).max() < 1e-3
        assert 1 <= np.count_nonzero(np.abs(weights) > 1e-4) <= 2
        assert np.abs(weights).max() <= 1


def test_the_number_of_patterns_can_be_fixed_as_in_the_papers_program():
    assert (random_field_wave_speeds(1, min_fields=0, max_fields=0) == background()).all()
    with pytest.raises(DataError, match="must not decrease"):
        random_field_wave_speeds(1, n_modes=2, max_fields=3)


def test_interpolation_between_two_wave_speeds():
    one, other = random_field_wave_speeds(2, seed=1000)
    assert (interpolate(one, other, 0.0) == one).all()
    np.testing.assert_allclose(interpolate(one, other, 0.25), 0.75 * one + 0.25 * other, rtol=1e-6)
    with pytest.raises(DataError, match="between 0 and 1"):
        interpolate(one, other, 1.5)


def test_the_stand_in_is_thrust_like_and_says_what_it_is():
    """Along some vertical lines a fast layer lies on a slower one."""
    speed, provenance = overthrust(None)
    assert provenance == STAND_IN
    assert (speed.min(), speed.max()) == (5, 25)
    drops = np.diff(speed, axis=2).min(axis=2)
    assert (drops < -0.5).mean() > 0.2
    assert speed[..., 0].mean() < speed[..., -1].mean() - 5
    assert np.ptp(speed[:, 16, 8]) > 2  # and none of it is flat


def test_the_overthrust_is_scaled_to_the_papers_range(tmp_path):
    model = np.random.default_rng(0).uniform(0.1, 1.0, (32, 32, 32))
    np.save(tmp_path / "overthrust_32.npy", model)
    speed, provenance = overthrust(tmp_path)
    np.testing.assert_allclose([speed.min(), speed.max()], [5, 25], rtol=1e-6)
    assert np.corrcoef(speed.ravel(), model.ravel())[0, 1] > 0.999999
    assert "overthrust_32.npy" in provenance
    assert (overthrust(tmp_path / "overthrust_32.npy").wave_speed_km_s == speed).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [(np.zeros((32, 32, 31)), "32, 32, 31"), (np.full((32, 32, 32), 2.0), "no wave speed"), (None, "holds no")],
)
def test_what_is_no_overthrust_is_refused(tmp_path, content, message):
    if content is not None:
        np.save(tmp_path / "overthrust_32.npy", content)
    with pytest.raises(DataError, match=message):
        overthrust(tmp_path)


def test_the_real_overthrust_gets_faster_with_depth():
    if not REAL.exists():
        pytest.skip(f"no {REAL.name} beside the project")
    speed, _ = overthrust(REAL)
    assert speed[..., 0].mean() < 12 < speed[..., -1].mean()
