"""Padding: the length of a record must not show in its spectrogram."""

import numpy as np
import pytest
import torch

from datamodules.waveform_padding import HOP, N_FFT, cut_longest, hann, pad_background, pad_zeros, stft_frames
from datamodules.waveform_preprocessing import Preprocessing

N = 6000


def _noise(rng, n=N):
    """Coloured noise, as behind an event."""
    frequency_hz = np.maximum(np.fft.rfftfreq(8192, 0.01), 0.05)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(8192)) * frequency_hz**-0.7)[:n]


def test_frames_are_torchs():
    record = np.random.default_rng(0).standard_normal(2000)
    ours = stft_frames(np.pad(record, N_FFT // 2, mode="reflect"))
    theirs = torch.stft(
        torch.from_numpy(record), N_FFT, HOP, window=torch.hann_window(N_FFT, dtype=torch.float64), return_complex=True
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-10)
    np.testing.assert_allclose(hann(), torch.hann_window(N_FFT, dtype=torch.float64).numpy(), atol=1e-12)


def test_a_long_record_is_cut_where_its_energy_is():
    record = np.full(9000, 0.1)
    record[5000:6000] = 1.0
    cut = cut_longest(record, 6000)
    assert len(cut) == 6000
    assert (cut == 1.0).sum() == 1000
    assert cut_longest(record[:500], 6000) is not None
    assert len(cut_longest(record[:500], 6000)) == 500


@pytest.mark.parametrize("n", [40, 400, 2500, 5990, 6000])
def test_padding_keeps_the_record_and_gives_one_length(n):
    record = _noise(np.random.default_rng(n), n)
    for padded in (pad_background(record, N), pad_zeros(record, N)):
        assert len(padded) == N
        assert np.isfinite(padded).all()
        np.testing.assert_array_equal(padded[: max(0, n - 50)], record[: max(0, n - 50)])
    np.testing.assert_array_equal(pad_background(record, N), pad_background(record.copy(), N))


def test_the_background_is_as_loud_as_the_quiet_part_frequency_by_frequency():
    # White noise of unit variance under a loud event: the event must not be in the padding.
    rng = np.random.default_rng(1)
    level = []
    for _ in range(40):
        record = rng.standard_normal(3000)
        record[500:1200] += 30 * np.sin(np.arange(700) / 3)
        padding = pad_background(record, N)[3000:]
        level.append((np.abs(stft_frames(padding)) ** 2).mean(axis=1) / np.sum(hann() ** 2))
    mean = np.mean(level, axis=0)
    assert 0.6 < np.median(mean) < 1.6
    assert mean.max() < 4.0  # 30 sin has a power of 450


def _balanced_accuracy(features, labels):
    """Of a ridge-regression classifier, trained on one half and judged on the other."""
    x = np.c_[features, np.ones(len(features))]
    half = len(x) // 2
    target = 2.0 * labels[:half] - 1.0
    weights = np.linalg.solve(x[:half].T @ x[:half] + 1e-3 * np.eye(x.shape[1]), x[:half].T @ target)
    right = (x[half:] @ weights > 0) == (labels[half:] == 1)
    return np.mean([right[labels[half:] == label].mean() for label in (0, 1)])


@pytest.fixture(scope="module")
def lengths_that_tell():
    """Records of noise alone, long ones of class 0 and short ones of class 1: nothing but the length tells."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 2
    seconds = np.where(labels == 0, rng.uniform(50, 60, 240), rng.uniform(20, 30, 240))
    return [_noise(rng, round(100 * s)) for s in seconds], labels


def _images(records, padding):
    maker = Preprocessing(padding=padding, size=32)
    return np.stack([maker.image(record, 100.0)[0] for record in records])


def test_a_classifier_on_the_pad_mask_alone_is_at_chance(lengths_that_tell):
    records, labels = lengths_that_tell
    masks = {padding: _images(records, padding).max(axis=1) < 0.02 for padding in ("zero", "background")}
    assert _balanced_accuracy(masks["zero"], labels) > 0.95
    assert not masks["background"].any()
    assert _balanced_accuracy(masks["background"], labels) == 0.5


def test_a_classifier_on_the_whole_image_is_at_chance(lengths_that_tell):
    records, labels = lengths_that_tell
    images = {padding: _images(records, padding) for padding in ("zero", "background")}
    for rows in (images["zero"].mean(axis=1), images["zero"].std(axis=1)):
        assert _balanced_accuracy(rows, labels) > 0.95
    error = 3 * 0.5 / np.sqrt(120)  # three standard errors on 120 records
    background = images["background"]
    for features in (background.mean(axis=1), background.std(axis=1), background[:, :, 16:].mean(axis=2)):
        assert abs(_balanced_accuracy(features, labels) - 0.5) < error
