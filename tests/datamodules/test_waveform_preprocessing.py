"""Preprocessing: what must not change the image, what each switch does, and records that cannot be used."""

from dataclasses import replace

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.imf_standardization import imf_standardized, robust_deviation
from datamodules.waveform_preprocessing import Preprocessing

OURS = Preprocessing(size=32)
SILENT = replace(OURS, padding="zero")  # background noise depends on the last digit of a record
PUBLISHED = Preprocessing(
    order="as_published", mean_removal=False, band_pass=False, padding="zero", crop=False, resize="bilinear", size=32
)


@pytest.fixture(scope="module")
def event():
    rng = np.random.default_rng(0)
    time_s = np.arange(4500) / 100
    burst = np.sin(2 * np.pi * 4 * time_s) * np.exp(-np.abs(time_s - 8) / 3)
    return burst + 0.01 * rng.standard_normal(4500)


def test_an_image_is_a_float32_square_in_0_to_1(event):
    for maker in (OURS, PUBLISHED, replace(OURS, floor_db=None), replace(OURS, size=224)):
        image = maker.image(event, 100.0)
        assert image.shape == (1, maker.size, maker.size)
        assert image.dtype == np.float32
        assert 0.0 <= image.min() <= image.max() <= 1.0


def test_offset_scale_and_constant_tail_change_nothing(event):
    image = SILENT.image(event, 100.0)
    stored = 1.5 + 0.1 * event
    np.testing.assert_allclose(SILENT.image(stored, 100.0), image, atol=1e-4)
    np.testing.assert_allclose(SILENT.image(np.r_[stored, np.full(1500, 1.25)], 100.0), image, atol=1e-4)
    np.testing.assert_array_equal(OURS.image(np.r_[stored, np.full(1500, 1.25)], 100.0), OURS.image(stored, 100.0))


def test_without_mean_removal_an_offset_ruins_the_image(event):
    stored = 1.5 + 0.1 * event
    ruined = PUBLISHED.image(stored, 100.0)
    assert np.abs(ruined - PUBLISHED.image(event, 100.0)).max() > 0.3
    assert ruined[0].max(axis=1).argmax() == 0  # the offset is the loudest thing
    kept = replace(PUBLISHED, mean_removal=True)
    np.testing.assert_allclose(kept.image(stored, 100.0), kept.image(event, 100.0), atol=1e-3)


def test_the_two_orders_agree_once_the_mean_is_removed(event):
    published = replace(SILENT, order="as_published")
    np.testing.assert_allclose(published.image(3 + event, 100.0), SILENT.image(3 + event, 100.0), atol=1e-5)


def test_the_same_ground_motion_at_50_and_100_hz_gives_one_image(event):
    difference = SILENT.image(event[::2], 50.0) - SILENT.image(event, 100.0)
    assert np.abs(difference)[:, :14].mean() < 0.03  # below 11 Hz; above, there is nothing but noise that aliased


def test_the_filter_takes_what_is_outside_of_1_to_10_hz(event):
    # A microseism 20 times as strong; its skirt above 1 Hz is hidden under the noise of the event.
    time_s = np.arange(len(event)) / 100
    disturbed = event + 20 * np.sin(2 * np.pi * 0.2 * time_s) + np.sin(2 * np.pi * 18 * time_s)
    assert np.abs(OURS.image(disturbed, 100.0) - OURS.image(event, 100.0)).mean() < 0.02
    unfiltered = replace(OURS, band_pass=False)
    assert np.abs(unfiltered.image(disturbed, 100.0) - unfiltered.image(event, 100.0)).mean() > 0.08


def test_the_start_of_a_record_is_no_onset():
    # Slow, strong noise that the filter takes: the record's start must not be louder than the rest.
    time_s = np.arange(6000) / 100
    record = np.cos(2 * np.pi * 0.15 * time_s) + 0.01 * np.random.default_rng(0).standard_normal(6000)
    filtered = OURS.record(record, 100.0)
    assert np.abs(filtered[:300]).max() < 3 * np.abs(filtered[1000:]).std() * 3


def test_a_record_has_60_s_whatever_was_stored(event):
    for record, rate_hz in ((event[:900], 100.0), (np.tile(event, 2), 100.0), (event, 75.0), (event, 250.0)):
        assert OURS.record(record, rate_hz).shape == (6000,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": "mine"}, "order"),
        ({"padding": "loop"}, "padding"),
        ({"floor_db": 0.0}, "floor_db"),
        ({"size": 4}, "size"),
        ({"resize": "nearest"}, "resize"),
        ({"standardization": "z"}, "standardization"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(DataError, match=message):
        Preprocessing(**settings)


def test_records_of_which_no_image_can_be_made(event):
    nan = event.copy()
    nan[3] = np.nan
    for record in (np.full(900, 2.0), nan, event[:1]):
        with pytest.raises(DataError, match="constant, empty, or holds NaN"):
            OURS.image(record, 100.0)
    with pytest.raises(DataError, match="more than 20 Hz"):
        OURS.image(event, 20.0)
    replace(OURS, band_pass=False).image(event, 20.0)


def test_settings_travel_as_plain_values():
    for maker in (OURS, PUBLISHED, replace(OURS, standardization="imf", floor_db=None)):
        values = maker.as_dict()
        assert {type(value) for value in values.values()} <= {int, float, str, bool, type(None)}
        assert Preprocessing.from_dict(values) == maker
    assert OURS.as_dict()["frequency_hz"] == 25.0
    assert PUBLISHED.as_dict()["frequency_hz"] == 50.0
    with pytest.raises(DataError, match="version 0, wanted"):
        Preprocessing.from_dict({**OURS.as_dict(), "version": 0})


# ---- IMF-STD -----------------------------------------------------------------------------------------------------


def test_the_robust_deviation_is_that_of_a_normal_distribution():
    noise = 3 * np.random.default_rng(0).standard_normal((2, 20000))
    np.testing.assert_allclose(robust_deviation(noise), 3, rtol=0.03)
    noise[:, :50] = 1e6
    np.testing.assert_allclose(robust_deviation(noise), 3, rtol=0.03)


def test_modes_of_unequal_strength_become_equal():
    time_s = np.arange(1500) / 100
    loud, weak = 5 * np.sin(2 * np.pi * 1.1 * time_s), np.sin(2 * np.pi * 9 * time_s)
    standardized = imf_standardized(loud + weak)
    power = np.abs(np.fft.rfft(standardized)) ** 2
    frequency_hz = np.fft.rfftfreq(1500, 0.01)
    at = [power[np.abs(frequency_hz - f) < 0.3].sum() for f in (1.1, 9.0)]
    assert 0.5 < at[0] / at[1] < 2.0  # 25 before
    np.testing.assert_allclose(imf_standardized(7 * (loud + weak) + 3), standardized, rtol=1e-6, atol=1e-6)


def test_imf_std_gives_an_image_and_a_line_has_no_modes(event):
    image = replace(OURS, standardization="imf").image(event, 100.0)
    assert np.isfinite(image).all()
    assert np.abs(image - OURS.image(event, 100.0)).mean() > 0.02
    np.testing.assert_allclose(imf_standardized(np.linspace(0, 1, 200)), np.linspace(-0.5, 0.5, 200), atol=1e-12)
