import json

import numpy as np
import pytest
import torch

from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import loading, operator, overhead, sampling
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
        parts = UBDiffModule(stage="evaluate", **sampling.PAPER_CODE).parts
    assert parts["denoiser"] == pytest.approx(21.3e6, rel=0.01)
    assert parts["seismic_decoder"] == pytest.approx(236.9e6, rel=0.01)


def test_the_presets_give_the_networks_their_sizes():
    assert sampling.preset_model("paper")["n_time"] == 1000
    assert sampling.preset_model("tiny")["n_time"] < 1000


def test_real_maps_are_found_by_family(families):
    maps = operator.maps_to_simulate(families, 3)
    assert {name: velocity.shape for name, velocity in maps.items()} == {
        "real FlatFault-A": (3, 70, 70),
        "real FlatVel-A": (3, 70, 70),
    }


def test_a_folder_without_maps_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"--data_root: .* holds no .*give the folder that holds OpenFWI's families"):
        operator.maps_to_simulate(tmp_path, 3)


def test_a_reference_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"--reference: .*missing.py is no Python file"):
        operator.reference_timing(tmp_path / "missing.py", np.full((70, 70), 2000, np.float32))


def test_the_time_of_some_steps_is_multiplied_to_all(monkeypatch):
    calls = []

    def one_second(work, repeats):
        calls.append(work)
        return [1.0] * repeats

    monkeypatch.setattr(sampling, "cpu_seconds", one_second)
    speed, timings = sampling.sampling_speed(SMALL_PAPER, 3, 4, MAPS, taken_steps=8)
    assert (speed.latent_s, speed.decode_s, speed.n_steps) == (256 / 8 / 4, 1 / 4, 256)
    assert "256 steps, of which 8 timed" in timings[0].note
    speed, _ = sampling.sampling_speed(SMALL, 3, 4, MAPS)
    assert (speed.latent_s, speed.n_steps) == (1 / 4, 20)
    assert calls[1]()[1].shape == (4, 5, 40, 70)


def test_ratios_are_of_what_a_pair_costs():
    paper, ours = sampling.Speed(3.0, 1.0, 256), sampling.Speed(0.01, 0.03, 20)
    found = sampling.ratios(paper, {"tiny": ours})
    assert found == {
        "tiny, a pair": pytest.approx(100.0),
        "tiny, latent alone": pytest.approx(300.0),
        "tiny, decoding alone": pytest.approx(1 / 0.03),
    }


def test_the_program_prints_and_writes_the_same(families, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sampling, "PAPER_CODE", SMALL_PAPER)
    monkeypatch.setattr(sampling, "preset_model", lambda preset: SMALL)
    monkeypatch.setattr(operator, "N_MAPS", 1)
    reference = tmp_path / "reference.py"
    reference.write_text("import numpy as np\ndef simulate(velocity):\n    return np.ones((5, 1000, 70))\n")
    target = tmp_path / "out" / "bench.json"
    arguments = ["--repeats", "1", "--batch", "2", "--unet_steps", "2", "--data_root", str(families)]
    arguments += ["--only", "operator", "sampling", "--reference", str(reference), "--json", str(target)]
    assert benchmark.main(arguments) == 0
    printed, record = capsys.readouterr().out, json.loads(target.read_text())
    parts = {name: {t["name"]: t["median_s"] for t in record[name]["timings"]} for name in ("operator", "sampling")}
    assert all(name in printed for part in parts.values() for name in part)
    assert "operator, compiled, real FlatVel-A, a map" in parts["operator"]
    assert record["operator"]["ratios"]["operator, reference / compiled"] >= 0
    seconds = parts["sampling"]
    ratio = record["sampling"]["ratios"]["paper's code / tiny, a pair"]
    whole = {
        name: seconds[f"{name}: latent, a pair"] + seconds[f"{name}: decode, a pair"]
        for name in ("tiny", "paper's code")
    }
    assert ratio == pytest.approx(whole["paper's code"] / whole["tiny"])
    assert f"{ratio:10.2f}" in printed
    steps = record["sampling"]["more"]["denoising_steps_per_cpu_second"]["tiny"]
    assert steps == pytest.approx(20 / (2 * seconds["tiny: latent, a pair"]))


def test_loading_goes_through_all_samples_that_the_memory_map_is_read_of(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "N_MAPS", 40)
    monkeypatch.setattr(loading, "N_PAIRS", 8)
    monkeypatch.setattr(loading, "BATCH", 4)
    loading.write_files(tmp_path)
    for content, n in (("velocity", 32), ("pairs", 8)):
        loaded, bare, said = loading.epochs(tmp_path, content)
        assert loaded() == n
        assert f"of {n} samples in real files" in said
        assert bare() != 0.0


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated")
def test_the_bare_loop_takes_the_steps_that_lightning_takes(tmp_path, monkeypatch):
    options = ("--shared.data.n_synthetic_maps", "300", "--shared.data.n_validation_maps", "16")
    case = overhead.Case("ubdiff", "autoencoder", (*options, "--shared.model.velocity_widths", "[4, 8]"))
    restored, by_hand = [], []
    restore, bare_epoch = overhead.Snapshot.restore, overhead.bare_epoch

    def noted(snapshot, trainer):
        restored.append(snapshot.states[0])
        restore(snapshot, trainer)

    def watched(trainer, module, data):
        found = bare_epoch(trainer, module, data)
        by_hand.append({name: value.clone() for name, value in module.state_dict().items()})
        return found

    monkeypatch.setattr(overhead.Snapshot, "restore", noted)
    monkeypatch.setattr(overhead, "bare_epoch", watched)
    trained, bare, n_steps = overhead.seconds_of(case, tmp_path, 2)
    assert len(trained) == len(bare) == 1
    assert min(*trained, *bare) > 0
    assert n_steps == (300 * 4 // 5 - 16) // 32
    assert not list(tmp_path.rglob("*.ckpt"))
    (first, by_lightning, second, second_by_lightning), name = restored, next(iter(by_hand[0]))
    assert not torch.equal(first[name], by_lightning[name])
    torch.testing.assert_close(second, by_lightning, rtol=0, atol=0)
    torch.testing.assert_close(by_hand, [by_lightning, second_by_lightning])


def test_a_part_that_is_not_there_is_refused(capsys):
    assert benchmark.main(["--only", "sampel"]) == 2
    assert "did you mean 'sampling'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["repeats", "batch", "unet_steps"])
def test_impossible_options_are_refused(option, capsys):
    assert benchmark.main([f"--{option}", "0"]) == 2
    assert f"--{option}: got 0; give 1 or more." in capsys.readouterr().err
