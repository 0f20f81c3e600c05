"""The program from files to files, on a small synthetic catalogue whose truth is known."""

import csv
import json
from importlib.util import find_spec

import numpy as np
import pytest

from datamodules.simulate.catalogues import CatalogueSimulation
from experiments.catalogue.options import parse
from experiments.catalogue.program import main
from experiments.catalogue.synthetic import write_catalogue
from experiments.errors import SettingsError

SIMULATION = CatalogueSimulation(n_events=30, duration_s=900.0, n_stations=14, extent_km=40.0, speed_deviation=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    return folder, write_catalogue(folder, SIMULATION)


@pytest.fixture(autouse=True)
def _no_wandb(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


def _arguments(folder, out, *more):
    return ["--picks", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv"), "--velocity",
            str(folder / "velocity_1d.csv"), "--out", str(out), "--cache_root", str(out.parent / "cache"), "--quiet",
            *more]  # fmt: skip


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_from_files_to_files(data, tmp_path):
    folder, truth = data
    out = tmp_path / "results"
    assert main(_arguments(folder, out, "--reference", str(folder / "true_events.csv"), "--quakeml", "no")) == 0
    events, picks = _rows(out / "events.csv"), _rows(out / "picks.csv")
    wanted = ("event_index", "time", "latitude", "longitude", "depth_km", "time_error_s", "latitude_error_km",
              "longitude_error_km", "depth_error_km", "n_p", "n_s", "rms_s")  # fmt: skip
    assert set(wanted) <= set(events[0])
    assert [int(row["event_index"]) for row in events] == list(range(len(events)))
    assert all(row["time"].endswith("Z") for row in events)
    assert sorted(row["time"] for row in events) == [row["time"] for row in events]
    assert len(picks) == len(truth.time_s)
    assert [row["true_event_index"] for row in picks] == [str(event) for event in truth.event]
    member = np.array([int(row["event_index"]) for row in picks])
    residual = np.array([float(row["residual_s"] or "nan") for row in picks])
    assert (np.isfinite(residual) == (member >= 0)).all()
    phase = np.array([row["phase_type"] for row in picks])
    for number, row in enumerate(events):
        assert int(row["n_p"]) == ((member == number) & (phase == "P")).sum()
        assert int(row["n_s"]) == ((member == number) & (phase == "S")).sum()
        assert float(row["rms_s"]) == pytest.approx(np.sqrt(np.mean(residual[member == number] ** 2)), abs=2e-4)
    big = np.bincount(truth.event[truth.event >= 0], minlength=SIMULATION.n_events) >= 12
    summary = json.loads((out / "summary.json").read_text())
    assert big.sum() - 2 <= summary["result"]["reference"]["matched"] <= SIMULATION.n_events
    right = member[truth.event >= 0]
    assert (right >= 0).mean() > 0.6
    assert (member[truth.event < 0] >= 0).mean() < 0.2
    report = (out / "quality.md").read_text()
    for name in ("map.png", "hours.png", "residuals.png", "reference.png"):
        assert (out / name).stat().st_size > 10_000
        assert f"({name})" in report
    assert "recall" in report
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results"]  # no checkpoint, nothing half made


def test_a_day_without_events_is_an_ordinary_result(data, tmp_path):
    folder, _ = data
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name in ("stations.csv", "velocity_1d.csv"):
        (tmp_path / "in" / name).write_bytes((folder / name).read_bytes())
    stations = [row["station_id"] for row in _rows(folder / "stations.csv")]
    times = np.sort(rng.uniform(0.0, 3600.0, 60))
    lines = [f"{rng.choice(stations)},{time:.3f},{rng.choice(['P', 'S'])}" for time in times]
    (tmp_path / "in" / "picks.csv").write_text("\n".join(["station_id,phase_time,phase_type", *lines]) + "\n")
    assert main(_arguments(tmp_path / "in", tmp_path / "results", "--quakeml", "no")) == 0
    assert _rows(tmp_path / "results" / "events.csv") == []
    assert {row["event_index"] for row in _rows(tmp_path / "results" / "picks.csv")} == {"-1"}


def test_filters_and_earlier_results(data, tmp_path):
    folder, _ = data
    out = tmp_path / "results"
    common = ("--no_figures", "--quakeml", "no", "--no_station_corrections")
    assert main(_arguments(folder, out, *common)) == 0
    few = len(_rows(out / "events.csv"))
    assert main(_arguments(folder, out, *common, "--min_picks", "14", "--min_both", "3")) == 0
    events = _rows(out / "events.csv")
    assert 0 < len(events) < few
    assert all(int(row["n_picks"]) >= 14 for row in events)
    assert not (out / "map.png").exists()
    kept = {int(row["event_index"]) for row in _rows(out / "picks.csv")}
    assert kept == set(range(-1, len(events)))


@pytest.mark.skipif(find_spec("obspy") is None, reason="ObsPy is not installed")
@pytest.mark.filterwarnings("ignore")  # ObsPy's own
def test_quakeml_is_read_back(data, tmp_path, monkeypatch):
    from obspy import read_events

    folder, _ = data
    monkeypatch.setattr("experiments.catalogue.quakeml.EVENTS_AT_ONCE", 3)  # several parts are joined
    out = tmp_path / "results"
    assert main(_arguments(folder, out, "--no_figures", "--quakeml", "yes", "--no_station_corrections")) == 0
    events, picks = _rows(out / "events.csv"), _rows(out / "picks.csv")
    catalogue = read_events(str(out / "events.xml"))
    assert len(catalogue) == len(events)
    for number, (event, row) in enumerate(zip(catalogue, events, strict=True)):
        origin = event.preferred_origin()
        assert abs(origin.time - type(origin.time)(row["time"])) < 2e-6
        assert origin.latitude == pytest.approx(float(row["latitude"]), abs=1e-6)
        assert origin.longitude == pytest.approx(float(row["longitude"]), abs=1e-6)
        assert origin.depth == pytest.approx(1000 * float(row["depth_km"]), abs=1)
        assert origin.depth_errors.uncertainty == pytest.approx(1000 * float(row["depth_error_km"]), abs=1)
        assert origin.time_errors.uncertainty == pytest.approx(float(row["time_error_s"]), abs=1e-4)
        mine = [row for row in picks if int(row["event_index"]) == number]
        assert len(event.picks) == len(origin.arrivals) == len(mine)
        by_id = {pick.resource_id: pick for pick in event.picks}
        for arrival in origin.arrivals:
            assert by_id[arrival.pick_id].phase_hint == arrival.phase
        assert sorted(round(a.time_residual, 4) for a in origin.arrivals) == pytest.approx(
            sorted(float(row["residual_s"]) for row in mine), abs=2e-4
        )
        assert {pick.waveform_id.network_code for pick in event.picks} == {"SY"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--velocity", "model.txt"], "a .csv file"),
        (["--velocity", "-3"], "above 0"),
        (["--velocity", "nowhere.csv"], "no such file"),
        (["--min_seen", "3"], "a share from 0 to 1"),
        (["--reference", "nowhere.csv"], "no such file"),
        (["--pick_columns", "phase_time=when"], "no column 'when'"),
    ],
)
def test_mistakes_are_one_sentence(data, tmp_path, capsys, change, message):
    folder, _ = data
    arguments = _arguments(folder, tmp_path / "results")
    assert main([*arguments, f"{change[0]}={change[1]}"] if change[1][0] == "-" else [*arguments, *change]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_velocity_by_suffix(tmp_path):
    np.save(tmp_path / "grid.npy", np.full((3, 3, 3), 6.0))
    np.save(tmp_path / "times.npy", np.ones((2, 3, 3, 3)))
    base = ["--picks", "p", "--stations", "s", "--out", "o", "--velocity"]
    for velocity, more, source in (
        ("model.csv", [], "velocity_1d"),
        ("6.2", [], "p_speed_km_s"),
        (str(tmp_path / "grid.npy"), ["--spacing_km", "2"], "wave_speed"),
        (str(tmp_path / "times.npy"), ["--spacing_km", "2"], "travel_times"),
        ("final.ckpt", [], "travel_time_field"),
    ):
        assert parse([*base, velocity, *more]).speeds.source == source
    with pytest.raises(SettingsError, match="has no use with"):
        parse([*base, "6.2", "--spacing_km", "2"])
    bounds = ["-30.5", "30", "-20", "20", "-0.0000012", "25"]
    assert parse([*base, "6.2", "--bounds_km", *bounds]).speeds.bounds_km[0] == -30.5
