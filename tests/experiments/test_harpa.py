"""HARPA through its real entry point, on tiny synthetic wave speeds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments.harpa import EXPERIMENT, experiment_of, main, subject_and_preset
from experiments.harpa_stages import AS_PUBLISHED, KNOWN_SPEED, UNKNOWN_SPEED
from experiments.settings import presets

SMOKE = Path(__file__).parents[1] / "smoke_harpa.yaml"
STAGES = {"overthrust": [stage.name for stage in KNOWN_SPEED], "grf": [stage.name for stage in UNKNOWN_SPEED]}
SLOW_ONES_OUT = ["--association.data.n_trials", "1"]


class Suite:
    """One place for runs and cache, and a way to call the program in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def call(self, command: str, wave_speed: str, *arguments: str, name: str | None = None) -> int:
        return main(
            [command, "--wave_speed", wave_speed, "--preset", "tiny", "--config", str(SMOKE),
             "--run_root", str(self.root / "runs"), "--cache_root", str(self.root / "cache"),
             *(["--name", name] if name else []), *SLOW_ONES_OUT, *arguments],
        )  # fmt: skip

    def folder(self, name: str) -> Path:
        return self.root / "runs" / "harpa" / name

    def metrics(self, name: str) -> dict[str, float]:
        return json.loads((self.folder(name) / "metrics.json").read_text())


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        made = Suite(tmp_path_factory.mktemp("suite"))
        for wave_speed in STAGES:
            assert made.call("run", wave_speed) == 0
    return made


@pytest.mark.parametrize("wave_speed", STAGES)
def test_a_run_folder_holds_everything(suite, wave_speed):
    folder, metrics = suite.folder(f"{wave_speed}-tiny-seed0"), suite.metrics(f"{wave_speed}-tiny-seed0")
    assert set(EXPERIMENT.metrics) <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    for stage in STAGES[wave_speed]:
        assert metrics[f"{stage}/seconds"] > 0
    assert ("autoencoder/parameters" in metrics) == (wave_speed != "overthrust")
    assert ("association/gauss_newton/wave_speed_rmse_km_s" in metrics) == (wave_speed != "overthrust")
    for solver in ("gauss_newton", "psgld", "oracle"):
        assert 0 <= metrics[f"association/{solver}/accuracy"] <= 1
    assert 0 < metrics["field/rmse_s"] <= metrics["field/max_s"]
    assert json.loads((folder / "provenance.json").read_text())["data"]["kind"] == "synthetic"
    report = (folder / "report.md").read_text()
    pictures = [name for name in EXPERIMENT.figures if name != "wave_speeds.png" or wave_speed != "overthrust"]
    for name in pictures:
        assert f"figures/{name}" in report
        assert (folder / "figures" / name).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob("*.partial"))


def test_called_again_it_skips_what_is_finished_and_a_changed_option_runs_what_it_touches(suite, capsys):
    shutil.copytree(suite.folder("grf-tiny-seed0"), suite.folder("changed"))
    assert suite.call("run", "grf", name="changed") == 0
    assert capsys.readouterr().err.count("skip (finished before)") == 4
    options = ["--field.model.learning_rate", "1e-3"]
    assert suite.call("fit", "grf", "--stage", "autoencoder", *options, name="changed") == 0
    assert suite.call("fit", "grf", "--stage", "field", *options, name="changed") == 0
    said = capsys.readouterr().err
    assert "stage autoencoder: skip" in said
    assert "stage field: anew (setting model.learning_rate: 0.01 -> 0.001)" in said


def test_a_deleted_picture_is_drawn_again(suite, capsys):
    shutil.copytree(suite.folder("overthrust-tiny-seed0"), suite.folder("deleted"))
    (suite.folder("deleted") / "figures" / "associations.png").unlink()
    assert suite.call("run", "overthrust", name="deleted") == 0
    said = capsys.readouterr().err
    assert "stage field: skip" in said
    assert "stage association: anew (associations.png is gone)" in said
    ours, first = suite.metrics("deleted"), suite.metrics("overthrust-tiny-seed0")
    for name in ("association/gauss_newton/accuracy", "association/psgld/e_l_s", "association/oracle/accuracy"):
        assert ours[name] == first[name], "the same seed must give the same figures"


def test_the_field_stage_tests_alone(suite, capsys):
    assert suite.call("test", "overthrust", "--stage", "field") == 0
    assert "field test/rmse_s" in capsys.readouterr().err


@pytest.mark.parametrize("preset", presets("harpa"))
@pytest.mark.parametrize("wave_speed", ["overthrust", "grf", "gaussian"])
def test_every_preset_passes_the_real_parser(preset, wave_speed, capsys, tmp_path):
    arguments = ["run", "--preset", preset, "--wave_speed", wave_speed, "--run_root", str(tmp_path), "--print_config"]
    assert main(arguments) == 0
    settings = yaml.safe_load(capsys.readouterr().out)
    unknown = AS_PUBLISHED if preset == "paper" else UNKNOWN_SPEED
    assert list(settings) == [stage.name for stage in (KNOWN_SPEED if wave_speed == "overthrust" else unknown)]
    assert settings["field"]["model"]["latent_dim"] == (0 if wave_speed == "overthrust" else 6)
    shared = settings["field"]["data"].keys() & settings["association"]["data"].keys() - {"batch_size"}
    assert {"n_validation", "n_test", "n_modes", "max_fields", "wave_speed_seed", "truth_refinement"} <= shared
    for name in shared:
        assert settings["field"]["data"][name] == settings["association"]["data"][name], name
    assert list(tmp_path.iterdir()) == []


def test_the_wave_speed_decides_which_stages_there_are(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("shared: {data: {wave_speed: gaussian}}\n")
    assert subject_and_preset(["run"])[0] == "overthrust"
    assert subject_and_preset(["run", "--wave_speed", "grf"])[0] == "grf"
    assert subject_and_preset(["run", "--shared.data.wave_speed=gaussian"])[0] == "gaussian"
    assert subject_and_preset(["run", "--config", str(file)])[0] == "gaussian"
    assert subject_and_preset(["run", "--config", str(file), "--wave_speed", "overthrust"])[0] == "overthrust"
    assert experiment_of("overthrust").stages == KNOWN_SPEED
    assert experiment_of("grf").stages == UNKNOWN_SPEED
    assert experiment_of("grf", "paper").stages == AS_PUBLISHED
    assert experiment_of("grf").is_default_variant, "its run folder has no variant in its name"


WRONG = [
    ("a misspelt wave speed", ["--wave_speed", "overthrst"], "wave_speed"),
    ("a misspelt setting", ["--shared.model.latent_dmi", "3"], "did you mean 'model.latent_dim'"),
    ("a data folder without the model", ["--data_root", "absent"], "absent"),
    ("a setting that follows from another", ["--shared.data.n_stations", "8"], "follows from model.n_stations"),
    ("no trials", ["--association.data.n_trials", "0"], "n_trials"),
    ("an impossible confusion factor", ["--association.data.least_confusion", "2"], "confusion factor"),
    ("an autoencoder of a known speed", ["--wave_speed", "overthrust", "--autoencoder.model.latent_dim", "3"],
     "there is no block 'autoencoder'"),
    ("a stage that known speeds do not have", ["--config", "absent.yaml"], "absent.yaml"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, message):
    assert main(["run", "--preset", "tiny", "--run_root", str(tmp_path / "runs"), *arguments]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("harpa:")]
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert message in said[0]
    assert not list(tmp_path.rglob("*.ckpt"))


def test_real_overthrust_is_named_as_such(tmp_path, capsys):
    root = Path(__file__).resolve().parents[3] / "shared" / "data" / "wave_speed"
    if not root.is_dir():
        pytest.skip("the SEG/EAGE overthrust (../shared/data/wave_speed) is not on this machine")
    from datamodules.travel_times import TravelTimeDataModule

    assert TravelTimeDataModule(data_root=str(root)).source.kind == "real"
    assert TravelTimeDataModule().source.kind == "synthetic"


def test_the_experiment_takes_every_key_and_value_of_its_sweep(capsys, tmp_path):
    root = Path(__file__).parents[2]
    sweep = yaml.safe_load((root / "experiments" / "sweeps" / "harpa.yaml").read_text())
    assert (root / sweep["program"]).exists()
    command = [part for part in sweep["command"] if not part.startswith("${")]
    assert command[:3] == ["-m", "experiments.harpa", "run"]
    for place in (0, -1):
        options = [f"--{key}={content['values'][place]}" for key, content in sweep["parameters"].items()]
        assert main([*command[2:], *options, "--print_config", "--run_root", str(tmp_path)]) == 0, capsys.readouterr()
