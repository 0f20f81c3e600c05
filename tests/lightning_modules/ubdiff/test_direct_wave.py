"""The direct wave's series against the operator it stands for, and its way through module and checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import direct_wave_cache
from datamodules.errors import DataError
from datamodules.simulate.direct_wave import DirectWaveSeries, direct_wave_series
from datamodules.simulate.wave_equation import fill_with_top_velocity, simulate_gathers
from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.amplitude import to_amplitude, to_normalised
from lightning_modules.ubdiff.direct_wave import DirectWave, direct_wave_table
from lightning_modules.ubdiff.geometry import VELOCITY_CENTRE_M_S, VELOCITY_HALF_RANGE_M_S

STRIDE = 20


def normalised(velocity_m_s: np.ndarray) -> torch.Tensor:
    scaled = (velocity_m_s.astype(np.float32) - VELOCITY_CENTRE_M_S) / VELOCITY_HALF_RANGE_M_S
    return torch.from_numpy(scaled)[:, None]


@pytest.fixture(scope="module")
def series() -> DirectWaveSeries:
    return direct_wave_series(STRIDE)


@pytest.fixture(scope="module")
def direct_wave(series: DirectWaveSeries) -> DirectWave:
    module = DirectWave()
    module.fill(series)
    return module


def relative_l2(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    axes = (1, 2, 3)
    return np.sqrt(((found - wanted) ** 2).sum(axes) / (wanted**2).sum(axes))


def test_the_series_is_the_operator_on_constant_media(direct_wave: DirectWave) -> None:
    random = 1.0 / np.random.default_rng(0).uniform(1 / 4700, 1 / 1450, 5)
    # And on both sides of the intervals' ends, a fast one, and some that are slower than any real map.
    velocity = np.array([*random, 2999.5, 3000.5, 3500.0, 1400.5, 1399.5, 1230.0, 1010.0])
    maps = np.broadcast_to(velocity[:, None, None], (len(velocity), 70, 70)).astype(np.float32)
    exact = simulate_gathers(maps)[:, :, ::STRIDE]
    for gathers in (direct_wave(normalised(maps)), direct_wave.of_one_velocity(normalised(maps))):
        assert relative_l2(gathers.numpy(), exact).max() < 1e-3


def test_one_velocity_is_that_of_the_residual_figures(direct_wave: DirectWave) -> None:
    maps = np.random.default_rng(1).uniform(2000, 2400, (2, 70, 70)).astype(np.float32)
    exact = simulate_gathers(fill_with_top_velocity(maps))[:, :, ::STRIDE]
    assert relative_l2(direct_wave.of_one_velocity(normalised(maps)).numpy(), exact).max() < 1e-3


def test_each_trace_has_the_mean_slowness_of_its_own_path(direct_wave: DirectWave) -> None:
    velocity = np.full((1, 70, 70), 2000.0, np.float32)
    velocity[:, :, 35:] = 3100.0
    gathers = direct_wave(normalised(velocity))
    # Shot 0 stands in column 0, shot 4 in column 69: traces that stay on one side know nothing of the other.
    slow = direct_wave(normalised(np.full((1, 70, 70), 2000.0)))
    fast = direct_wave(normalised(np.full((1, 70, 70), 3100.0)))
    torch.testing.assert_close(gathers[:, 0, :, :35], slow[:, 0, :, :35], rtol=0, atol=2e-3)
    torch.testing.assert_close(gathers[:, 4, :, 36:], fast[:, 4, :, 36:], rtol=0, atol=2e-3)
    # From end to end: 34.5 cells of one slowness and 34.5 of the other, whichever way the wave runs.
    mean = 2.0 / (1.0 / 2000.0 + 1.0 / 3100.0)
    between = direct_wave(normalised(np.full((1, 70, 70), mean)))
    torch.testing.assert_close(gathers[:, 0, :, 69], between[:, 0, :, 69], rtol=0, atol=2e-3)
    torch.testing.assert_close(gathers[:, 4, :, 0], between[:, 4, :, 0], rtol=0, atol=2e-3)


def test_velocities_beyond_the_table_and_gradients_stay_finite(direct_wave: DirectWave) -> None:
    maps = torch.linspace(-3.0, 3.0, 9).view(9, 1, 1, 1).repeat(1, 1, 70, 70).requires_grad_()
    gathers = direct_wave(maps)
    gathers.square().sum().backward()  # type: ignore[no-untyped-call]
    assert gathers.isfinite().all()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_no_map_gives_no_gather_and_what_is_no_number_no_wave(direct_wave: DirectWave) -> None:
    assert direct_wave(torch.zeros(0, 1, 70, 70)).shape == (0, 5, 1000 // STRIDE, 70)
    assert not torch.nan_to_num(direct_wave(torch.full((1, 1, 70, 70), torch.nan))).any()


def test_the_gradient_is_that_of_finite_differences(direct_wave: DirectWave) -> None:
    maps = torch.full((1, 1, 70, 70), -0.3, requires_grad=True)
    weight = torch.randn(1, 5, 1000 // STRIDE, 70, generator=torch.Generator().manual_seed(0))
    (direct_wave(maps) * weight).sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    with torch.no_grad():
        ends = [(direct_wave(maps + step) * weight).sum() for step in (-2e-3, 2e-3)]
    assert float(maps.grad.sum()) == pytest.approx(float(ends[1] - ends[0]) / 4e-3, rel=2e-2)


def test_a_fresh_module_takes_the_table_of_a_checkpoint(direct_wave: DirectWave) -> None:
    fresh = DirectWave()
    assert not fresh.is_filled
    fresh.load_state_dict(direct_wave.state_dict())
    assert fresh.is_filled
    assert torch.equal(fresh.coefficients, direct_wave.coefficients)


def test_amplitude_and_normalised_undo_each_other() -> None:
    amplitude = torch.tensor([-26.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 52.0])
    back = to_amplitude(to_normalised(amplitude, -3.33, 3.985), -3.33, 3.985)
    torch.testing.assert_close(back, amplitude, rtol=1e-5, atol=1e-6)


def test_the_cache_keeps_the_series_and_refuses_a_stranger(
    tmp_path: Path, series: DirectWaveSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make(time_stride: int, *, workers: int) -> DirectWaveSeries:
        made.append(time_stride)
        return series

    monkeypatch.setattr(direct_wave_cache, "direct_wave_series", make)
    first = direct_wave_cache.cached_direct_wave(tmp_path, STRIDE)
    second = direct_wave_cache.cached_direct_wave(tmp_path, STRIDE)
    assert made == [STRIDE]
    for one, two, whole in zip(first, second, series, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one, whole)
    (path,) = (tmp_path / "openfwi").glob("*.npy")
    np.save(path, np.zeros(3))
    with pytest.raises(DataError, match="remove it"):
        direct_wave_cache.cached_direct_wave(tmp_path, STRIDE)


def test_a_data_module_without_a_table_is_named() -> None:
    with pytest.raises(ModuleError, match="direct_wave_table"):
        direct_wave_table(object())
