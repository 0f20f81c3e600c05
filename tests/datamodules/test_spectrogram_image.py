"""From record to image: against torch's resize, closed forms, and the axes."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from datamodules.spectrogram_image import cropped, n_frames, resize_weights, resized, scaled, spectrogram


@pytest.mark.parametrize("size", [16, 64, 100, 224])
@pytest.mark.parametrize("how", ["antialiased", "bilinear"])
def test_resizing_is_torchs(size, how):
    image = np.random.default_rng(0).random((129, 47))
    theirs = interpolate(
        torch.from_numpy(image)[None, None], (size, size), mode="bilinear", antialias=how == "antialiased"
    )
    np.testing.assert_allclose(resized(image, size, how), theirs[0, 0].numpy(), atol=1e-10)


def test_antialiasing_keeps_the_mean_where_sampling_does_not():
    stripes = np.tile(np.r_[1.0, 0, 0, 0], 32)[:, None] * np.ones(47)
    assert resized(stripes, 64, "antialiased").mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(resize_weights(128, 32, "bilinear").sum(axis=1), 1.0)
    assert abs(resized(stripes, 32, "bilinear").mean() - 0.25) > 0.2


def test_decibels_over_a_floor():
    magnitude = np.array([[1.0, 0.1, 0.01, 1e-3, 1e-6, 0.0]])
    np.testing.assert_allclose(scaled(5 * magnitude, 60.0), [[1, 2 / 3, 1 / 3, 0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(scaled(5 * magnitude, None), magnitude)
    assert np.isfinite(scaled(np.zeros((2, 2)), 60.0)).all()


def test_a_sine_stands_on_its_row_and_the_axes_are_right():
    record = np.sin(2 * np.pi * 5.0 * np.arange(6000) / 100)
    magnitude = spectrogram(record)
    assert magnitude.shape == (257, n_frames(6000)) == (257, 47)
    assert cropped(magnitude, 100.0).shape == (129, 47)
    rows = resized(scaled(cropped(magnitude, 100.0), 60.0), 64, "antialiased")
    assert rows[:, 30].argmax() == round(5.0 / 25.0 * 64 - 0.5)
    late = np.r_[np.zeros(3000), record[3000:]] + 1e-6 * np.random.default_rng(0).standard_normal(6000)
    columns = resized(scaled(cropped(spectrogram(late), 100.0), 60.0), 64, "antialiased")[12]
    assert columns[:28].max() < 0.1
    assert columns[36:].min() > 0.8
