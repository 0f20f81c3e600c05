"""Field effects against closed forms: spectra, power, and the wavelets themselves."""

import numpy as np
import pytest

from datamodules.simulate.field_effects import (
    FIELD_EFFECTS,
    band_limit,
    coloured_noise,
    dead_traces,
    wrong_wavelet,
)

STEP_S = 0.004
N_TIME = 250


def ricker(peak_hz: float, centre_s: float = 0.5) -> np.ndarray:
    squared = (np.pi * peak_hz * (np.arange(N_TIME) * STEP_S - centre_s)) ** 2
    return (1 - 2 * squared) * np.exp(-squared)


def gathers_of(trace: np.ndarray) -> np.ndarray:
    """One gather of five shots and three receivers, each the same trace."""
    return np.broadcast_to(trace[None, None, :, None], (1, 5, len(trace), 3)).astype(np.float32).copy()


@pytest.fixture
def gathers():
    return np.random.default_rng(0).standard_normal((4, 5, N_TIME, 70), dtype=np.float32)


@pytest.mark.parametrize("name", FIELD_EFFECTS)
def test_effects_change_a_copy_and_depend_on_seed_and_number(gathers, name):
    before = gathers.copy()
    effect = FIELD_EFFECTS[name]
    changed = effect(gathers, STEP_S, 1)
    np.testing.assert_array_equal(gathers, before)
    assert changed.dtype == np.float32
    assert changed.shape == gathers.shape
    assert not np.array_equal(changed, gathers)
    np.testing.assert_array_equal(effect(gathers, STEP_S, 1), changed)
    np.testing.assert_allclose(effect(gathers[:2], STEP_S, 1), changed[:2], atol=1e-6)
    random = name.startswith(("noise", "dead"))
    assert np.array_equal(effect(gathers, STEP_S, 2), changed) != random


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_the_noise_has_the_power_asked_for(gathers, snr_db):
    gathers *= np.array([1, 2, 3, 4], np.float32)[:, None, None, None]
    noise = (coloured_noise(gathers, snr_db) - gathers).astype(float)
    signal_power, noise_power = (np.square(each).mean(axis=(1, 2, 3)) for each in (gathers, noise))
    np.testing.assert_allclose(10 * np.log10(signal_power / noise_power), snr_db, atol=1e-3)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_noise_has_the_colour_asked_for(exponent):
    gathers = np.ones((1, 5, 1000, 70), np.float32)
    noise = coloured_noise(gathers, 0.0, exponent=exponent) - gathers
    power = np.square(np.abs(np.fft.rfft(noise, axis=2))).mean(axis=(0, 1, 3))
    number = np.arange(len(power))
    middle = slice(5, 400)
    slope, _ = np.polyfit(np.log(number[middle]), np.log(power[middle]), 1)
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_dead_receivers_are_silent_in_all_shots_and_the_rest_untouched(gathers):
    thinned = dead_traces(gathers, 0.3, seed=2)
    dead = ~thinned.any(axis=2)  # (map, shot, receiver)
    assert (dead.sum(axis=2) == 21).all()
    assert (dead == dead[:, :1]).all()
    assert not (dead[0, 0] == dead[1, 0]).all()
    np.testing.assert_array_equal(np.where(dead[:, :, None], gathers, thinned), gathers)


@pytest.mark.parametrize("frequency_hz", [2.0, 5.0, 12.0, 20.0, 40.0])
def test_a_wave_in_the_middle_of_the_record_keeps_what_butterworth_leaves(frequency_hz):
    time_s = np.arange(2000) * STEP_S
    envelope = np.exp(-(((time_s - 4.0) / 1.0) ** 2))
    wave = gathers_of(envelope * np.cos(2 * np.pi * frequency_hz * time_s))
    filtered = band_limit(wave, STEP_S, low_cut_hz=5.0, high_cut_hz=20.0)
    order = 8
    gain = 1 / np.sqrt((1 + (5 / frequency_hz) ** order) * (1 + (frequency_hz / 20) ** order))
    found = float((filtered * wave).sum() / (wave * wave).sum())  # in phase, or this would be smaller
    assert found == pytest.approx(gain, rel=0.05, abs=1e-3)


@pytest.mark.parametrize("peak_hz", [8.0, 12.0, 18.0])
def test_a_ricker_becomes_a_ricker_of_the_other_frequency(peak_hz):
    changed = wrong_wavelet(gathers_of(ricker(15.0)), STEP_S, peak_frequency_hz=peak_hz)
    np.testing.assert_allclose(changed[0, 0, :, 0], ricker(peak_hz), atol=2e-3)


def test_the_same_wavelet_changes_nothing_and_half_a_turn_the_sign(gathers):
    np.testing.assert_allclose(wrong_wavelet(gathers, STEP_S), gathers, atol=1e-5)
    trace = gathers_of(ricker(15.0))
    np.testing.assert_allclose(wrong_wavelet(trace, STEP_S, phase_deg=180.0), -trace, atol=1e-4)
    quarter = wrong_wavelet(trace, STEP_S, phase_deg=90.0)
    assert abs(float((quarter * trace).sum() / (trace * trace).sum())) < 1e-3
    assert np.square(quarter).sum() == pytest.approx(np.square(trace).sum(), rel=1e-2)


def test_a_higher_frequency_does_not_blow_up_what_the_old_wavelet_lacks(gathers):
    # White noise holds every frequency alike: what is far above the wavelet's own must stay bounded.
    changed = wrong_wavelet(gathers, STEP_S, peak_frequency_hz=18.0)
    assert np.abs(changed).max() < 20 * np.abs(gathers).max()


def test_what_a_filter_moves_past_the_end_does_not_return_at_the_start():
    late = gathers_of(ricker(15.0, centre_s=0.95))
    for changed in (band_limit(late, STEP_S, low_cut_hz=5.0), wrong_wavelet(late, STEP_S, peak_frequency_hz=12.0)):
        assert np.abs(changed[:, :, :50]).max() < 0.03
