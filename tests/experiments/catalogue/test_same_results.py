"""Nothing but the picks decides what the program writes: not processes, not blocks, not an interruption."""

import csv
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from datamodules.simulate.catalogues import PROFILE, CatalogueSimulation
from experiments.association.files.pick_stream import PickStream
from experiments.association.stream import window_work
from experiments.catalogue.program import main
from experiments.catalogue.synthetic import write_catalogue

SIMULATION = CatalogueSimulation(n_events=25, duration_s=900.0, n_stations=14, extent_km=40.0, speed_deviation=0.0)
ROOT = Path(__file__).parents[3]
CSV = ("events.csv", "picks.csv")


@pytest.fixture(autouse=True)
def _no_wandb(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


def _arguments(folder, out, *more):
    return ["--picks", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv"), "--velocity",
            str(folder / "velocity_1d.csv"), "--out", str(out), "--cache_root", str(folder / "cache"), "--quiet",
            "--no_figures", "--quakeml", "no", *more]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue")
    write_catalogue(folder, SIMULATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        assert main(_arguments(folder, folder / "plain")) == 0
    assert len((folder / "plain" / "events.csv").read_text().splitlines()) > 10
    return folder


def _assert_same(folder, out):
    for name in CSV:
        assert (out / name).read_bytes() == (folder / "plain" / name).read_bytes()
    assert not out.with_name(f".{out.name}.checkpoint").exists()


@pytest.mark.parametrize("n_rows", [1, 61])
def test_blocks(data, tmp_path, monkeypatch, n_rows):
    blocks = PickStream.blocks
    monkeypatch.setattr(PickStream, "blocks", lambda self: blocks(self, block_rows=n_rows))
    assert main(_arguments(data, tmp_path / "results")) == 0
    _assert_same(data, tmp_path / "results")


def test_an_interruption(data, tmp_path, monkeypatch, capsys):
    out, solve, solved = tmp_path / "results", window_work.solve, []

    def stopped(*given):
        if len(solved) == 7:
            raise KeyboardInterrupt
        solved.append(1)
        return solve(*given)

    monkeypatch.setattr(window_work, "solve", stopped)
    assert main(_arguments(data, out)) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert not out.exists()
    again = []
    monkeypatch.setattr(window_work, "solve", lambda *given: again.append(1) or solve(*given))
    assert main(_arguments(data, out)) == 0
    _assert_same(data, out)
    # What was done is not done again.
    monkeypatch.setattr(window_work, "solve", lambda *given: solved.append(1) or solve(*given))
    solved.clear()
    assert main(_arguments(data, tmp_path / "whole")) == 0
    assert len(again) == len(solved) - 7


def _program(arguments):
    return [sys.executable, "-m", "experiments.catalogue", *arguments]


@pytest.mark.slow
def test_a_kill(data, tmp_path):
    out = tmp_path / "results"
    checkpoint = tmp_path / ".results.checkpoint"
    process = subprocess.Popen(_program(_arguments(data, out)), cwd=ROOT)
    try:
        while len(list(checkpoint.glob("*.npz"))) < 3:
            assert process.poll() is None, "the program ended before it could be killed"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    assert main(_arguments(data, out)) == 0
    _assert_same(data, out)


@pytest.mark.slow
def test_processes(data, tmp_path):
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    out = tmp_path / "results"
    subprocess.run(_program(_arguments(data, out, "--workers", "2")), cwd=ROOT, env=environment, check=True)
    _assert_same(data, out)


def _places(path):
    with (path / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    seconds = np.array([datetime.fromisoformat(row["time"]).timestamp() for row in rows])
    north = np.array([111.2 * float(row["latitude"]) for row in rows])
    east = np.array([81.6 * float(row["longitude"]) for row in rows])  # at 42.8 degrees
    return seconds, np.c_[east, north, [float(row["depth_km"]) for row in rows]]


def test_a_grid_of_the_layers_finds_what_the_layers_do(data, tmp_path):
    depth_km, vp_km_s, vs_km_s = np.array(PROFILE).T
    shape, spacing_km, top_km = (33, 33, 14), 2.0, -2.0
    depths = top_km + spacing_km * np.arange(shape[2])
    for name, speeds in (("p", vp_km_s), ("s", vs_km_s)):
        np.save(
            tmp_path / f"{name}.npy", np.broadcast_to(np.interp(depths, depth_km, speeds), shape).astype(np.float32)
        )
    more = ["--velocity", str(tmp_path / "p.npy"), "--s_wave_speed", str(tmp_path / "s.npy"), "--spacing_km", "2",
            "--origin_km", "-32", "-32", "-2", "--refinement", "2"]  # fmt: skip
    arguments = _arguments(data, tmp_path / "results")
    assert main([*arguments, *more]) == 0
    (time_s, place_km), (expected_s, expected_km) = _places(tmp_path / "results"), _places(data / "plain")
    apart_s = np.abs(time_s - expected_s[:, None])
    apart_km = np.linalg.norm(place_km - expected_km[:, None], axis=-1)
    assert ((apart_s < 0.3) & (apart_km < 2.5)).any(axis=1).mean() > 0.9
    assert len(time_s) <= len(expected_s) + 2
