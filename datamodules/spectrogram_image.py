"""From a record to an image: short-time Fourier transform, decibels over a floor, crop, antialiased resize.

Paper, Section 6.1: "short-time fast Fourier transform of 512 points"; the rest is ours, and each of it a switch.
"""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from datamodules.waveform_padding import HOP, N_FFT, stft_frames

Resize = Literal["antialiased", "bilinear"]
FloatArray = npt.NDArray[np.float64]

CROP_HZ = 25.0


def spectrogram(record: FloatArray) -> FloatArray:
    """Magnitudes `(bin, frame)` of frames centred on every 128th sample; 6,000 samples make 47 frames of 257 bins."""
    return np.abs(stft_frames(np.pad(record, N_FFT // 2, mode="reflect")))


def scaled(magnitude: FloatArray, floor_db: float | None) -> FloatArray:
    """Values in [0, 1], 1 at the maximum.

    Args:
        magnitude: Not negative.
        floor_db: 0 stands for so many dB below the maximum and less; None: magnitudes over their maximum, no decibels.
    """
    relative = magnitude / max(float(magnitude.max()), np.finfo(np.float64).tiny)
    if floor_db is None:
        return relative
    decibels = 20.0 * np.log10(np.maximum(relative, 10.0 ** (-floor_db / 20.0)))
    image: FloatArray = np.clip(1.0 + decibels / floor_db, 0.0, 1.0)
    return image


def cropped(magnitude: FloatArray, sampling_rate_hz: float) -> FloatArray:
    """The bins up to 25 Hz."""
    return magnitude[: int(CROP_HZ * N_FFT / sampling_rate_hz) + 1]


def resized(image: FloatArray, size: int, how: Resize) -> FloatArray:
    """Bring an image to `(size, size)`; antialiased: what is made smaller is averaged, not sampled."""
    rows, columns = image.shape
    return resize_weights(rows, size, how) @ image @ resize_weights(columns, size, how).T


@cache
def resize_weights(n_in: int, n_out: int, how: Resize) -> FloatArray:
    """Weights `(n_out, n_in)` of linear interpolation between pixel centres, rows summing to 1.

    Antialiased: the triangle is as wide as the step between output pixels, if that is larger than an input pixel.
    """
    step = n_in / n_out
    support = max(step, 1.0) if how == "antialiased" else 1.0
    centre = (np.arange(n_out) + 0.5) * step - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(np.arange(n_in) - centre[:, None]) / support)
    normalised: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def n_frames(n_samples: int) -> int:
    """Frames that `spectrogram` makes of a record."""
    return 1 + n_samples // HOP
