"""The benchmark's own workings, on problems that are solved at once; nothing is timed."""

import json

import numpy as np
import pytest

from datamodules.simulate.arrivals import random_stations
from experiments import association_benchmark_run
from experiments.association_benchmark import chosen_rows, line, main, seeds_of
from experiments.association_benchmark_rows import ROWS, Bench, Row, known
from experiments.association_benchmark_run import BenchmarkRun
from experiments.association_growth import POINTS, growth_figure, measure_here
from experiments.association_trials import Setting, point_times
from experiments.errors import SettingsError

NAMES = [row.name for row in ROWS]
EASY = Row("easy", "", known(Setting(n_events=2), 8), "ACC 1", lambda found: found["accuracy"] == 1.0)


def test_the_goals_have_a_row_each():
    assert len(set(NAMES)) == len(NAMES)
    for name in ("known/8x20", "known/16x50", "known/16x20", "known/32x100", "known/32x50", "noise/0s", "noise/0.1s",
                 "psgld/8x20", "incomplete/known", "unknown/grf/8x20", "unknown/grf/16x50", "unknown/grf/16x20",
                 "unknown/gaussian/8x20"):  # fmt: skip
        assert name in NAMES
    row = ROWS[0]
    assert row.is_met is not None
    assert row.is_met({"accuracy": 0.995, "cpu_s": 0.5})
    assert not row.is_met({"accuracy": 0.994, "cpu_s": 0.1})
    assert not row.is_met({"accuracy": 1.0, "cpu_s": 0.51})


def test_seeds_and_rows_are_chosen_by_name():
    assert seeds_of("0-3") == [0, 1, 2, 3]
    assert seeds_of("5,7") == [5, 7]
    assert chosen_rows(["noise", "psgld/8x20"], NAMES) == [*(n for n in NAMES if n.startswith("noise")), "psgld/8x20"]
    for wrong in ("few", "3-"):
        with pytest.raises(SettingsError, match="--seeds"):
            seeds_of(wrong)
    with pytest.raises(SettingsError, match="did you mean 'known/8x20'"):
        chosen_rows(["knwn/8x20"], NAMES)


def test_a_line_shows_whether_the_goal_is_met():
    found = {"accuracy": 0.5, "accuracy_min": 0.25, "cpu_s": 1.5}
    assert " NO " in line("row", found, "goal", False)
    assert " yes " in line("row", found, "goal", True)
    assert "0.250" in line("row", found, "goal", None)


def test_a_row_is_measured_once_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(association_benchmark_run, "WARM_UP_SEED", 1000)
    run = BenchmarkRun(None, tmp_path / "cache", tmp_path / "runs", tmp_path / "out", [1001, 1002])
    means, met = run.row(EASY)
    assert met
    assert means["oracle_accuracy"] == 1.0
    assert {"easy/seed1001", "easy/seed1002"} == set(
        json.loads((tmp_path / "out" / "solves.json").read_text())["results"]
    )
    monkeypatch.setattr(association_benchmark_run, "summary", lambda found: dict(found[0]))
    again = BenchmarkRun(None, tmp_path / "cache", tmp_path / "runs", tmp_path / "out", [1001])
    lazy = Row("easy", "", lambda *_: 1 / 0)
    assert again.row(lazy)[0]["accuracy"] == 1.0, "it is in the ledger"
    run.write({"easy": {"means": means, "goal": EASY.goal, "met": met}})
    record = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert record["seeds"] == [1001, 1002]
    assert record["table"]["easy"]["met"] is True
    assert record["provenance"]["data"]["model"]


def test_a_table_gives_its_own_nodes_and_is_the_truth_that_is_solved(tmp_path):
    bench = Bench(None, tmp_path, tmp_path)
    stations_km = random_stations(2, 1000)
    times = point_times(bench.table(stations_km))
    found = times(np.array([[50.0, 50.0, 80.0], [0.0, 0.0, 0.0]]))
    assert found.shape == (2, 2)
    assert (found > 0).all()


def test_growth_is_measured_and_drawn(tmp_path):
    point = measure_here(2, 8, 1000, None, tmp_path)
    assert point["accuracy"] == 1.0
    assert point["peak_memory_bytes"] >= point["memory_before_bytes"] > 0
    points = [{**point, "n_events": m, "n_stations": n} for m, n in POINTS]
    assert len(growth_figure(points).axes) == 4


def test_the_list_needs_nothing_and_wrong_input_is_one_sentence(capsys, tmp_path):
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (*NAMES, "growth", "psgld/one_after_another"))
    for wrong in (
        ["--only", "nothing"],
        ["--seeds", "few"],
        ["--data_root", str(tmp_path / "absent"), "--only", "known"],
    ):
        assert main([*wrong, "--run_root", str(tmp_path), "--cache_root", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
