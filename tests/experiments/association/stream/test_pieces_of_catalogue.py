"""The parts of a catalogue's association, each against a plain second way to say the same."""

from itertools import pairwise

import numpy as np
import pytest

from experiments.association.stream.corrections import gaps_deg
from experiments.association.stream.found import Found
from experiments.association.stream.network import Network
from experiments.association.stream.scan import BIN_S, scan
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.stream.stitching import Stitcher
from experiments.association.stream.window_state import gather
from experiments.association.stream.windows import LONGEST, SHORTEST, WindowCutter
from tests.experiments.association.stream.simulated_catalogue import blocks_of, simulated


@pytest.fixture(scope="module")
def case():
    return simulated(n_events=12, duration_s=600.0)


@pytest.fixture(scope="module")
def network(case):
    return Network(case.stations, case.travel_times, CatalogueSettings(pick_error_s=0.05))


def _cut(blocks, is_last=True):
    cutter = WindowCutter(100.0, 20.0, 20.0)
    found = []
    for block in blocks:
        cutter.add(block.station, block.phase, block.time_s)
        found += cutter.windows(is_last=False)
    return found + (cutter.windows(is_last=True) if is_last else [])


def test_windows_follow_one_another_and_hold_all_their_picks(case):
    windows = _cut([case.picks])
    times_s = case.picks.time_s
    assert windows[0].begin_s <= times_s[0]
    assert windows[-1].end_s > times_s[-1]
    for earlier, later in pairwise(windows):
        assert later.begin_s >= earlier.end_s
        assert not ((times_s >= earlier.end_s) & (times_s < later.begin_s)).any()
        assert SHORTEST * 100 - 1e-6 <= earlier.end_s - earlier.begin_s <= LONGEST * 100 + 1e-6
    for window in windows:
        inside = (times_s >= window.begin_s - 20) & (times_s < window.end_s + 40)
        np.testing.assert_array_equal(window.time_s, times_s[inside])
        assert window.first == np.flatnonzero(inside)[0]


@pytest.mark.parametrize("n", [1, 17, 200])
def test_windows_do_not_depend_on_blocks(case, n):
    for a, b in zip(_cut([case.picks]), _cut(blocks_of(case.picks, n)), strict=True):
        assert (a.number, a.begin_s, a.end_s, a.first) == (b.number, b.begin_s, b.end_s, b.first)
        np.testing.assert_array_equal(a.time_s, b.time_s)


def test_windows_end_where_it_is_quiet_and_skip_silence():
    bursts = np.concatenate([np.linspace(t, t + 15, 60) for t in (10.0, 60.0, 150.0, 5000.0)])
    cutter = WindowCutter(100.0, 20.0, 20.0)
    cutter.add(np.zeros(len(bursts), int), np.zeros(len(bursts), int), bursts)
    windows = cutter.windows(is_last=True)
    assert [window.begin_s for window in windows] == [-10.0, 50.0, 130.0, 4980.0]
    # No burst is cut.
    for window in windows[:-1]:
        assert not ((bursts > window.end_s) & (bursts < window.end_s + 8)).any()


def test_a_cutter_holds_what_it_needs_only():
    cutter = WindowCutter(100.0, 20.0, 20.0)
    most = 0
    for begin in np.arange(0.0, 20_000.0, 50.0):
        times_s = begin + np.arange(0.0, 50.0, 0.5)
        cutter.add(np.zeros(100, int), np.zeros(100, int), times_s)
        cutter.windows(is_last=False)
        most = max(most, len(cutter._time_s))
    assert most < 2 * (LONGEST * 100 + 60 + 50)


def test_votes_are_those_of_a_plain_count(case, network):
    picks = gather(network, case.picks.station, case.picks.phase, case.picks.time_s, np.arange(len(case.picks)),
                   np.zeros((16, 2)))  # fmt: skip
    free = np.ones(len(picks.times_s), bool)
    residual_s = np.array([0.1, 0.15])
    phase = network.channels[:, 1]
    peaks = scan(network.grid, picks.times_s, picks.first, phase, free, residual_s, 0.0, 600.0, 12, 100)
    assert len(peaks.events) >= 12
    half_s = (network.grid.half_width_s + residual_s)[phase]
    for event, votes in zip(peaks.events[:12], peaks.votes[:12], strict=True):
        node = int(np.argmin(np.linalg.norm(network.grid.positions_km - event[:3], axis=1)))
        mine = [
            np.abs(picks.times_s[picks.first[c] : picks.first[c + 1]] - network.grid.times_s[node, c] - event[3])
            for c in network.grid.near[node]
        ]
        # An interval counts for all of a bin that it touches.
        for margin_s, compare in ((0.0, np.greater_equal), (BIN_S, np.less_equal)):
            counted = sum(
                bool((apart < half_s[c] + margin_s).any())
                for apart, c in zip(mine, network.grid.near[node], strict=True)
            )
            assert compare(votes, counted)


def test_events_stand_out_of_votes(case, network):
    picks = gather(network, case.picks.station, case.picks.phase, case.picks.time_s, np.arange(len(case.picks)),
                   np.zeros((16, 2)))  # fmt: skip
    free = np.ones(len(picks.times_s), bool)
    peaks = scan(network.grid, picks.times_s, picks.first, network.channels[:, 1], free, np.array([0.1, 0.15]),
                 0.0, 600.0, 12, 100)  # fmt: skip
    for position, time in zip(case.positions_km, case.times_s, strict=True):
        away = np.linalg.norm(peaks.events[:, :3] - position, axis=1) / 8.0
        assert np.hypot(away, (peaks.events[:, 3] - time) / 2.0).min() < 1


def _found(network, events, picks, evidence):
    n_channels = len(network.channels)
    row, time_s = np.full((len(events), n_channels), -1), np.full((len(events), n_channels), np.nan)
    arrivals_s, _ = network.times_and_derivatives(np.asarray(events, float))
    for e, mine in enumerate(picks):
        for channel, number in mine.items():
            row[e, channel], time_s[e, channel] = number, arrivals_s[channel, e]
    return Found(np.asarray(events, float), np.array([[v, 1.0] for v in evidence]), row, time_s)


def test_an_event_of_two_windows_is_one(network):
    events = [[30.0, 30.0, 8.0, 99.5]]
    picks = [{c: 100 + c for c in range(20)}]
    stitcher = Stitcher(network)
    assert len(stitcher.add(0.0, _found(network, events, picks, [50.0]))) == 0
    moved = [[30.1, 30.0, 8.0, 99.6]]
    stitcher.add(100.0, _found(network, moved, picks, [60.0]))
    final = stitcher.finish()
    assert len(final) == 1
    assert final.evidence[0, 0] == 60.0


def test_a_pick_that_two_events_claim_goes_to_the_nearer(network):
    first = _found(network, [[30.0, 30.0, 8.0, 95.0]], [{c: c for c in range(20)}], [50.0])
    second = _found(network, [[10.0, 40.0, 8.0, 102.0]], [{c: 50 + c for c in range(20)}], [50.0])
    second.row[0, 3], second.time_s[0, 3] = first.row[0, 3], second.time_s[0, 3] + 0.1
    stitcher = Stitcher(network)
    stitcher.add(0.0, first)
    final = stitcher.add(100.0, second)
    assert final.row[0, 3] == 3
    last = stitcher.finish()
    assert last.row[0, 3] == -1
    assert np.isnan(last.time_s[0, 3])
    np.testing.assert_allclose(last.events, [[10.0, 40.0, 8.0, 102.0]], atol=1e-2)


def test_an_event_left_with_too_few_picks_goes(network):
    first = _found(network, [[30.0, 30.0, 8.0, 99.5]], [{c: c for c in range(20)}], [50.0])
    second = _found(network, [[30.0, 31.0, 8.0, 100.5]], [{c: (c if c in (0, 1, 2) else 60 + c) for c in range(6)}],
                    [15.0])  # fmt: skip
    second.time_s[0, :3] += 0.3
    stitcher = Stitcher(network)
    stitcher.add(0.0, first)
    stitcher.add(100.0, second)
    assert len(stitcher.finish()) == 1


def test_gaps_are_those_of_the_compass(network):
    n_channels = len(network.channels)
    row = np.full((2, n_channels), -1)
    row[0, 0] = 5
    centre = network.stations_km[:, :2].mean(axis=0)
    row[1] = np.arange(n_channels)
    found = Found(np.array([[*centre, 5.0, 0.0]] * 2), np.zeros((2, 2)), row, np.zeros((2, n_channels)))
    gaps = gaps_deg(network, found)
    assert gaps[0] == 360.0
    assert 360.0 / 16 < gaps[1] < 90.0
