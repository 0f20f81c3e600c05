import json

import numpy as np
import pytest
import torch

from experiments import benchmark
from lightning_modules.ubdiff.module import UBDiffModule

SMALL = {"n_time": 40, "latent_dim": 16, "velocity_widths": [4, 8], "velocity_strides": [5, 2]}
SMALL_PAPER = {
    **SMALL,
    "denoiser": "unet_1d",
    "unet_width": 8,
    "seismic_decoder": "single_token",
    "single_token_width": 16,
    "sampler": "ddpm",
}


@pytest.fixture
def families(tmp_path):
    """Two families, laid out as OpenFWI's."""
    maps = np.random.default_rng(0).uniform(1500, 4500, (6, 1, 70, 70)).astype(np.float32)
    for path in (tmp_path / "FlatVel-A" / "model" / "model1.npy", tmp_path / "FlatFault-A" / "vel2_1_0.npy"):
        path.parent.mkdir(parents=True)
        np.save(path, maps)
    return tmp_path


MAPS = np.linspace(1500.0, 4500.0, 2 * 70 * 70, dtype=np.float32).reshape(2, 70, 70)


def test_the_networks_of_the_papers_code_have_their_size():
    with torch.device("meta"):
        parts = UBDiffModule(stage="evaluate", **benchmark.PAPER_CODE).parts
    assert parts["denoiser"] == pytest.approx(21.3e6, rel=0.01)
    assert parts["seismic_decoder"] == pytest.approx(236.9e6, rel=0.01)


def test_the_presets_give_the_networks_their_sizes():
    assert benchmark.preset_model("paper")["n_time"] == 1000
    assert benchmark.preset_model("tiny")["n_time"] < 1000


def test_real_maps_are_found_by_family(families):
    maps = benchmark.maps_to_simulate(families, 3)
    assert {name: velocity.shape for name, velocity in maps.items()} == {
        "real FlatFault-A": (3, 70, 70),
        "real FlatVel-A": (3, 70, 70),
    }


def test_a_folder_without_maps_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"--data_root: .* holds no .*give the folder that holds OpenFWI's families"):
        benchmark.maps_to_simulate(tmp_path, 3)


def test_a_reference_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"--reference: .*missing.py is no Python file"):
        benchmark.reference_timing(tmp_path / "missing.py", np.full((70, 70), 2000, np.float32))


def test_the_time_of_some_steps_is_multiplied_to_all(monkeypatch):
    calls = []

    def one_second(work, repeats):
        calls.append(work)
        return [1.0] * repeats

    monkeypatch.setattr(benchmark, "cpu_seconds", one_second)
    speed, timings = benchmark.sampling_speed(SMALL_PAPER, 3, 4, MAPS, taken_steps=8)
    assert (speed.latent_s, speed.decode_s, speed.n_steps) == (256 / 8 / 4, 1 / 4, 256)
    assert "256 steps, of which 8 timed" in timings[0].note
    speed, _ = benchmark.sampling_speed(SMALL, 3, 4, MAPS)
    assert (speed.latent_s, speed.n_steps) == (1 / 4, 20)
    assert calls[1]()[1].shape == (4, 5, 40, 70)


def test_ratios_are_of_what_a_pair_costs():
    paper, ours = benchmark.Speed(3.0, 1.0, 256), benchmark.Speed(0.01, 0.03, 20)
    found = benchmark.ratios(paper, {"tiny": ours})
    assert found == {
        "tiny, a pair": pytest.approx(100.0),
        "tiny, latent alone": pytest.approx(300.0),
        "tiny, decoding alone": pytest.approx(1 / 0.03),
    }


def test_the_program_prints_and_writes_the_same(families, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "PAPER_CODE", SMALL_PAPER)
    monkeypatch.setattr(benchmark, "preset_model", lambda preset: SMALL)
    monkeypatch.setattr(benchmark, "N_MAPS", 1)
    reference = tmp_path / "reference.py"
    reference.write_text("import numpy as np\ndef simulate(velocity):\n    return np.ones((5, 1000, 70))\n")
    target = tmp_path / "out" / "bench.json"
    arguments = ["--repeats", "1", "--batch", "2", "--unet_steps", "2", "--data_root", str(families)]
    assert benchmark.main([*arguments, "--reference", str(reference), "--json", str(target)]) == 0
    printed, record = capsys.readouterr().out, json.loads(target.read_text())
    seconds = {timing["name"]: timing["median_s"] for timing in record["timings"]}
    assert all(name in printed and value > 0 for name, value in seconds.items() if name != "operator, reference, a map")
    assert "operator, reference, a map" in printed
    assert "operator, compiled, real FlatVel-A, a map" in seconds
    ratio = record["times_quicker_than_paper_code"]["tiny, a pair"]
    whole = {
        name: seconds[f"{name}: latent, a pair"] + seconds[f"{name}: decode, a pair"]
        for name in ("tiny", "paper's code")
    }
    assert ratio == pytest.approx(whole["paper's code"] / whole["tiny"])
    assert f"{ratio:10.1f}" in printed
    steps = record["denoising_steps_per_cpu_second"]["tiny"]
    assert steps == pytest.approx(20 / (2 * seconds["tiny: latent, a pair"]))


@pytest.mark.parametrize("option", ["repeats", "batch", "unet_steps"])
def test_impossible_options_are_refused(option, capsys):
    with pytest.raises(SystemExit):
        benchmark.main([f"--{option}", "0"])
    assert f"--{option}: got 0; give 1 or more." in capsys.readouterr().err
