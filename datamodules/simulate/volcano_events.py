"""Synthetic volcano-seismic events: vertical-component records of LP and VT events at a given volcano.

- LP: a few damped modes with inharmonic overtones, excited by slow noise, under a weak high-frequency onset.
- VT: noise bursts for P and S and a coda that decays band by band, `t^-1 exp(-pi f t / Qc)`, `Qc = Q0 f^n` (Aki and
  Chouet 1975), with the omega-squared velocity spectrum `f / (1 + (f / fc)^2)` (Brune 1970).
- Path and station: `exp(-pi f t*)`, resonances of the site, coloured noise with a microseism, a second-order
  instrument, anti-alias filter and digitiser, the volcano's own storage.

An event depends on `(seed, volcano, class, number)` alone. The record's length is drawn without regard to the class.
Parameters stand in `volcano_parameters`.
"""

import zlib
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, sosfilt

from datamodules.simulate.volcano_parameters import Acquisition, LongPeriodSource, Path, VolcanoParameters

LP, VT = 0, 1
RECORD_S = 60.0
RATE_HZ = 100.0
N_SAMPLES = 8192  # 81.92 s, of which the first WARM_UP_S only fill the filters
WARM_UP_S = 10.0
_TAPER_S = 4.0
_BAND_CENTRES_HZ = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FLOOR_HZ = 0.05

FloatArray = npt.NDArray[np.float64]
Waveform = npt.NDArray[np.float32]


def volcano_event(parameters: VolcanoParameters, label: int, number: int, seed: int) -> Waveform:
    """One record as the volcano's network would have stored it, without padding.

    Args:
        parameters: The volcano.
        label: 0 for LP, 1 for VT.
        number: The event's number within its class.
        seed: Seed of the catalogue.

    Returns:
        `(sample,)` float32 at the volcano's sampling rate, at most 60 s: ground velocity in the units of storage
        (counts; for a volcano that stores a filtered record, arbitrary).

    Raises:
        ValueError: `label` is neither 0 nor 1.
    """
    if label not in (LP, VT):
        raise ValueError(f"label {label}: 0 (LP) or 1 (VT)")
    acquisition = parameters.acquisition
    rng = np.random.default_rng([seed, zlib.crc32(parameters.name.encode()), label, number])
    # The window first: it is drawn alike for both classes.
    length_s = rng.uniform(*acquisition.window_s)
    onset_s = WARM_UP_S + rng.uniform(*acquisition.before_s)
    frequency_hz, time_s = _axes()
    if label == LP:
        signal = _long_period(parameters.long_period, parameters.path, onset_s, rng)
    else:
        signal = _tectonic(parameters, onset_s, rng)
    signal *= np.clip((time_s[-1] - time_s) / _TAPER_S, 0.0, 1.0)  # else its end would wrap around to its start
    station = _site(parameters.path, frequency_hz, rng) * _high_pass(acquisition.high_pass_hz)
    event = _filtered(signal, station)
    noise = _noise(acquisition, rng)
    snr_db = rng.normal(acquisition.signal_to_noise_db, acquisition.signal_to_noise_spread_db)
    snr = 10.0 ** (max(snr_db, acquisition.signal_to_noise_least_db) / 20.0)
    record = event * (snr / _strongest_second(event)) + noise / np.sqrt(np.mean(_in_band(noise) ** 2))
    return _stored(record, length_s, acquisition, rng)


# ---- sources -----------------------------------------------------------------------------------------------------


def _long_period(source: LongPeriodSource, path: Path, onset_s: float, rng: np.random.Generator) -> FloatArray:
    time_s = _axes()[1]
    lowest_hz, quality = _log_uniform(source.peak_hz, rng), _log_uniform(source.quality, rng)
    n_overtones = int(rng.integers(source.overtones[0], source.overtones[1] + 1))
    spacing, roll_off = rng.uniform(*source.overtone_spacing), rng.uniform(*source.overtone_roll_off)
    rise_s = _log_uniform(source.excitation_s, rng)
    since_s = np.maximum(time_s - onset_s, 0.0)
    excitation = since_s / rise_s * np.exp(1.0 - since_s / rise_s) * rng.standard_normal(N_SAMPLES)
    signal = np.zeros(N_SAMPLES)
    for k in range(n_overtones + 1):
        ratio = 1.0 + k * spacing * rng.normal(1.0, 0.05)
        amplitude = ratio**-roll_off * (np.exp(rng.normal(0.0, 0.5)) if k else 1.0)
        mode_quality = quality * np.exp(rng.normal(0.0, 0.2)) if k else quality
        mode = _resonator(excitation, lowest_hz * ratio, mode_quality)
        signal += amplitude * mode / np.sqrt(np.mean(mode**2))
    signal = _filtered(signal, _attenuation(path, 1, rng))
    relative = source.onset_amplitude * np.exp(rng.normal(0.0, source.onset_spread))
    burst_s = 2.0 * _log_uniform(path.burst_s, rng)
    burst = _envelope(since_s, 0.1, burst_s) * rng.standard_normal(N_SAMPLES)
    corner_hz = 5.0 * np.exp(rng.normal(0.0, 0.3))  # between the modes and an earthquake: Almendros 1997, 4-8 Hz
    onset = _filtered(burst, _omega_squared(corner_hz) * _attenuation(path, 0, rng))
    event: FloatArray = signal / np.abs(signal).max() + relative * onset / np.abs(onset).max()
    return event


def _tectonic(parameters: VolcanoParameters, onset_s: float, rng: np.random.Generator) -> FloatArray:
    source, path = parameters.tectonic, parameters.path
    _, time_s = _axes()
    corner_hz = source.corner_hz * np.exp(rng.normal(0.0, source.corner_spread))
    s_minus_p_s = _log_uniform(path.s_minus_p_s, rng)
    s_travel_s = 2.37 * s_minus_p_s  # vp / vs = 1.73
    s_over_p, level = _log_uniform(source.s_over_p, rng), _log_uniform(path.coda_level, rng)
    burst_s = _log_uniform(path.burst_s, rng)
    since_p_s, since_s_s = time_s - onset_s, time_s - onset_s - s_minus_p_s
    # Scattered P between P and S, scattered S after it; each band decays with its own Q.
    centres_hz = np.array(_BAND_CENTRES_HZ)[:, None]
    quality = path.coda_quality[0] * centres_hz ** path.coda_quality[1]
    lapse_s = np.maximum(since_s_s, 0.0)
    coda = level * s_travel_s / (s_travel_s + lapse_s) * np.exp(-np.pi * centres_hz * lapse_s / quality)
    p_envelope = _envelope(since_p_s, 0.05, 0.7 * burst_s) + 0.25 * _envelope(since_p_s, 0.1, 3.0 * burst_s)
    s_envelope = _envelope(since_s_s, 0.08, burst_s) + coda * _envelope(since_s_s, 0.3, np.inf)
    p_wave = (p_envelope * _noise_bands(rng)).sum(axis=0)
    s_wave = s_over_p * (s_envelope * _noise_bands(rng)).sum(axis=0)
    arrived = _filtered(p_wave, _attenuation(path, 0, rng)) + _filtered(s_wave, _attenuation(path, 1, rng))
    return _filtered(arrived, _omega_squared(corner_hz))


def _resonator(excitation: FloatArray, frequency_hz: float, quality: float) -> FloatArray:
    """Response of a damped oscillator, decaying as exp(-pi f t / Q)."""
    radius = np.exp(-np.pi * frequency_hz / quality / RATE_HZ)
    angle = 2.0 * np.pi * frequency_hz / RATE_HZ
    response: FloatArray = lfilter([1.0], [1.0, -2.0 * radius * np.cos(angle), radius**2], excitation)
    return response


def _envelope(since_s: FloatArray, rise_s: float, decay_s: float) -> FloatArray:
    after = np.maximum(since_s, 0.0)
    envelope: FloatArray = (1.0 - np.exp(-after / rise_s)) * np.exp(-after / decay_s)
    return envelope


def _omega_squared(corner_hz: float) -> FloatArray:
    """Velocity spectrum of Brune's source; maximum 1 at the corner."""
    frequency_hz, _ = _axes()
    spectrum: FloatArray = 2.0 * (frequency_hz / corner_hz) / (1.0 + (frequency_hz / corner_hz) ** 2)
    return spectrum


def _noise_bands(rng: np.random.Generator) -> FloatArray:
    """White noise in octave bands `(band, sample)` that sum to the whole."""
    spectrum = np.fft.rfft(rng.standard_normal(N_SAMPLES))
    bands: FloatArray = np.fft.irfft(spectrum * _octave_weights(), N_SAMPLES, axis=-1)
    return bands


# ---- path, station, storage --------------------------------------------------------------------------------------


def _attenuation(path: Path, phase: int, rng: np.random.Generator) -> FloatArray:
    """exp(-pi f t*) of P (0) or S (1)."""
    frequency_hz, _ = _axes()
    t_star_s = path.t_star_s[phase] * np.exp(rng.normal(0.0, path.t_star_spread))
    attenuation: FloatArray = np.exp(-np.pi * frequency_hz * t_star_s)
    return attenuation


def _site(path: Path, frequency_hz: FloatArray, rng: np.random.Generator) -> FloatArray:
    octave = np.log2(np.maximum(frequency_hz, _FLOOR_HZ))
    gain_db = np.zeros_like(octave)
    for peak_hz, peak_db, width in path.site_peaks:
        height_db = peak_db + rng.normal(0.0, path.site_spread_db)
        gain_db += height_db * np.exp(-0.5 * ((octave - np.log2(peak_hz)) / width) ** 2)
    amplification: FloatArray = 10.0 ** (gain_db / 20.0)
    return amplification


def _high_pass(corner_hz: float) -> npt.NDArray[np.complex128]:
    """A seismometer's velocity response: second order, damping 0.7."""
    ratio = _axes()[0] / corner_hz
    return np.asarray(-(ratio**2) / (1.0 - ratio**2 + 1.4j * ratio), dtype=np.complex128)


def _noise(acquisition: Acquisition, rng: np.random.Generator) -> FloatArray:
    frequency_hz = np.maximum(_axes()[0], _FLOOR_HZ)
    slope = acquisition.noise_slope + rng.normal(0.0, 0.15)
    microseism_db = acquisition.microseism_db + rng.normal(0.0, 5.0)
    octaves = np.log2(frequency_hz / acquisition.microseism_hz)
    amplitude = frequency_hz**-slope + 10.0 ** (microseism_db / 20.0) * np.exp(-0.5 * (octaves / 0.6) ** 2)
    return _filtered(rng.standard_normal(N_SAMPLES), amplitude * _high_pass(acquisition.high_pass_hz))


def _stored(record: FloatArray, length_s: float, acquisition: Acquisition, rng: np.random.Generator) -> Waveform:
    rate_hz = acquisition.sampling_rate_hz
    if acquisition.band_pass_hz is not None:
        record = sosfilt(butter(10, acquisition.band_pass_hz, "bandpass", fs=RATE_HZ, output="sos"), record)
    step = round(RATE_HZ / rate_hz)
    if step > 1:
        frequency_hz, _ = _axes()
        nyquist_hz = rate_hz / 2.0
        ramp = np.clip((frequency_hz / nyquist_hz - 0.8) / 0.2, 0.0, 1.0)
        record = _filtered(record, np.cos(0.5 * np.pi * ramp) ** 2)[::step]
    first = round(WARM_UP_S * rate_hz)
    record = record[first : first + round(length_s * rate_hz)]
    if acquisition.counts is not None:
        record = np.round(record * (_log_uniform(acquisition.counts, rng) / np.abs(record).max()))
        record += np.round(rng.normal(0.0, 5.0))  # the digitiser's offset
    return record.astype(np.float32)


# ---- what the above share ----------------------------------------------------------------------------------------


@cache
def _axes() -> tuple[FloatArray, FloatArray]:
    """Frequencies `(bin,)` in Hz and times `(sample,)` in s."""
    frequency_hz: FloatArray = np.fft.rfftfreq(N_SAMPLES, 1.0 / RATE_HZ).astype(np.float64)
    return frequency_hz, np.arange(N_SAMPLES) / RATE_HZ


def _filtered(signal: FloatArray, response: npt.NDArray[np.float64 | np.complex128]) -> FloatArray:
    filtered: FloatArray = np.fft.irfft(np.fft.rfft(signal) * response, N_SAMPLES)
    return filtered


@cache
def _octave_weights() -> FloatArray:
    octave = np.log2(np.maximum(_axes()[0], _FLOOR_HZ))
    centres = np.log2(np.array(_BAND_CENTRES_HZ))[:, None]
    octave = np.clip(octave, centres[0], centres[-1])  # the outer bands reach to the ends
    weights: FloatArray = np.clip(1.0 - np.abs(octave - centres), 0.0, 1.0)
    return weights


@cache
def _band_mask() -> FloatArray:
    frequency_hz = _axes()[0]
    mask: FloatArray = ((frequency_hz >= 1.0) & (frequency_hz <= 10.0)).astype(np.float64)
    return mask


def _in_band(signal: FloatArray) -> FloatArray:
    """The part at 1-10 Hz."""
    return _filtered(signal, _band_mask())


def _strongest_second(event: FloatArray) -> float:
    """Largest root mean square over one second, at 1-10 Hz."""
    energy = np.concatenate([[0.0], np.cumsum(_in_band(event) ** 2)])
    n = round(RATE_HZ)
    return float(np.sqrt((energy[n:] - energy[:-n]).max() / n))


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))
