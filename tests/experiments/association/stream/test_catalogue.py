"""Catalogues of simulated picks: what is found, and that nothing but the picks decides it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from experiments.association.problem import Picks, Stations
from experiments.association.stream import window_work
from experiments.association.stream.associate import CatalogueStream, associate_catalogue
from experiments.association.stream.catalogue import CatalogueEvents
from experiments.association.stream.settings import CatalogueSettings
from experiments.catalogue_comparison.scores import against_truth
from experiments.catalogue_comparison.tools import Answer
from experiments.errors import SettingsError
from tests.experiments.association.stream.simulated_catalogue import blocks_of, simulated

PLAIN = CatalogueSettings(pick_error_s=0.05, station_corrections=False)


@pytest.fixture(scope="module")
def case():
    return simulated()


@pytest.fixture(scope="module")
def catalogue(case):
    return associate_catalogue(case.picks, case.stations, case.travel_times, PLAIN)


def _same(a, b):
    assert len(a) == len(b) > 0
    for field in fields(CatalogueEvents):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def _joined(stream):
    pieces = list(stream)
    firsts = np.cumsum([0, *(len(piece.events) for piece in pieces)])
    assert [piece.first_event for piece in pieces] == firsts[:-1].tolist()
    at = np.cumsum([0, *(len(piece.event_of_pick) for piece in pieces)])
    assert [piece.first_pick for piece in pieces] == at[:-1].tolist()
    return (
        CatalogueEvents.joined(piece.events for piece in pieces),
        np.concatenate([piece.event_of_pick for piece in pieces]),
        np.concatenate([piece.residuals_s for piece in pieces]),
    )


def test_it_finds_the_events_and_whose_the_picks_are(case, catalogue):
    events = catalogue.events
    assert len(events) == len(case.times_s)
    assert np.abs(events.times_s - case.times_s).max() < 0.2
    assert np.linalg.norm(events.positions_km - case.positions_km, axis=1).max() < 2.0
    assert (catalogue.event_of_pick == case.event_of_pick).mean() > 0.98
    assert (np.diff(events.times_s) > 0).all()
    mine = catalogue.event_of_pick >= 0
    assert np.isnan(catalogue.residuals_s[~mine]).all()
    counted = np.bincount(catalogue.event_of_pick[mine], minlength=len(events))
    np.testing.assert_array_equal(counted, events.n_p + events.n_s)
    squares = np.bincount(catalogue.event_of_pick[mine], catalogue.residuals_s[mine] ** 2)
    np.testing.assert_allclose(np.sqrt(squares / counted), events.rms_s)
    # Standard errors say how far off events are.
    off = np.abs(events.positions_km - case.positions_km) / events.position_errors_km
    assert 0.3 < np.median(off) < 1.1


def test_residuals_are_those_of_the_events_given(case, catalogue):
    mine = np.flatnonzero(catalogue.event_of_pick >= 0)
    event, station = catalogue.event_of_pick[mine], case.picks.station[mine]
    away = np.linalg.norm(catalogue.events.positions_km[event] - case.stations.positions_km[station], axis=1)
    speed = np.array([6.0, 3.4])[case.picks.phase[mine]]
    expected = case.picks.time_s[mine] - catalogue.events.times_s[event] - away / speed
    np.testing.assert_allclose(catalogue.residuals_s[mine], expected, atol=1e-9)


def test_no_channel_gives_an_event_two_picks(case, catalogue):
    mine = catalogue.event_of_pick >= 0
    keys = np.c_[catalogue.event_of_pick, case.picks.station, case.picks.phase][mine]
    assert len(np.unique(keys, axis=0)) == len(keys)


@pytest.mark.parametrize("n", [7, 250])
def test_blocks_do_not_matter(case, catalogue, n):
    found = _joined(CatalogueStream(blocks_of(case.picks, n), case.stations, case.travel_times, PLAIN))
    _same(found[0], catalogue.events)
    np.testing.assert_array_equal(found[1], catalogue.event_of_pick)
    np.testing.assert_array_equal(found[2], catalogue.residuals_s)


def test_blocks_do_not_matter_where_corrections_are_learnt(case):
    settings = CatalogueSettings(learning_picks=500)
    whole, parts = (
        CatalogueStream(blocks_of(case.picks, n), case.stations, case.travel_times, settings) for n in (10_000, 33)
    )
    _same(_joined(whole)[0], _joined(parts)[0])
    np.testing.assert_array_equal(whole.corrections_s, parts.corrections_s)
    assert whole.settings == parts.settings != settings


def test_the_order_of_picks_does_not_matter(case, catalogue):
    order = np.random.default_rng(1).permutation(len(case.picks))
    mixed = Picks(case.picks.station[order], case.picks.phase[order], case.picks.time_s[order])
    found = associate_catalogue(mixed, case.stations, case.travel_times, PLAIN)
    _same(found.events, catalogue.events)
    np.testing.assert_array_equal(found.event_of_pick, catalogue.event_of_pick[order])


@pytest.mark.slow
def test_the_number_of_processes_does_not_matter(case, catalogue):
    found = associate_catalogue(case.picks, case.stations, case.travel_times, PLAIN, workers=2)
    _same(found.events, catalogue.events)
    np.testing.assert_array_equal(found.event_of_pick, catalogue.event_of_pick)


def test_a_stopped_run_goes_on(case, catalogue, tmp_path, monkeypatch):
    stream = iter(
        CatalogueStream(blocks_of(case.picks, 50), case.stations, case.travel_times, PLAIN, checkpoint_folder=tmp_path)
    )
    for _ in range(5):
        next(stream)
    stream.close()
    kept = len(list(tmp_path.glob("*.npz")))
    assert kept >= 5
    solved = []
    solve = window_work.solve
    monkeypatch.setattr(window_work, "solve", lambda *given: solved.append(1) or solve(*given))
    found = associate_catalogue(case.picks, case.stations, case.travel_times, PLAIN, checkpoint_folder=tmp_path)
    _same(found.events, catalogue.events)
    np.testing.assert_array_equal(found.residuals_s, catalogue.residuals_s)
    assert len(solved) == found.n_windows - kept
    # Other settings find nothing to go on with.
    solved.clear()
    other = replace(PLAIN, least_picks=7)
    found = associate_catalogue(case.picks, case.stations, case.travel_times, other, checkpoint_folder=tmp_path)
    assert len(solved) == found.n_windows


def test_station_corrections_are_learnt():
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 0.2, (16, 2))
    case = simulated(n_events=60, duration_s=6000.0, corrections_s=truth, seed=2)
    with_them = associate_catalogue(case.picks, case.stations, case.travel_times)
    without = associate_catalogue(case.picks, case.stations, case.travel_times, replace(PLAIN, pick_error_s=0.15))
    shifted = truth - truth[:, 0].mean()
    assert np.sqrt(np.mean((with_them.corrections_s - shifted) ** 2)) < 0.07 < 0.15 < np.sqrt(np.mean(shifted**2))
    assert np.nanmedian(np.abs(with_them.residuals_s)) < 0.5 * np.nanmedian(np.abs(without.residuals_s))
    assert (with_them.event_of_pick == case.event_of_pick).mean() > 0.97


def test_stations_under_false_names_give_next_to_nothing(case):
    false = np.random.default_rng(3).permutation(len(case.stations.ids))
    picks = Picks(false[case.picks.station], case.picks.phase, case.picks.time_s)
    found = associate_catalogue(picks, case.stations, case.travel_times, PLAIN)
    assert len(found.events) <= 1


def test_events_that_overlap_are_told_apart():
    case = simulated(n_events=40, duration_s=40.0, seed=4, noise_s=0.02, missing=0.05)
    found = associate_catalogue(case.picks, case.stations, case.travel_times, PLAIN)
    apart = np.abs(found.events.times_s[:, None] - case.times_s) / 0.3
    apart = np.maximum(apart, np.linalg.norm(found.events.positions_km[:, None] - case.positions_km, axis=-1) / 4.0)
    assert (apart.min(axis=0) < 1).mean() > 0.9
    assert (apart.min(axis=1) < 1).mean() > 0.9


def test_nothing_to_find_is_no_event(case):
    alone = Picks(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([5.0, 6.0, 1e5]))
    for picks in (alone, Picks(np.empty(0, int), np.empty(0, int), np.empty(0))):
        found = associate_catalogue(picks, case.stations, case.travel_times, PLAIN)
        assert len(found.events) == 0
        assert (found.event_of_pick == -1).all()
        assert len(found.event_of_pick) == len(picks)


def test_p_alone_is_enough_where_s_is_not_known(case):
    from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes

    is_p = case.picks.phase == 0
    picks = Picks(case.picks.station[is_p], case.picks.phase[is_p], case.picks.time_s[is_p])
    times = HomogeneousTravelTimes(case.stations.positions_km, {0: 6.0}, case.travel_times.bounds_km)
    found = associate_catalogue(picks, case.stations, times, PLAIN)
    assert len(found.events) == len(case.times_s)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: {"picks": Picks(c.picks.station, c.picks.phase, np.where(c.picks.station == 3, np.nan,
                                                                          c.picks.time_s))}, "not finite"),
        (lambda c: {"picks": Picks(c.picks.station + 9, c.picks.phase, c.picks.time_s)}, "of 16"),
        (lambda c: {"picks": Picks(c.picks.station, c.picks.phase + 1, c.picks.time_s)}, "without travel times"),
        (lambda c: {"settings": replace(PLAIN, window_s=10.0)}, "window_s is 10"),
        (lambda c: {"settings": replace(PLAIN, pick_error_s=0.0)}, "pick_error_s is 0"),
        (lambda c: {"settings": replace(PLAIN, least_picks=4)}, "least_picks is 4"),
        (lambda c: {"stations": Stations(("A", "B"), np.zeros((2, 3)))}, "of 16 stations"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_told(case, change, words):
    given = {"picks": case.picks, "stations": case.stations, "travel_times": case.travel_times, "settings": PLAIN}
    with pytest.raises(SettingsError, match=words):
        associate_catalogue(**(given | change(case)))


def test_a_stream_out_of_order_is_told(case):
    blocks = blocks_of(case.picks, 300)
    stream = CatalogueStream([blocks[1], blocks[0]], case.stations, case.travel_times, PLAIN)
    with pytest.raises(SettingsError, match="pick 300 is earlier"):
        list(stream)


def test_an_event_a_second_is_found_without_being_told_the_errors():
    # Waves take up to 25 s to cross, so that the picks of some twenty events lie between those of each.
    case = simulated(n_events=40, duration_s=40.0, seed=1)
    catalogue = associate_catalogue(case.picks, case.stations, case.travel_times)
    score = against_truth(
        Answer("ours", "", catalogue.events.positions_km, catalogue.events.times_s, catalogue.event_of_pick,
               catalogue.residuals_s, 0, 0, 0), case.event_of_pick, len(case.times_s), 8,
    )  # fmt: skip
    assert score.event_f1 > 0.95
    assert score.pick_f1 > 0.93
