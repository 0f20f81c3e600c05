"""The example of the README: its files are read, and its events are found, without being told how many there are."""

import csv
from datetime import datetime

import numpy as np

from experiments.association import example
from experiments.association.cli import main


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_runner_finds_the_examples_events(tmp_path, capsys):
    assert example.main([str(tmp_path)]) == 0
    out = tmp_path / "results"
    arguments = ["--picks", str(tmp_path / "picks.csv"), "--stations", str(tmp_path / "stations.csv"),
                 "--velocity_1d", str(tmp_path / "velocity_1d.csv"), "--pick_noise_s", "0.05", "--out", str(out),
                 "--cache_root", str(tmp_path / "cache"), "--no_figure", "--quiet"]  # fmt: skip
    assert main(arguments) == 0
    true, found = _rows(tmp_path / "true_events.csv"), _rows(out / "events.csv")
    assert len(found) == len(true) == 12
    for mine, theirs in zip(found, true, strict=True):
        between = datetime.fromisoformat(mine["time"]) - datetime.fromisoformat(theirs["time"])
        assert abs(between.total_seconds()) < 0.15
        assert abs(float(mine["depth_km"]) - float(theirs["depth_km"])) < 1.0
        assert abs(float(mine["latitude"]) - float(theirs["latitude"])) < 0.01
    picks = _rows(out / "picks.csv")
    right = [row["event_index"] == row["true_event_index"] for row in picks]
    assert np.mean(right) > 0.95


def test_it_is_the_same_each_time_and_refuses_a_folder_that_is_a_file(tmp_path, capsys):
    for name in ("a", "b"):
        assert example.main([str(tmp_path / name), "--seed", "3"]) == 0
    for name in ("picks.csv", "stations.csv", "velocity_1d.csv", "true_events.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (tmp_path / "file").write_text("")
    assert example.main([str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
