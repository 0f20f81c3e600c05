"""Records of any length brought to one length, without their own length showing in the spectrogram.

Catalogues cut an event where it ends, so that the length of the record tells the class (an LP event lasts longer than a
VT event), and a network learns to read the silent part of a zero-padded spectrogram. Here the record goes on with noise
as loud, frequency by frequency, as its own quiet frames: where the padding starts cannot be told from the background.
"""

import zlib
from functools import cache

import numpy as np
import numpy.typing as npt

N_FFT = 512
HOP = 128
QUIET_SHARE = 0.3
_FADE_SAMPLES = 50

FloatArray = npt.NDArray[np.float64]


def cut_longest(record: FloatArray, n_samples: int) -> FloatArray:
    """The part of `n_samples` with the most energy; a shorter record as it is.

    Args:
        record: `(sample,)`, without offset.
        n_samples: Wanted length.
    """
    if len(record) <= n_samples:
        return record
    energy = np.concatenate([[0.0], np.cumsum(record**2)])
    first = int(np.argmax(energy[n_samples:] - energy[:-n_samples]))
    return record[first : first + n_samples]


def pad_zeros(record: FloatArray, n_samples: int) -> FloatArray:
    """Zeros after the record, as in the paper (Section 6.1)."""
    return np.pad(record, (0, max(0, n_samples - len(record))))


def pad_background(record: FloatArray, n_samples: int) -> FloatArray:
    """The record, going on as its own background noise.

    The background's power at a frequency is a low quantile over the frames, over the same quantile of white noise of
    unit power and equal length (few frames that overlap have a quantile of their own). The median of five neighbouring
    frequencies steadies it and keeps the edges of filters. The noise depends on the record alone.

    Args:
        record: `(sample,)`, without offset.
        n_samples: Wanted length, in samples at the same rate.
    """
    missing = n_samples - len(record)
    if missing <= 0:
        return record
    frames = stft_frames(record if len(record) >= N_FFT else np.pad(record, (0, N_FFT - len(record)), mode="wrap"))
    quiet = np.quantile(np.abs(frames) ** 2, QUIET_SHARE, axis=1)
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(quiet, 2, mode="reflect"), 5)
    amplitude = np.sqrt(np.median(neighbours, axis=1) / _quiet_power_of_noise(frames.shape[1]))
    n_noise = missing + min(_FADE_SAMPLES, len(record))
    rng = np.random.default_rng(zlib.crc32(record.tobytes()))
    n_long = n_noise + 2 * N_FFT  # the ends, where the filter wraps around, are cut off
    white = np.fft.rfft(rng.standard_normal(n_long))
    bins = np.linspace(0.0, 1.0, len(amplitude))
    noise = np.fft.irfft(white * np.interp(np.linspace(0.0, 1.0, len(white)), bins, amplitude), n_long)
    noise = noise[N_FFT : N_FFT + n_noise]
    padded = np.concatenate([record, np.zeros(missing)])
    fade = n_noise - missing
    angle = 0.5 * np.pi * (np.arange(fade) + 0.5) / fade
    padded[len(record) - fade : len(record)] *= np.cos(angle)  # at equal power in sum
    noise[:fade] *= np.sin(angle)
    padded[len(record) - fade :] += noise
    return padded


def stft_frames(signal: FloatArray) -> npt.NDArray[np.complex128]:
    """Short-time Fourier transform, Hann window of 512 samples every 128, no padding: `(bin, frame)`."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, N_FFT)[::HOP]
    spectrum: npt.NDArray[np.complex128] = np.fft.rfft(frames * hann(), axis=-1).T
    return spectrum


@cache
def _quiet_power_of_noise(n_frames: int) -> float:
    """What `pad_background` measures on white noise of unit variance, in the mean of logarithms as images have it."""
    rng = np.random.default_rng(n_frames)
    logs = []
    for _ in range(16):
        frames = stft_frames(rng.standard_normal((n_frames - 1) * HOP + N_FFT))
        quiet = np.quantile(np.abs(frames) ** 2, QUIET_SHARE, axis=1)
        neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(quiet, 2, mode="reflect"), 5)
        logs.append(np.log(np.median(neighbours, axis=1)[2:-2]).mean())
    return float(np.exp(np.mean(logs)))


@cache
def hann() -> FloatArray:
    """Periodic Hann window of 512 samples."""
    window: FloatArray = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    return window
