"""What the runner does with mistakes: one sentence, an exit status, and nothing half-written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.association.cli import main
from experiments.errors import SettingsError
from tests.experiments.association.simulated_files import BOUNDS, STATIONS_KM, Family, case_of

MISTAKES = {
    "no speed": ([], "none is given; give one of --wave_speed"),
    "two speeds": (["--p_speed_km_s", "6", "--velocity_1d", "m.csv"], "are given; give one"),
    "spacing without grid": (["--p_speed_km_s", "6", "--spacing_km", "1"], "--spacing_km has no use with"),
    "two for s": (["--p_speed_km_s", "6", "--vp_vs", "1.7", "--s_speed_km_s", "3"], "both say how fast S"),
    "s faster": (["--p_speed_km_s", "6", "--s_speed_km_s", "7"], "not below"),
    "vp_vs": (["--p_speed_km_s", "6", "--vp_vs", "0.5"], "above 1"),
    "bounds": (["--p_speed_km_s", "6", "--bounds_km", "0", "1", "5", "2", "0", "1"], "from low to high"),
    "negative": (["--p_speed_km_s", "-6"], "-6 is not above 0"),
    "unknown option": (["--p_speed_km_s", "6", "--event", "3"], "--event"),
    "too many events": (["--p_speed_km_s", "6", "--events", "16"], "fewer than the 64 unknowns"),
    "solver": (["--p_speed_km_s", "6", "--solver", "magic"], "no such solver"),
    "option of another solver": (["--p_speed_km_s", "6", "--lr", "0.1"], "gauss_newton has no such option"),
    "psgld without events": (["--p_speed_km_s", "6", "--solver", "psgld"], "give --events"),
    "window in the other form": (
        ["--p_speed_km_s", "6", "--origin_time_range", "2026-01-01", "2026-01-02"],
        "in the form of the picks, which is seconds",
    ),
    "window backward": (["--p_speed_km_s", "6", "--origin_time_range", "2", "-1"], "swap them"),
    "columns": (["--p_speed_km_s", "6", "--pick_columns", "station_id"], "a pair such as"),
    "missing grid": (["--wave_speed", "none.npy"], "no such file"),
    "missing field": (["--travel_time_field", "none.ckpt"], "no such file"),
    "complete": (["--p_speed_km_s", "6", "--events", "4", "--complete", "yes"], "leave it out"),
}


@pytest.mark.parametrize(("options", "wanted"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, capsys, options, wanted):
    case = case_of(tmp_path)
    try:
        status = main([*case.arguments, *options])
    except SystemExit as stop:  # argparse's own
        status = stop.code
    message = capsys.readouterr().err
    assert status == 2
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert wanted in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["picks.csv", "stations.csv"]


def test_a_station_outside_the_grid_is_named_with_its_row(tmp_path, capsys):
    np.save(tmp_path / "p.npy", np.full((5, 5, 5), 6.0))
    case = case_of(tmp_path)
    assert main([*case.arguments, "--wave_speed", str(tmp_path / "p.npy"), "--spacing_km", "10"]) == 2
    message = capsys.readouterr().err
    assert "stations.csv, row" in message
    assert "outside the grid, which runs from 0 to 40 km" in message
    assert "--origin_km" in message
    assert not case.out.exists()


def test_picks_of_one_station_and_too_few_picks(tmp_path, capsys):
    case = case_of(tmp_path / "one", shape=lambda rows: [row for row in rows if row[1] == "XX.00"])
    assert main([*case.arguments, "--p_speed_km_s", "6"]) == 2
    assert "all 6 picks are of one station, XX.00" in capsys.readouterr().err
    case = case_of(tmp_path / "few", shape=lambda rows: rows[:3])
    assert main([*case.arguments, "--p_speed_km_s", "6"]) == 2
    assert "3 picks are fewer than the 4 unknowns" in capsys.readouterr().err


def test_results_never_overwrite_what_is_not_theirs(tmp_path, capsys):
    case = case_of(tmp_path)
    options = ["--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--no_figure", "--quiet"]
    out = case.arguments.index("--out") + 1

    def run(folder: Path) -> int:
        return main([*case.arguments[:out], str(folder), *case.arguments[out + 1 :], *options])

    assert run(tmp_path) == 2
    assert "this folder holds the input" in capsys.readouterr().err
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    assert run(foreign) == 2
    assert "holds thesis.txt" in capsys.readouterr().err
    (foreign / "thesis.txt").rename(foreign / "picks.csv")
    assert run(foreign) == 2
    assert run(tmp_path / "stations.csv") == 2
    assert (foreign / "picks.csv").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 0
    first = (tmp_path / "empty" / "events.csv").read_text()
    (tmp_path / "empty" / "events.csv").write_text("damaged")
    assert run(tmp_path / "empty") == 0
    assert (tmp_path / "empty" / "events.csv").read_text() == first  # and the same seed gives the same result
    assert not list(tmp_path.glob(".*"))


def test_a_solve_that_fails_leaves_the_earlier_results(tmp_path, monkeypatch):
    case = case_of(tmp_path)
    options = [*case.arguments, "--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--no_figure", "--quiet"]
    assert main(options) == 0
    before = (case.out / "summary.json").read_text()

    def refuse(*_, **__):
        raise SettingsError("This cannot be solved.")

    monkeypatch.setattr("experiments.association.cli._solve", refuse)
    assert main(options) == 2
    assert (case.out / "summary.json").read_text() == before
    options[options.index("--out") + 1] = str(tmp_path / "new" / "deep" / "out")
    assert main(options) == 2
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_field_of_other_stations_is_refused(tmp_path, monkeypatch, capsys):
    case = case_of(tmp_path)
    (tmp_path / "field.ckpt").write_text("trained")
    moved = STATIONS_KM + np.eye(10, 3) * 0.5
    monkeypatch.setattr("lightning_modules.harpa.checkpoint.load_travel_time_field", lambda path: Family(moved))
    assert main([*case.arguments, "--travel_time_field", str(tmp_path / "field.ckpt"), "--quiet"]) == 2
    assert "trained for 10 other stations: XX.00 is 0.5 km from the nearest" in capsys.readouterr().err
    assert not case.out.exists()
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, capsys):
    case = case_of(tmp_path)
    assert main([*case.arguments, "--travel_time_field", str(tmp_path / "picks.csv"), "--quiet"]) == 2
    assert "picks.csv" in capsys.readouterr().err
    assert not case.out.exists()


def test_help_and_refusals_need_no_torch(tmp_path):
    case = case_of(tmp_path)
    code = (
        "import sys; from experiments.association.cli import main; status = main(sys.argv[1:]);"
        "sys.exit(9 if {'torch', 'lightning', 'matplotlib', 'numba', 'wandb'} & set(sys.modules) else status)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *case.arguments, "--p_speed_km_s", "6", "--events", "1000"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert process.returncode == 2, process.stderr
