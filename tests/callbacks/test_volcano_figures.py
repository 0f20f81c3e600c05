"""Every picture of a transfer is drawn from plain arrays, with what it says on it."""

import numpy as np
import pytest

from callbacks import transfer_figures
from callbacks.figures import save
from callbacks.volcano_figures import DrawnEvent, mixups, volcanoes

AXES = {"duration_s": 60.0, "frequency_hz": 25.0, "floor_db": 60.0}
draw = np.random.default_rng(0)
IMAGES = draw.random((4, 16, 16), np.float32)
LABEL = np.array([0, 0, 1, -1] * 5)


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text")))


def test_events_stand_with_waveform_and_spectrogram(tmp_path):
    events = [DrawnEvent(f"V{i}, LP", 1 - 2 * draw.random(3000, np.float32), 50.0, IMAGES[i]) for i in range(4)]
    figure = volcanoes(events, **AXES)
    assert len(figure.axes) == 9
    assert "V3, LP" in texts(figure)
    assert "-60" in texts(figure)
    line = figure.axes[0].lines[0]
    assert np.abs(line.get_ydata()).max() == pytest.approx(1)
    assert line.get_xdata()[-1] == pytest.approx(2999 / 50)
    assert save(figure, tmp_path / "a.png", "synthetic").stat().st_size > 1000


def test_low_frequencies_are_drawn_below(tmp_path):
    image = np.zeros((16, 16), np.float32)
    image[0] = 1
    figure = volcanoes([DrawnEvent("", draw.random(100, np.float32), 100.0, image)], **AXES)
    drawn = figure.axes[1].images[0]
    assert drawn.origin == "lower"
    assert tuple(drawn.get_extent()) == (0, 60, 0, 25)


def test_mixups_say_lambda_and_label():
    figure = mixups(IMAGES, IMAGES, IMAGES, np.full(4, 0.8), ["LP 0.80, VT 0.20"] * 4, **AXES)
    assert "λ = 0.80" in texts(figure)
    assert len([axes for axes in figure.axes if axes.images]) >= 12


def test_curves_confusions_embeddings_and_ratios_are_drawn(tmp_path):
    is_vt = draw.random(50) < 0.3
    curves = {"Cubism": (is_vt, is_vt + draw.random(50)), "DANN": (is_vt, draw.random(50))}
    made = [
        transfer_figures.precision_recall_curves({"L to D": curves}, {"L to D": 0.3}),
        transfer_figures.confusions({"D (target)": LABEL[:3]}, {"D (target)": LABEL[:3]}, ("LP", "VT")),
        transfer_figures.embeddings(
            {"Cubism": draw.random((20, 2), np.float32)}, {"Cubism": ["source", "target"] * 10}, {"Cubism": LABEL},
            ("LP", "VT"), {"source": "Llaima", "target": "Deception"},
        ),
        transfer_figures.class_ratio([0, 1, 2], [0.5, 0.4, 0.3], [0.5, 0.3, 0.2], 0.23, 0.19),
        transfer_figures.class_ratio([0], [0.5], None, None, 0.19),
        transfer_figures.scores_by_epoch([0, 1, 2], [0.4, 0.7, 0.6], 0.44),
    ]  # fmt: skip
    said = [texts(figure) for figure in made]
    assert "Cubism, 1.000" in said[0]
    assert "guessing, 0.300" in said[0]
    assert "100.0 %" in said[1]
    assert "Llaima (source), LP" in said[2]
    assert "Deception (target), unknown" in said[2]
    assert "not used" in said[3]
    assert "true share" not in said[4]
    assert "oracle's choice, 0.700" in said[5]
    for i, figure in enumerate(made):
        save(figure, tmp_path / f"{i}.png", "synthetic")
