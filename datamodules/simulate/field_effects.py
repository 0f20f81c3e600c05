"""What field recordings have and simulated gathers have not, as pure functions with seeds.

All take gathers `(n, shot, time, receiver)` in raw amplitude, float32, and give new ones of the same shape. Spectra are
taken along time over twice its length, so that what a filter smears over the end does not come back at the start.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from datamodules.simulate.wave_equation import PEAK_FREQUENCY_HZ

Gathers = npt.NDArray[np.float32]
Effect = Callable[[Gathers, float, int], Gathers]
"""Gathers, time step in s, seed -> gathers."""


def coloured_noise(gathers: Gathers, snr_db: float, *, exponent: float = 1.0, seed: int = 0) -> Gathers:
    """Add noise whose power falls as 1 / f^exponent.

    The ratio is that of the mean powers of a map's five shots, direct wave included, to the noise added to them: the
    reflections lie well below it. Map i's noise depends on `seed` and i alone.

    Args:
        gathers: `(n, shot, time, receiver)`.
        snr_db: 10 log10 of signal power over noise power.
        exponent: 0 is white, 1 pink, 2 brown.
        seed: Seed of the noise.
    """
    noisy = np.empty_like(gathers)
    n_time = gathers.shape[2]
    frequency = np.fft.rfftfreq(n_time)
    frequency[0] = np.inf  # a recorder keeps no constant
    shape = (frequency ** (-exponent / 2)).astype(np.float32)[:, None]
    for i, gather in enumerate(gathers):
        white = np.random.default_rng([seed, i]).standard_normal(gather.shape, dtype=np.float32)
        noise = np.fft.irfft(np.fft.rfft(white, axis=1) * shape, n_time, axis=1)
        power, noise_power = np.mean(np.square(gather), dtype=np.float64), np.mean(np.square(noise), dtype=np.float64)
        noisy[i] = gather + noise * math.sqrt(power / max(noise_power, 1e-30) / 10 ** (snr_db / 10))
    return noisy


def dead_traces(gathers: Gathers, fraction: float, *, seed: int = 0) -> Gathers:
    """Silence some receivers of each map, the same ones in all of its shots.

    Args:
        gathers: `(n, shot, time, receiver)`.
        fraction: Of the receivers, 0..1, rounded to whole ones.
        seed: Which ones, with the map's number.
    """
    thinned = gathers.copy()
    n_receivers = gathers.shape[3]
    for i in range(len(gathers)):
        dead = np.random.default_rng([seed, i]).permutation(n_receivers)[: round(fraction * n_receivers)]
        thinned[i, :, :, dead] = 0.0
    return thinned


def band_limit(
    gathers: Gathers, time_step_s: float, *, low_cut_hz: float | None = None, high_cut_hz: float | None = None
) -> Gathers:
    """Take frequencies away, with no phase: field data lack the low ones, and attenuation takes the high ones.

    Butterworth amplitudes of order 4: 1 / sqrt(2) at a cut, 24 dB an octave beyond it.

    Args:
        gathers: `(n, shot, time, receiver)`.
        time_step_s: Sampling, s.
        low_cut_hz: Below it nothing is left; None keeps all.
        high_cut_hz: Above it nothing is left; None keeps all.
    """

    def response(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
        gain = np.ones(frequency_hz.shape, np.complex128)
        if low_cut_hz is not None:
            ratio = (frequency_hz / low_cut_hz) ** 8
            gain *= np.sqrt(ratio / (1.0 + ratio))
        if high_cut_hz is not None:
            gain /= np.sqrt(1.0 + (frequency_hz / high_cut_hz) ** 8)
        return gain

    return _filtered(gathers, time_step_s, response)


def wrong_wavelet(
    gathers: Gathers, time_step_s: float, *, peak_frequency_hz: float = PEAK_FREQUENCY_HZ, phase_deg: float = 0.0
) -> Gathers:
    """Gathers as another wavelet would have made them: a Ricker of another peak frequency, turned in phase.

    A Ricker wavelet of unit peak has the spectrum 2 / sqrt(pi) f^2 / f_p^3 exp(-f^2 / f_p^2), so that dividing one by
    another is a closed form, without noise. For a higher peak frequency it grows without bound: it is held at its
    value where the old wavelet's spectrum has fallen to a thousandth of its largest (the water level).

    Args:
        gathers: `(n, shot, time, receiver)`, from a Ricker wavelet of 15 Hz.
        time_step_s: Sampling, s.
        peak_frequency_hz: The other wavelet's.
        phase_deg: Its constant phase; 180 turns the sign.
    """
    old, new = PEAK_FREQUENCY_HZ, peak_frequency_hz
    squared = np.linspace(1.0, 16.0, 4096)  # (f / old)^2 beyond the peak, where x exp(-x) falls
    water = squared[np.argmax(squared * np.exp(1.0 - squared) < 1e-3)]

    def response(frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
        held = np.minimum(frequency_hz / old, math.sqrt(water)) * old if new > old else frequency_hz
        gain = (old / new) ** 3 * np.exp((held / old) ** 2 - (held / new) ** 2)
        return np.asarray(gain * np.exp(1j * math.radians(phase_deg)), dtype=np.complex128)

    return _filtered(gathers, time_step_s, response)


def _filtered(
    gathers: Gathers,
    time_step_s: float,
    response: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.complex128]],
) -> Gathers:
    n_time = gathers.shape[2]
    n_padded = 2 * n_time
    gain = response(np.asarray(np.fft.rfftfreq(n_padded, time_step_s), dtype=np.float64))
    gain[[0, -1]] = gain[[0, -1]].real  # the constant and the Nyquist frequency have no phase
    filtered = np.empty_like(gathers)
    for i, gather in enumerate(gathers):
        spectrum = np.fft.rfft(gather, n_padded, axis=1) * gain[:, None]
        filtered[i] = np.fft.irfft(spectrum, n_padded, axis=1)[:, :n_time]
    return filtered


FIELD_EFFECTS: dict[str, Effect] = {
    "noise_30_db": lambda gathers, step, seed: coloured_noise(gathers, 30.0, seed=seed),
    "noise_20_db": lambda gathers, step, seed: coloured_noise(gathers, 20.0, seed=seed),
    "dead_traces_10_percent": lambda gathers, step, seed: dead_traces(gathers, 0.1, seed=seed),
    "dead_traces_20_percent": lambda gathers, step, seed: dead_traces(gathers, 0.2, seed=seed),
    "low_cut_5_hz": lambda gathers, step, seed: band_limit(gathers, step, low_cut_hz=5.0),
    "high_cut_20_hz": lambda gathers, step, seed: band_limit(gathers, step, high_cut_hz=20.0),
    "wavelet_14_hz": lambda gathers, step, seed: wrong_wavelet(gathers, step, peak_frequency_hz=14.0),
    "wavelet_16_hz": lambda gathers, step, seed: wrong_wavelet(gathers, step, peak_frequency_hz=16.0),
    "wavelet_turned_45_degrees": lambda gathers, step, seed: wrong_wavelet(gathers, step, phase_deg=45.0),
}
"""The effects that inversion networks are judged under, by name: mild ones, for what is stronger leaves a network that
never met it with errors larger than those of no inversion at all."""
