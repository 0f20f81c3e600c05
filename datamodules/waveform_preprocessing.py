"""From a record as stored to the image that networks see; every step that is not the paper's is a switch.

`ours`, in this order: remove constant tail and mean; resample to 100 Hz; filter all volcanoes as Llaima's records
were (1-10 Hz, 10th-order Butterworth), or the filter itself would be part of the shift between volcanoes; IMF-STD where
it is on; divide by the maximum; pad to 60 s with the record's own background; spectrogram. Filtering at one rate gives
all volcanoes the same digital filter; padding noise goes through it too, so that its spectrum has the same edges.
`as_published` (Section 6.1): divide by the maximum; resample; the steps above that are on; pad; spectrogram.

Dividing by the maximum before the mean is removed changes nothing as long as the mean is removed later. With
`mean_removal: false` it ruins Llaima's spectrograms, since these records are stored in [1, 2].
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.imf_standardization import imf_standardized
from datamodules.spectrogram_image import CROP_HZ, Resize, cropped, resized, scaled, spectrogram
from datamodules.volcano_records import unpadded_length
from datamodules.waveform_padding import cut_longest, pad_background, pad_zeros

VERSION = 1
RATE_HZ = 100.0
RECORD_S = 60.0
BAND_HZ = (1.0, 10.0)
BAND_ORDER = 10
_N_SAMPLES = round(RATE_HZ * RECORD_S)

FloatArray = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Preprocessing:
    """All switches between a record and its image.

    Attributes:
        standardization: `imf`: modes of equal strength (IMF-STD).
        order: See the module's docstring.
        mean_removal: Remove the constant tail and the mean.
        band_pass: 1-10 Hz, 10th-order Butterworth, for all volcanoes.
        padding: `background` noise of the record's own, or `zero`, which shows how long the record was.
        floor_db: Range of the image in dB; None: magnitudes instead of decibels.
        crop: Keep 0-25 Hz (the Nyquist frequency of 50 Hz records), not 0-50 Hz.
        resize: `antialiased`, or plain `bilinear`.
        size: Pixels of either axis.

    Raises:
        DataError: An impossible setting.
    """

    standardization: Literal["none", "imf"] = "none"
    order: Literal["ours", "as_published"] = "ours"
    mean_removal: bool = True
    band_pass: bool = True
    padding: Literal["background", "zero"] = "background"
    floor_db: float | None = 60.0
    crop: bool = True
    resize: Resize = "antialiased"
    size: int = 64

    def __post_init__(self) -> None:
        choices = {
            "standardization": ("none", "imf"),
            "order": ("ours", "as_published"),
            "padding": ("background", "zero"),
            "resize": ("antialiased", "bilinear"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise DataError(f"{name} is {getattr(self, name)!r}: choose {' or '.join(allowed)}.")
        if self.floor_db is not None and not 0 < self.floor_db <= 200:
            raise DataError(f"floor_db is {self.floor_db}: it must be above 0 and at most 200, or null.")
        if not isinstance(self.size, int) or self.size < 8:
            raise DataError(f"size is {self.size!r}: an image has at least 8 x 8 pixels.")

    @property
    def version(self) -> int:
        """Grows when the same switches come to mean another image."""
        return VERSION

    @property
    def frequency_hz(self) -> float:
        """Top of the image's frequency axis."""
        return CROP_HZ if self.crop else RATE_HZ / 2

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """All switches, the version and the axes: plain values."""
        axes = {"version": VERSION, "duration_s": RECORD_S, "frequency_hz": self.frequency_hz}
        return {**axes, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `as_dict`.

        Raises:
            DataError: The values are of another version of this preprocessing.
        """
        names = {each.name for each in fields(cls)}
        if values.get("version") != VERSION or not set(values) <= names | {"version", "duration_s", "frequency_hz"}:
            raise DataError(
                f"the preprocessing is of version {values.get('version')}, wanted {VERSION}: use the release of this "
                "project that made it, or train again."
            )
        return cls(**{name: values[name] for name in names if name in values})

    def record(self, waveform: npt.ArrayLike, sampling_rate_hz: float) -> FloatArray:
        """The record that the spectrogram is made of.

        Args:
            waveform: `(sample,)` as stored, finite and not constant.
            sampling_rate_hz: Of the waveform.

        Returns:
            `(6000,)` at 100 Hz, largest magnitude 1 (`ours`). Of a longer record, the 60 s with the most energy.

        Raises:
            DataError: The rate is too low for the filter, or the record is constant or not finite.
        """
        stored = np.asarray(waveform, dtype=np.float64)
        stored = stored[: unpadded_length(stored)] if self.mean_removal else stored
        if len(stored) < 2 or not np.isfinite(stored).all() or stored.min() == stored.max():
            raise DataError("a record is constant, empty, or holds NaN or infinity: leave it out.")
        if self.band_pass and sampling_rate_hz <= 2 * BAND_HZ[1]:
            raise DataError(
                f"the sampling rate is {sampling_rate_hz:g} Hz: records filtered at 1-10 Hz need more than 20 Hz; "
                "check the rate, or set band_pass to false."
            )
        if self.order == "as_published":
            stored = stored / np.abs(stored).max()
        record = _resampled(stored - stored.mean() if self.mean_removal else stored, sampling_rate_hz)
        if self.standardization == "imf":
            record = imf_standardized(_band_passed(record) if self.band_pass else record)
            record = self._padded(cut_longest(record, _N_SAMPLES))
        elif self.padding == "zero":
            record = self._padded(cut_longest(_band_passed(record) if self.band_pass else record, _N_SAMPLES))
        else:
            record = self._padded(cut_longest(record, _N_SAMPLES))
            record = _band_passed(record) if self.band_pass else record
        return record / np.abs(record).max() if self.order == "ours" else record

    def image(self, waveform: npt.ArrayLike, sampling_rate_hz: float) -> Image:
        """Spectrogram of a record.

        Args:
            waveform: `(sample,)` as stored.
            sampling_rate_hz: Of the waveform.

        Returns:
            `(1, size, size)` in [0, 1]; row 0 is the lowest frequency, columns are time.

        Raises:
            DataError: See `record`.
        """
        magnitude = spectrogram(self.record(waveform, sampling_rate_hz))
        if self.crop:
            magnitude = cropped(magnitude, RATE_HZ)
        image = resized(scaled(magnitude, self.floor_db), self.size, self.resize)
        return np.clip(image, 0.0, 1.0).astype(np.float32)[None]

    def _padded(self, record: FloatArray) -> FloatArray:
        return pad_background(record, _N_SAMPLES) if self.padding == "background" else pad_zeros(record, _N_SAMPLES)


def _band_passed(record: FloatArray) -> FloatArray:
    """Llaima's filter. The record is mirrored in front of its start, or the start would be an onset."""
    from scipy.signal import sosfilt

    n_before = min(len(record) - 1, round(10 * RATE_HZ))
    before = 2 * record[0] - record[n_before:0:-1]
    filtered: FloatArray = sosfilt(_band_pass(), np.concatenate([before, record]))[n_before:]
    return filtered


@cache
def _band_pass() -> FloatArray:
    from scipy.signal import butter

    sections: FloatArray = butter(BAND_ORDER, BAND_HZ, "bandpass", fs=RATE_HZ, output="sos")
    return sections


def _resampled(record: FloatArray, sampling_rate_hz: float) -> FloatArray:
    """Interpolate to 100 Hz."""
    if sampling_rate_hz == RATE_HZ:
        return record
    from scipy.signal import resample_poly

    ratio = Fraction(RATE_HZ / sampling_rate_hz).limit_denominator(1000)
    resampled: FloatArray = resample_poly(record, ratio.numerator, ratio.denominator, padtype="line")
    return resampled
