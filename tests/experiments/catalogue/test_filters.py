"""Filters: each takes what it should and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.catalogue import filters
from experiments.catalogue.filters import Alive, Filters, Reliabilities
from experiments.catalogue.store import EventPicks

N = 8
STATIONS = np.c_[10.0 * np.arange(N), np.zeros(N), np.zeros(N)]  # on a line, the event at its start
LOOSE = Filters(1, 0, 0, 0, min_seen=0)


def _picks(rows) -> EventPicks:
    """Rows of event, station, phase, time, residual."""
    event, station, phase, time, residual = (np.array(column) for column in zip(*rows, strict=True))
    n = int(event.max()) + 1
    return EventPicks(0, n, np.arange(len(rows)), event, station, phase, time.astype(float), residual.astype(float))


def _apply(chosen: Filters, picks: EventPicks, outside=None, reliability=None, alive=None):
    n = picks.n_events
    if alive is None:
        alive = Alive(N, 0.0, 10.0)
        alive.add(np.arange(N), np.zeros(N))
    outside = np.zeros(n, bool) if outside is None else outside
    reliability = np.ones(N) if reliability is None else reliability
    return filters.apply(chosen, picks, np.zeros((n, 2)), STATIONS, outside, reliability, alive)


def test_thresholds_of_counts():
    picks = _picks([(0, 0, 0, 1, 0.1), (0, 0, 1, 2, 0.1), (0, 1, 0, 2, 0.1), (1, 0, 0, 5, 0.3), (1, 1, 0, 6, 0.4)])
    kept = _apply(LOOSE, picks)
    assert kept.event.tolist() == [True, True]
    assert (kept.n_p.tolist(), kept.n_s.tolist(), kept.n_both.tolist()) == ([2, 2], [1, 0], [1, 0])
    np.testing.assert_allclose(kept.rms_s, [0.1, np.sqrt((0.09 + 0.16) / 2)])
    for change in ({"min_picks": 3}, {"min_s": 1}, {"min_both": 1}, {"max_rms_s": 0.2}):
        kept = _apply(replace(LOOSE, **change), picks)
        assert kept.event.tolist() == [True, False]
        assert kept.pick.tolist() == [True, True, True, False, False]
        assert sum(kept.dropped_events.values()) == 1
    assert _apply(replace(LOOSE, min_p=3), picks).event.tolist() == [False, False]


def test_large_residuals_go_and_an_event_with_them():
    picks = _picks([(0, 0, 0, 1, 0.5), (0, 0, 1, 2, -0.7), (0, 1, 1, 3, 0.9)])
    kept = _apply(replace(LOOSE, max_residual_s=0.5, s_factor=1.5), picks)
    assert kept.pick.tolist() == [True, True, False]
    assert kept.dropped_picks["residual"] == 1
    assert not _apply(replace(LOOSE, max_residual_s=0.5, min_picks=3), picks).event.any()


def test_of_an_s_not_after_its_p_the_worse_goes():
    rows = [
        (0, 0, 0, 5, 0.1),
        (0, 0, 1, 5, 0.3),
        (0, 1, 0, 6, 0.4),
        (0, 1, 1, 5, 0.2),
        (0, 2, 0, 1, 9),
        (0, 2, 1, 2, 9),
    ]
    assert _apply(LOOSE, _picks(rows)).pick.tolist() == [True, False, False, True, True, True]
    # P at one station and S at another do not meet, nor do those of two events.
    rows = [(0, 0, 0, 5, 0.1), (0, 1, 1, 4, 0.1), (1, 0, 1, 4, 0.1)]
    assert _apply(LOOSE, _picks(rows)).pick.all()


def test_a_far_station_needs_nearer_ones_that_were_at_work():
    rows = [(0, 0, 0, 1, 0), (0, 7, 0, 9, 0)]  # 7 is farthest: of eight stations that should have, two have
    chosen = replace(LOOSE, min_seen=0.5)
    assert _apply(chosen, _picks(rows)).pick.tolist() == [True, False]
    assert _apply(replace(chosen, min_seen=0.25), _picks(rows)).pick.all()
    deaf = np.r_[1.0, np.full(6, 0.1), 1.0]  # the others hardly ever see anything
    assert _apply(chosen, _picks(rows), reliability=deaf).pick.all()
    alive = Alive(N, 0.0, 10.0)
    alive.add(np.array([0, 7]), np.zeros(2))  # the others are off
    assert _apply(chosen, _picks(rows), alive=alive).pick.all()


def test_alive_within_an_hour_or_so():
    alive = Alive(2, 0.0, 40_000.0)
    alive.add(np.array([0, 1]), np.array([100.0, 20_000.0]))
    assert alive.at(np.array([0.0, 3000.0])).tolist() == [[True, False], [True, False]]
    assert alive.at(np.array([9000.0, 20_500.0, 40_000.0])).tolist() == [[False, False], [False, True], [False, False]]


def test_reliability_is_the_share_of_nearer_events_seen():
    reliabilities = Reliabilities(N)
    alive = Alive(N, 0.0, 10.0)
    alive.add(np.arange(N), np.zeros(N))
    rows = [(event, station, 0, 1, 0) for event in range(50) for station in range(N) if station != 1 or event % 2]
    reliabilities.add(_picks(rows), np.zeros((50, 2)), STATIONS, alive)
    values = reliabilities.values
    assert values[0] == pytest.approx(52 / 54)
    assert values[1] == pytest.approx(0.5)
    assert values[7] == 0.5  # farther than half of those that saw them: nothing is known


def test_outside_is_outside_the_hull():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10], [5, 5]], float)
    points = np.array([[5, 5], [9.9, 0.1], [10.1, 5], [-1, -1]])
    assert filters.outside_network(points, square).tolist() == [False, False, True, True]
    assert filters.outside_network(points, square[:2]).all()
    assert filters.outside_network(points, square[[0, 4, 2]]).all()
    kept = _apply(
        replace(LOOSE, drop_outside=True), _picks([(0, 0, 0, 1, 0), (1, 0, 0, 1, 0)]), outside=np.array([True, False])
    )
    assert kept.event.tolist() == [False, True]


def test_defaults_follow_from_the_network():
    assert [filters.default_filters(n, True).min_picks for n in (5, 30, 40, 56, 500)] == [5, 5, 7, 8, 8]
    assert filters.default_filters(10, False).min_s == 0
