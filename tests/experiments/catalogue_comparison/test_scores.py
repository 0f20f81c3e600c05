"""Scores against a truth, shuffled names, and tools run in processes of their own."""

import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.catalogue_comparison import scores
from experiments.catalogue_comparison.tools import Answer, Request, StoppedError, Tool, run
from experiments.errors import SettingsError

DEPTHS = np.array([0.0, 30.0])


def _answer(events, n_events, positions=None, times=None, residuals=None):
    events = np.asarray(events)
    return Answer("x", "1", np.zeros((n_events, 3)) if positions is None else positions,
                  np.zeros(n_events) if times is None else times, events,
                  np.full(len(events), np.nan) if residuals is None else residuals, 0, 0, 0)  # fmt: skip


def _request(n=6, n_stations=3):
    stations = np.array([[0, 0, 0], [20, 0, 0], [0, 20, -1]], float)[:n_stations]
    return Request(stations, np.arange(n) % n_stations, np.arange(n) // n_stations % 2, np.arange(n, dtype=float),
                   np.ones(n), np.array([[-30, -30, -1], [30, 30, 30.0]]), DEPTHS, np.array([6.0, 6.0]),
                   np.array([3.5, 3.5]))  # fmt: skip


def test_the_truth_scores_one():
    true = np.array([0, 0, 0, 1, 1, 1, -1, 2, 2])
    found = scores.against_truth(_answer(np.where(true == 2, -1, true), 2), true, 3, min_picks=3)
    assert (found.event_f1, found.pick_f1, found.n_visible) == (1, 1, 2)


def test_an_invisible_event_found_is_no_error():
    true = np.array([0, 0, 0, 1, 1])
    found = scores.against_truth(_answer(true, 2), true, 2, min_picks=3)
    assert (found.event_precision, found.event_recall, found.pick_f1) == (1, 1, 1)


def test_split_merged_and_false_events():
    true = np.array([0] * 6 + [1] * 6 + [-1] * 4)
    split = scores.against_truth(_answer([0] * 4 + [1] * 2 + [2] * 6 + [-1] * 4, 3), true, 2, 4)
    assert split.event_precision == pytest.approx(2 / 3)
    assert split.event_recall == 1
    assert split.pick_precision == split.pick_recall == pytest.approx(10 / 12)
    merged = scores.against_truth(_answer([0] * 12 + [-1] * 4, 1), true, 2, 4)
    assert (merged.event_precision, merged.event_recall) == (1, 0.5)
    assert merged.pick_precision == pytest.approx(0.5)
    false = scores.against_truth(_answer([-1] * 12 + [0] * 4, 1), true, 2, 4)
    assert (false.event_f1, false.pick_f1) == (0, 0)


def test_nothing_found_scores_nothing():
    found = scores.against_truth(_answer([-1, -1], 0), np.array([0, 0]), 1, 1)
    assert (found.event_f1, found.pick_f1) == (0, 0)


def test_residuals_from_each_tools_own_hypocentre():
    request = _request()
    positions, times = np.array([[5.0, 0, 10], [0, 5, 8]]), np.array([-3.0, 1.0])
    events = np.array([0, 0, 1, 1, 1, -1])
    residual = scores.residuals_s(_answer(events, 2, positions, times), request, scores.provider(request))
    for pick in range(5):
        distance = np.linalg.norm(positions[events[pick]] - request.stations_km[request.station[pick]])
        travel = distance / (6.0, 3.5)[request.phase[pick]]
        assert residual[pick] == pytest.approx(request.time_s[pick] - times[events[pick]] - travel, abs=2e-3)
    assert np.isnan(residual[5])


def test_medians_of_stations_are_taken_away():
    request = _request(12)
    residual = 0.3 * request.station + 0.2 * request.phase + np.tile([-0.01, 0.01], 6)[np.argsort(np.arange(12) // 6)]
    residual[3] = np.nan
    corrected = scores.without_station_medians(residual, request)
    assert np.isnan(corrected[3])
    assert np.nanmax(np.abs(corrected)) <= 0.0101


def test_shuffled_names_keep_times_and_phases():
    request = _request(60)
    shuffled = request.shuffled(3)
    np.testing.assert_array_equal(shuffled.time_s, request.time_s)
    np.testing.assert_array_equal(shuffled.phase, request.phase)
    assert (np.bincount(shuffled.station) == 20).all()
    assert any((request.shuffled(seed).station != request.station).any() for seed in range(5))


ADAPTER = """
import sys
import numpy as np
request = np.load(sys.argv[1])
n = len(request["pick_time_s"])
np.savez(sys.argv[2], positions_km=np.zeros((1, 3)), times_s=np.zeros(1), event_of_pick=np.zeros(n, int),
         residuals_s=np.zeros(n), cpu_s=1.5, version="7")
"""


def test_a_tool_is_run_once_and_measured(tmp_path):
    adapter = tmp_path / "adapter.py"
    adapter.write_text(ADAPTER)
    tool = Tool("Fake", Path(sys.executable), adapter, {})
    answer = run(tool, _request(), tmp_path / "answers")
    assert (answer.version, answer.cpu_s, len(answer.event_of_pick)) == ("7", 1.5, 6)
    assert 0 < answer.process_cpu_s < 60
    assert 10 < answer.peak_mb < 4000
    (kept,) = (tmp_path / "answers").iterdir()
    before = kept.stat().st_mtime_ns
    run(tool, _request(), tmp_path / "answers")
    assert kept.stat().st_mtime_ns == before


def test_a_tool_that_fails_is_told(tmp_path):
    adapter = tmp_path / "adapter.py"
    adapter.write_text("raise RuntimeError('no such thing')")
    with pytest.raises(SettingsError, match=r"Fake failed .*no such thing"):
        run(Tool("Fake", Path(sys.executable), adapter, {}), _request(), tmp_path / "answers")


def test_a_tool_that_was_stopped_is_not_asked_again_for_no_more(tmp_path):
    adapter = tmp_path / "adapter.py"
    adapter.write_text("import time, pathlib\nopen(__file__ + '.asked', 'a').write('.')\nwhile True: pass")
    tool = Tool("Fake", Path(sys.executable), adapter, {})
    for limit_s, times in ((1, 1), (1, 1), (0.5, 1), (2, 2)):
        with pytest.raises(StoppedError, match=r"stopped after . CPU-s"):
            run(tool, _request(), tmp_path / "answers", limit_cpu_s=limit_s)
        assert len((tmp_path / "adapter.py.asked").read_text()) == times
