"""Pictures of volcano-seismic events: waveforms over spectrograms, and mixups between volcanoes.

Functions take arrays and give a matplotlib figure; they neither read nor compute anything.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]
SPECTROGRAM_CMAP = "magma"


class DrawnEvent(NamedTuple):
    """One event as it is drawn.

    Attributes:
        title: Such as `Llaima, LP`.
        waveform: `(sample,)`, the record that the spectrogram is made of.
        sampling_rate_hz: Of the waveform.
        image: `(s, s)` spectrogram, 0 (floor) to 1 (maximum), row 0 the lowest frequency.
    """

    title: str
    waveform: Array
    sampling_rate_hz: float
    image: Array


def volcanoes(events: Sequence[DrawnEvent], duration_s: float, frequency_hz: float, floor_db: float | None) -> "Figure":
    """Waveform over spectrogram, a column an event.

    Args:
        events: From the left.
        duration_s: What the spectrogram's time axis spans.
        frequency_hz: What its frequency axis reaches.
        floor_db: How far below the maximum 0 lies; None where images hold magnitudes, not decibels.
    """
    figure = new_figure(2.9 * len(events), 4.6)
    axes = figure.subplots(2, len(events), squeeze=False, gridspec_kw={"height_ratios": (1, 1.5)})
    image: Any = None
    for column, event in enumerate(events):
        above, below = axes[0, column], axes[1, column]
        time_s = np.arange(len(event.waveform)) / event.sampling_rate_hz
        above.plot(time_s, event.waveform / max(float(np.abs(event.waveform).max()), 1e-30), color="0.15", lw=0.4)
        above.set(xlim=(0, duration_s), ylim=(-1.1, 1.1))
        above.set_title(event.title, fontsize=9)
        above.tick_params(labelsize=6)
        image = draw_spectrogram(below, event.image, duration_s, frequency_hz)
        below.set_xlabel("time (s)", fontsize=7)
    axes[0, 0].set_ylabel("of its maximum", fontsize=7)
    axes[1, 0].set_ylabel("frequency (Hz)", fontsize=7)
    _decibels(figure, image, axes[1, :], floor_db)
    figure.suptitle("LP and VT of both volcanoes", fontsize=10)
    return figure


def mixups(
    source_like: Array,
    target: Array,
    mixed: Array,
    source_share: Array,
    labels: Sequence[str],
    *,
    duration_s: float,
    frequency_hz: float,
    floor_db: float | None,
) -> "Figure":
    """Source-like sample, target sample, and what stands between them, a column each.

    Args:
        source_like: `(n, s, s)` images.
        target: `(n, s, s)`.
        mixed: `(n, s, s)`.
        source_share: `(n,)` lambda, the source's share of the mixup.
        labels: Of each mixup, what its soft label says.
        duration_s: What the time axis spans.
        frequency_hz: What the frequency axis reaches.
        floor_db: How far below the maximum 0 lies; None where images hold magnitudes, not decibels.
    """
    n = len(mixed)
    figure = new_figure(1.75 * n + 0.7, 5.3)
    axes = figure.subplots(3, n, squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for column in range(n):
        titles = ("", "", f"λ = {source_share[column]:.2f}\n{labels[column]}")
        for row, (images, title) in enumerate(zip((source_like, target, mixed), titles, strict=True)):
            image = draw_spectrogram(axes[row, column], images[column], duration_s, frequency_hz)
            axes[row, column].set_title(title, fontsize=7)
        axes[2, column].set_xlabel("time (s)", fontsize=7)
    for row, name in enumerate(("drawn from the\nsource's classes", "target, noisy", "inter-volcano")):
        axes[row, 0].set_ylabel(f"{name}\nfrequency (Hz)", fontsize=7)
    _decibels(figure, image, axes, floor_db)
    figure.suptitle("Inter-volcano mixups, as spectrograms", fontsize=10)
    return figure


def draw_spectrogram(axes: "Axes", image: Array, duration_s: float, frequency_hz: float) -> Any:
    """One spectrogram with its axes."""
    drawn = axes.imshow(
        image, origin="lower", aspect="auto", cmap=SPECTROGRAM_CMAP, vmin=0, vmax=1,
        extent=(0, duration_s, 0, frequency_hz),
    )  # fmt: skip
    axes.set_xticks(np.linspace(0, duration_s, 4))
    axes.set_yticks(np.linspace(0, frequency_hz, 6))
    axes.tick_params(labelsize=6)
    return drawn


def _decibels(figure: "Figure", image: Any, axes: Any, floor_db: float | None) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.01)
    if floor_db is None:
        bar.set_label("magnitude, of the event's maximum", fontsize=7)
    else:
        bar.set_ticks([0, 0.5, 1], labels=[f"-{floor_db:g}", f"-{floor_db / 2:g}", "0"])
        bar.set_label("dB of the event's maximum", fontsize=7)
    bar.ax.tick_params(labelsize=6)
