"""The runner from files to files: simulated earthquakes are found again."""

import csv
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments.association.cli import is_complete, main
from experiments.association.geography import LocalProjection
from experiments.association.options import parse
from experiments.errors import SettingsError
from tests.experiments.association.simulated_files import (
    BOUNDS,
    EVENTS_KM,
    ORIGIN_TIMES_S,
    SPEED_KM_S,
    START,
    STATIONS_KM,
    VP_VS,
    Case,
    Family,
    case_of,
)

ROOT = Path(__file__).parents[3]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _check(case: Case, tolerance_km: float = 0.05, geographic=None) -> list[dict[str, str]]:
    events, picks = _rows(case.out / "events.csv"), _rows(case.out / "picks.csv")
    assert [row["event_index"] for row in events] == ["0", "1", "2"]
    found = np.array([[float(row[f"{axis}_km"]) for axis in "xyz"] for row in events])
    np.testing.assert_allclose(found, case.positions_km, atol=tolerance_km)
    np.testing.assert_array_equal([int(row["event_index"]) for row in picks], case.event_of_pick)
    for row, event in zip(picks, case.event_of_pick, strict=True):
        assert (row["residual_s"] == "") == (event < 0)
    return events


def test_seconds_and_kilometres_in_and_out(tmp_path, capsys):
    case = case_of(tmp_path)
    assert main([*case.arguments, "--p_speed_km_s", "6", *BOUNDS, "--events", "3"]) == 0
    events = _check(case)
    np.testing.assert_allclose([float(row["time"]) for row in events], case.times_s, atol=1e-3)
    assert all(row["n_picks"] == "20" and row["n_p"] == row["n_s"] == "10" for row in events)
    assert all(0 < float(row[f"{axis}_error_km"]) < 1 for row in events for axis in "xyz")
    assert "longitude" not in events[0]
    given, back = ((folder / "picks.csv").read_text().splitlines() for folder in (tmp_path, case.out))
    assert [line.rsplit(",", 2)[0] for line in back] == [
        line.replace('"', "") if i == 0 else line for i, line in enumerate(given)
    ]
    summary = json.loads((case.out / "summary.json").read_text())
    assert summary["result"]["n_associated"] == 60
    assert summary["picks"]["taken_as_complete"]
    assert summary["provenance"]["seed"] == 0
    assert summary["provenance"]["versions"]["torch"]
    assert len(summary["provenance"]["data"]) == 2
    assert {path.name for path in case.out.iterdir()} == {"events.csv", "picks.csv", "summary.json", "association.png"}
    assert "3 events, 60 of 60 picks associated" in capsys.readouterr().out
    assert not list(tmp_path.glob(".*"))


def test_dates_and_degrees_in_and_out_with_picks_missing_and_spurious(tmp_path):
    def spoilt(rows):
        kept = [row for k, row in enumerate(rows) if k % 9 != 4]
        return sorted([*kept, (3.3, "XX.03", "P", -1), (9.1, "XX.07", "P", -1), (0.7, "XX.01", "S", -1)])

    projection = LocalProjection(42.8, 13.1)
    case = case_of(tmp_path, iso=True, geographic=projection, shape=spoilt)
    known = ["--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--centre", "42.8", "13.1", "--no_figure", "--quiet"]
    window = ["--origin_time_range", "2026-01-01T23:59:58Z", "2026-01-02T00:00:01.5Z"]
    assert main([*case.arguments, *known, *window]) == 0
    for row, position, time in zip(_check(case), case.positions_km, case.times_s, strict=True):
        found = datetime.fromisoformat(row["time"])
        assert row["time"].endswith("Z")
        assert len(row["time"]) == 27
        assert abs((found.replace(tzinfo=None) - START).total_seconds() - time) < 1e-3
        x_km, y_km = projection.to_km(float(row["latitude"]), float(row["longitude"]))
        np.testing.assert_allclose([x_km, y_km, float(row["depth_km"])], position, atol=0.05)
    assert json.loads((case.out / "summary.json").read_text())["origin_time_range"][1] == "2026-01-02T00:00:01.500000Z"
    assert not (case.out / "association.png").exists()


def test_travel_times_from_a_table_bypass_the_solver_of_the_eikonal(tmp_path):
    stations = STATIONS_KM
    axes = [np.arange(0, high + 1, 2.0) for high in (60, 60, 30)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    np.save(tmp_path / "times.npy", np.linalg.norm(nodes[None] - stations[:, None, None, None], axis=-1) / SPEED_KM_S)
    case = case_of(tmp_path)
    options = ["--travel_times", str(tmp_path / "times.npy"), "--spacing_km", "2", "--pick_noise_s", "0.05", "--quiet"]
    assert main([*case.arguments, *options, "--events", "3"]) == 0
    _check(case, tolerance_km=1.0)  # linear between nodes 2 km apart
    np.save(tmp_path / "times.npy", np.ones((9, 3, 3, 3)))
    assert main([*case.arguments, *options]) == 2


def test_a_wave_speed_of_ones_own_and_one_for_s(tmp_path):
    speed = np.full((16, 16, 8), SPEED_KM_S)
    np.save(tmp_path / "p.npy", speed)
    np.save(tmp_path / "s.npy", speed / VP_VS)
    case = case_of(tmp_path)
    options = ["--wave_speed", str(tmp_path / "p.npy"), "--spacing_km", "4", "--events", "3", "--quiet", "--no_figure"]
    for s_waves in (["--s_wave_speed", str(tmp_path / "s.npy")], ["--s_speed_km_s", str(SPEED_KM_S / VP_VS)], []):
        assert main([*case.arguments, *options, *s_waves]) == 0
        _check(case, tolerance_km=0.5)
    assert list((tmp_path / "cache").rglob("*"))


def test_zero_events_and_stations_without_picks_are_results(tmp_path, monkeypatch):
    from experiments.association.problem import Association, Events

    case = case_of(tmp_path, shape=lambda rows: [row for row in rows if row[1] != "XX.04"])

    def nothing(problem, *_, **__):
        n = len(problem.picks)
        none = Events(np.empty((0, 3)), np.empty(0))
        return Association(none, np.full(n, -1), np.full(n, np.nan), np.empty((0, 3)), np.empty(0))

    monkeypatch.setattr("experiments.association.associate.associate", nothing)
    assert main([*case.arguments, "--p_speed_km_s", "6"]) == 0
    assert _rows(case.out / "events.csv") == []
    assert {row["event_index"] for row in _rows(case.out / "picks.csv")} == {"-1"}
    assert json.loads((case.out / "summary.json").read_text())["result"]["rms_s"] is None
    assert (case.out / "association.png").stat().st_size > 10_000


def test_when_picks_are_taken_as_complete():
    station, phase = np.array([0, 0, 1, 1, 2, 2]), np.zeros(6, int)
    assert is_complete("auto", None, station, phase)
    assert is_complete("auto", 2, station, phase)
    assert is_complete("yes", 2, station, phase)
    assert not is_complete("no", 2, station, phase)
    assert not is_complete("auto", 3, station, phase)
    assert not is_complete("auto", None, station[1:], phase[1:])
    with pytest.raises(SettingsError, match="have 1 to 2 picks"):
        is_complete("yes", None, station[1:], phase[1:])


def test_an_unknown_wave_speed_is_a_product_that_can_be_given_back(tmp_path, monkeypatch):
    from experiments.association.problem import Association, Events

    case = case_of(tmp_path)
    stations, positions, times = STATIONS_KM, EVENTS_KM, ORIGIN_TIMES_S
    (tmp_path / "field.ckpt").write_text("trained")
    order = [3, 1, 0, 2, *range(4, 10)]
    with_more = np.concatenate([stations[order], [[1.0, 2.0, 0.0]]])  # in another order, and one not in the file
    monkeypatch.setattr("lightning_modules.harpa.checkpoint.load_travel_time_field", lambda path: Family(with_more))

    def solved(problem, *_, **__):
        n, n_events = len(problem.picks), len(times)
        np.testing.assert_array_equal(problem.stations.positions_km, with_more)
        names = [problem.stations.ids[station] for station in problem.picks.station]
        assert names == [row["station_id"] for row in _rows(tmp_path / "picks.csv")]
        unknown = np.full((n_events, 3), np.nan), np.full(n_events, np.nan)
        return Association(Events(positions, times), case.event_of_pick, np.zeros(n), *unknown, np.array([0.5]))

    monkeypatch.setattr("experiments.association.associate.associate", solved)
    options = ["--travel_time_field", str(tmp_path / "field.ckpt"), "--events", "3", "--quiet"]
    assert main([*case.arguments, *options]) == 0
    events = _check(case)
    assert {row["x_error_km"] for row in events} == {""}
    speed = np.load(case.out / "wave_speed_km_s.npy")
    np.testing.assert_array_equal(speed, np.full((7, 7, 7), 6.0))
    beside = json.loads((case.out / "wave_speed_km_s.json").read_text())
    assert (beside["spacing_km"], beside["origin_km"], beside["latent"]) == (10.0, [0.0, 0.0, 0.0], [0.5])
    summary = json.loads((case.out / "summary.json").read_text())
    assert summary["latent"] == [0.5]
    assert summary["wave_speed"]["spacing_km"] == 10.0
    assert (case.out / "wave_speed.png").stat().st_size > 10_000

    monkeypatch.undo()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    again = [*case.arguments, "--wave_speed", str(case.out / "wave_speed_km_s.npy"), "--events", "3", "--quiet"]
    again[again.index("--out") + 1] = str(tmp_path / "again")
    assert main([*again, "--no_figure"]) == 0
    _check(case._replace(out=tmp_path / "again"), tolerance_km=0.5)


def test_a_model_of_layers_with_its_own_s_speeds(tmp_path):
    case = case_of(tmp_path)
    model = tmp_path / "model.csv"
    model.write_text(f"depth_km,vp_km_s,vs_km_s\n0,6,{6 / VP_VS}\n40,6,{6 / VP_VS}\n")
    assert main([*case.arguments, "--velocity_1d", str(model), *BOUNDS, "--events", "3", "--quiet", "--no_figure"]) == 0
    _check(case, tolerance_km=0.3)


def test_the_papers_solver_by_name(tmp_path):
    case = case_of(tmp_path)
    options = ["--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--quiet", "--no_figure"]
    assert main([*case.arguments, *options, "--solver", "psgld", "--chains", "20", "--eps", "0.001"]) == 0
    _check(case, tolerance_km=0.5)
    summary = json.loads((case.out / "summary.json").read_text())
    assert summary["settings"]["solver"] == "psgld"
    assert summary["settings"]["chains"] == 20
    assert (summary["solver"]["chains"], summary["solver"]["noise"], summary["solver"]["restarts"]) == (20, 0.001, 10)


def test_the_wandb_run_bears_the_results_name_and_figures(tmp_path, monkeypatch):
    class Run:
        name, logged, finished = "?", None, False

        def log(self, content):
            self.logged = content

        def finish(self):
            self.finished = True

    run = Run()
    monkeypatch.setattr("experiments.wandb_run.start", lambda *_: run)
    case = case_of(tmp_path)
    assert main([*case.arguments, "--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--quiet", "--no_figure"]) == 0
    assert run.name == "out"
    assert run.finished
    assert run.logged is not None
    assert run.logged["association/n_associated"] == 60
    assert run.logged["association/rms_s"] < 1e-3


def test_the_sweep_speaks_the_runners_own_options():
    sweep = yaml.safe_load((ROOT / "experiments" / "sweeps" / "association.yaml").read_text())
    command = sweep["command"]
    fixed = command[command.index("experiments.association") + 1 : -1]
    for name, choice in sweep["parameters"].items():
        for value in choice["values"]:
            options = parse([*fixed, f"--{name}={value}"])
            assert getattr(options, name) == value
    grid = np.array(sweep["parameters"]["threshold_s"]["values"])
    np.testing.assert_allclose((grid / 10) ** 2, [1e-2, 5e-3, 1e-3, 1e-4], rtol=3e-3)


def test_under_a_sweep_agent_each_run_has_its_own_folder(tmp_path, monkeypatch):
    case = case_of(tmp_path)
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run7")
    assert main([*case.arguments, "--p_speed_km_s", "6", *BOUNDS, "--events", "3", "--quiet", "--no_figure"]) == 0
    assert (case.out / "run7" / "events.csv").exists()
