"""Simulated earthquakes and picks: every pick has its event, and the confusion factor is the paper's."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from datamodules.errors import DataError
from datamodules.simulate.arrivals import (
    SPURIOUS,
    origin_time_range_for_confusion_factor,
    random_stations,
    simulate_arrivals,
)

STATIONS = random_stations(12, seed=1000)


def _times_s(points):
    return np.linalg.norm(points[:, None] - STATIONS, axis=-1) / 6.0


def test_stations_are_on_the_surface_and_more_change_none():
    assert STATIONS.shape == (12, 3)
    assert (STATIONS[:, 2] == 0).all()
    assert (STATIONS[:, :2] >= 0).all()
    assert (STATIONS[:, :2] <= 100).all()
    assert (random_stations(4, seed=1000) == STATIONS[:4]).all()


def test_without_noise_every_pick_is_its_events_arrival():
    made = simulate_arrivals(1000, _times_s, 9, (3.0, 5.0))
    assert made.positions_km.shape == (9, 3)
    assert ((made.origin_times_s >= 3) & (made.origin_times_s <= 5)).all()
    assert (made.time_s == made.exact_time_s[made.event_of_pick, made.station]).all()
    np.testing.assert_allclose(made.exact_time_s, _times_s(made.positions_km) + made.origin_times_s[:, None])
    for station in range(12):
        mine = made.station == station
        assert sorted(made.event_of_pick[mine]) == list(range(9))
        assert (np.diff(made.time_s[mine]) >= 0).all()


def test_noise_missing_and_spurious_picks():
    made = simulate_arrivals(1000, _times_s, 20, (0.0, 2.0), pick_noise_s=0.05, p_missing=0.1, p_spurious=0.25)
    for station in range(12):
        mine = made.event_of_pick[made.station == station]
        assert np.count_nonzero(mine == SPURIOUS) == 5
        assert len(set(mine[mine != SPURIOUS])) == np.count_nonzero(mine != SPURIOUS) == 18
    true = made.event_of_pick != SPURIOUS
    noise_s = made.time_s[true] - made.exact_time_s[made.event_of_pick[true], made.station[true]]
    assert 0.04 < noise_s.std() < 0.06


def test_a_longer_range_only_spreads_the_same_events():
    short, long = (simulate_arrivals(1000, _times_s, 6, (0.0, end)) for end in (1.0, 10.0))
    assert (short.positions_km == long.positions_km).all()
    np.testing.assert_allclose(10 * short.origin_times_s, long.origin_times_s)


@pytest.mark.parametrize("wanted", [0.1, 0.5, 0.85])
def test_a_wanted_confusion_factor_is_met(wanted):
    found = origin_time_range_for_confusion_factor(1000, _times_s, 16, wanted)
    made = simulate_arrivals(1000, _times_s, 16, found)
    taus = [kendalltau(arrivals, made.origin_times_s).statistic for arrivals in made.exact_time_s.T]
    assert 1 - max(float(np.mean(taus)), 0) == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("change", [{"p_missing": 1.2}, {"pick_noise_s": -1.0}, {"origin_time_range_s": (1.0, 0.0)}])
def test_impossible_arguments_are_refused(change):
    arguments = {"origin_time_range_s": (0.0, 1.0), **change}
    with pytest.raises(DataError):
        simulate_arrivals(0, _times_s, 3, **arguments)


def test_parts_of_a_pick_are_drawn_by_lot():
    # Of eight events .4 picks a station are spurious and .8 missing: rounded, that would be none and all.
    n_stations, spurious, missing = 12, 0, 0
    for seed in range(60):
        made = simulate_arrivals(seed, _times_s, 8, (0.0, 2.0), p_missing=0.1, p_spurious=0.05)
        false = made.event_of_pick == SPURIOUS
        assert set(np.bincount(made.station[false], minlength=n_stations).tolist()) <= {0, 1}
        assert set(np.bincount(made.station[~false], minlength=n_stations).tolist()) <= {7, 8}
        spurious += false.sum()
        missing += 8 * n_stations - (~false).sum()
    assert spurious / (60 * 8 * n_stations) == pytest.approx(0.05, abs=0.01)
    assert missing / (60 * 8 * n_stations) == pytest.approx(0.1, abs=0.01)
