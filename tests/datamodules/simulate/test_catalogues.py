"""Synthetic catalogues: what was asked for is there, and follows from the seed."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.simulate.catalogues import CatalogueSimulation, detection_probability, simulate_catalogue

SMALL = CatalogueSimulation(n_events=120, duration_s=3600.0, n_stations=8, extent_km=16.0, seed=3)


@pytest.fixture(scope="module")
def simulated():
    return simulate_catalogue(SMALL)


def test_shares_of_spurious_and_sorted_times(simulated):
    true = simulated.event >= 0
    assert (~true).sum() == round(0.1 * true.sum())
    assert (np.diff(simulated.time_s) >= 0).all()
    assert len(simulated.event_times_s) == 120
    assert (np.diff(simulated.event_times_s) >= 0).all()


def test_arrivals_follow_the_medium_but_for_noise(simulated):
    true = simulated.event >= 0
    event, station = simulated.event[true], simulated.station[true]
    away = np.linalg.norm(simulated.event_positions_km[event] - simulated.stations_km[station], axis=1)
    travel = simulated.time_s[true] - simulated.event_times_s[event]
    for phase, low, high in ((0, 4.5, 7.2), (1, 2.6, 4.2)):
        mine = (simulated.phase[true] == phase) & (away > 6)
        speed = away[mine] / travel[mine]
        assert low < np.quantile(speed, 0.02) < np.quantile(speed, 0.98) < high


def test_no_channel_has_two_picks_of_an_event(simulated):
    true = simulated.event >= 0
    keys = np.c_[simulated.event[true], simulated.station[true], simulated.phase[true]]
    assert len(np.unique(keys, axis=0)) == len(keys)


def test_magnitudes_fall_tenfold_a_unit():
    # From the definition alone: no travel times are needed for ten thousand events at three stations.
    many = simulate_catalogue(CatalogueSimulation(20_000, n_stations=3, extent_km=4.0, seed=1))
    above = [(many.magnitudes > m).sum() for m in (0.8, 1.8)]
    assert above[0] / above[1] == pytest.approx(10, rel=0.15)


def test_larger_and_nearer_is_seen_by_more():
    assert detection_probability(np.array(1.2), np.array(40.0), 0) == pytest.approx(0.5, abs=0.25)
    distance = np.geomspace(1, 200, 40)
    chance = detection_probability(np.array(1.0), distance, 1)
    assert (np.diff(chance) <= 0).all()
    assert (detection_probability(np.array(2.0), distance, 1) >= chance).all()


def test_the_seed_decides(simulated):
    again = simulate_catalogue(SMALL)
    for one, other in zip(simulated, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("change", [{"n_events": 0}, {"n_stations": 2}, {"missing": 1.0}, {"duration_s": 0.0}])
def test_impossible_catalogues_are_refused(change):
    with pytest.raises(DataError):
        CatalogueSimulation(**change)
