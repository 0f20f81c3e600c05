"""Picks on disk come back by event, whatever the chunk; residual histograms tell medians."""

import numpy as np
import pytest

from experiments.catalogue.residuals import Residuals
from experiments.catalogue.store import PickStore


def _filled(folder, rng, n=400, n_events=37):
    store = PickStore(folder)
    origins = np.sort(rng.uniform(0, 1000, n_events))
    event = rng.integers(-1, n_events, n)
    time = np.where(event >= 0, origins[event] + rng.uniform(0, 30, n), rng.uniform(0, 1030, n))
    order = np.argsort(time)
    event, time = event[order], time[order]
    station, phase = rng.integers(0, 9, n), rng.integers(0, 2, n)
    residual = np.where(event >= 0, rng.normal(0, 0.1, n), np.nan)
    with store:
        for low in range(0, n, 70):
            own = slice(low, low + 70)
            store.add_picks(station[own], phase[own], time[own])
        for low in range(0, n, 110):
            own = slice(low, low + 110)
            store.add_association(event[own], residual[own])
    return store, origins, event, station, phase, time, residual


@pytest.mark.parametrize("at_once", [1, 5, 1000])
def test_picks_by_event(tmp_path, at_once):
    store, origins, event, station, phase, time, residual = _filled(tmp_path, np.random.default_rng(1))
    seen = 0
    for part in store.by_event(origins, 31.0, at_once):
        assert part.first_event == seen
        for number in range(part.first_event, part.first_event + part.n_events):
            mine = part.event == number
            wanted = np.flatnonzero(event == number)
            np.testing.assert_array_equal(part.pick[mine], wanted)
            np.testing.assert_array_equal(part.station[mine], station[wanted])
            np.testing.assert_array_equal(part.phase[mine], phase[wanted])
            np.testing.assert_array_equal(part.time_s[mine], time[wanted])
            np.testing.assert_array_equal(part.residual_s[mine], residual[wanted])
        seen += part.n_events
    assert seen == len(origins)
    assert store.largest_residual_s() == np.nanmax(np.abs(residual))


def test_stations_get_other_numbers(tmp_path):
    store, *_, station, _, _, _ = _filled(tmp_path, np.random.default_rng(2))
    store.renumber_stations(np.arange(9)[::-1])
    np.testing.assert_array_equal(store.column("station"), 8 - station)


def test_an_empty_store(tmp_path):
    with PickStore(tmp_path) as store:
        pass
    assert len(store.column("event")) == 0
    assert list(store.by_event(np.empty(0), 1.0)) == []


def test_medians_from_histograms(tmp_path):
    store, origins, event, station, phase, _, residual = _filled(tmp_path, np.random.default_rng(3), n=20_000)
    residuals = Residuals(9, store.largest_residual_s())
    for part in store.by_event(origins, 31.0):
        residuals.add(part)
    assert residuals.counts.sum() == (event >= 0).sum()
    mine = residual[(event >= 0) & (phase == 1) & (station == 4)]
    counts = residuals.counts[4, 1]
    width = 2 * residuals.reach_s / residuals.counts.shape[2]
    assert residuals.median_absolute(counts) == pytest.approx(np.median(np.abs(mine)), abs=width)
    for share in (0.05, 0.5, 0.95):
        assert residuals.quantile(counts, share) == pytest.approx(np.quantile(mine, share), abs=2 * width)
    assert np.isnan(residuals.quantile(np.zeros_like(counts), 0.5))
    assert np.isnan(residuals.median_absolute(np.zeros_like(counts)))
