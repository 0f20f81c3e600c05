"""UB-Diff through its real entry point, on a tiny synthetic data set."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.epoch_seed import EpochSeed
from experiments import wandb_run
from experiments.program import main
from experiments.settings import presets
from experiments.ubdiff import EXPERIMENT

SMOKE = Path(__file__).parents[1] / "smoke.yaml"
STAGES = ("autoencoder", "paired", "diffusion")
N_STAGES = len(EXPERIMENT.stages)


class Suite:
    """One place for runs and cache, and a way to call the program in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def call(self, command: str, *arguments: str, name: str = "whole") -> int:
        return main(
            EXPERIMENT,
            [command, "--preset", "tiny", "--config", str(SMOKE), "--run_root", str(self.root / "runs"),
             "--cache_root", str(self.root / "cache"), "--name", name, *arguments],
        )  # fmt: skip

    def folder(self, name: str = "whole") -> Path:
        return self.root / "runs" / "ubdiff" / name

    def record(self, stage: str, name: str = "whole") -> dict:
        return json.loads((self.folder(name) / stage / "stage.json").read_text())

    def copy(self, name: str) -> Path:
        """The finished run under another name."""
        shutil.copytree(self.folder(), self.folder(name))
        return self.folder(name)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        made = Suite(tmp_path_factory.mktemp("suite"))
        assert made.call("run") == 0
    return made


def test_a_run_folder_holds_everything(suite):
    folder = suite.folder()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(EXPERIMENT.metrics) <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    for stage in EXPERIMENT.stage_names:
        assert metrics[f"{stage}/seconds"] > 0
        assert metrics[f"{stage}/cpu_seconds"] > 0
        assert metrics[f"{stage}/peak_memory_bytes"] > 0
    for part in ("encoder", "velocity_decoder", "seismic_decoder", "denoiser"):
        assert metrics[f"{part}/parameters"] > 0
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["data"]["kind"] == "synthetic"
    assert provenance["versions"]["torch"]
    report = (folder / "report.md").read_text()
    assert "synthetic" in report
    for name in EXPERIMENT.figures:
        assert f"figures/{name}" in report
        assert (folder / "figures" / name).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob("*.partial"))


def test_samples_have_the_promised_shapes_and_units(suite):
    with np.load(suite.folder() / "samples.npz") as samples:
        assert samples["velocity_m_s"].shape == (16, 70, 70)
        assert samples["seismic"].shape == (16, 5, 50, 70)
        assert samples["velocity_m_s"].dtype == samples["seismic"].dtype == np.float32
        assert samples["time_step_s"] == pytest.approx(0.020)
        assert samples["seed"] == 0
        assert 500 < samples["velocity_m_s"].mean() < 6000


def test_called_again_it_skips_what_is_finished(suite, capsys):
    before = (suite.folder() / "diffusion" / "final.ckpt").stat().st_mtime_ns
    assert suite.call("run") == 0
    said = capsys.readouterr().err
    assert said.count("skip (finished before)") == N_STAGES
    assert (suite.folder() / "diffusion" / "final.ckpt").stat().st_mtime_ns == before


def test_a_changed_option_runs_only_what_it_touches_and_says_why(suite, capsys):
    suite.copy("changed")
    assert suite.call("run", "--diffusion.trainer.max_epochs", "2", name="changed") == 0
    said = capsys.readouterr().err
    assert "stage autoencoder: skip" in said
    assert "stage paired: skip" in said
    assert "stage diffusion: anew (setting trainer.max_epochs: 3 -> 2)" in said
    assert "stage generate: anew (weights it starts from changed)" in said
    assert "stage inversion_real: skip" in said
    assert "stage inversion_generated: anew (input generated pairs changed)" in said
    assert "stage evaluate: anew (weights it starts from changed; weights of inversion_generated changed" in said
    assert (suite.folder("changed") / "diffusion.previous" / "final.ckpt").exists()


def test_a_stage_that_need_not_train_again_still_passes_the_new_weights_on(suite, capsys):
    folder = suite.copy("passed-on")
    options = ["--paired.trainer.max_epochs", "2"]
    for stage in ("autoencoder", "paired", "diffusion"):
        assert suite.call("fit", "--stage", stage, *options, name="passed-on") == 0
    said = capsys.readouterr().err
    assert "stage paired: anew (setting trainer.max_epochs: 3 -> 2)" in said
    assert "stage diffusion: adopt (its own training, on newer weights)" in said
    paired, diffusion, before = (
        torch.load(path / "final.ckpt", weights_only=True)["state_dict"]
        for path in (folder / "paired", folder / "diffusion", suite.folder() / "diffusion")
    )
    decoder = [name for name in paired if "seismic" in name]
    assert any(not torch.equal(before[name], paired[name]) for name in decoder)
    assert all(torch.equal(diffusion[name], paired[name]) for name in decoder)
    denoiser = [name for name in before if "denoiser" in name]
    assert all(torch.equal(diffusion[name], before[name]) for name in denoiser)
    assert suite.call("fit", "--stage", "diffusion", *options, name="passed-on") == 0
    assert "stage diffusion: skip" in capsys.readouterr().err


def test_what_was_deleted_is_made_again(suite, capsys):
    folder = suite.copy("deleted")
    (folder / "samples.npz").unlink()
    assert suite.call("run", name="deleted") == 0
    said = capsys.readouterr().err
    assert "stage diffusion: skip" in said
    assert "stage generate: anew (samples.npz is gone)" in said
    assert "stage evaluate: skip" in said
    with np.load(folder / "samples.npz") as a, np.load(suite.folder() / "samples.npz") as b:
        assert np.array_equal(a["seismic"], b["seismic"])


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_stage_goes_on_and_ends_with_the_same_weights(suite, capsys, monkeypatch, stage):
    name = f"interrupted-{stage}"
    seeded = EpochSeed.on_train_epoch_start

    def interrupt(self, trainer, module):
        seeded(self, trainer, module)
        if getattr(module, "stage", None) == stage and trainer.current_epoch == 2:
            raise SIGTERMException

    with monkeypatch.context() as patch:
        patch.setattr(EpochSeed, "on_train_epoch_start", interrupt)
        assert suite.call("run", "--no_adoption", name=name) == 143
    assert not suite.record(stage, name)["finished"]
    epochs = []

    def note(self, trainer, module):
        epochs.append((getattr(module, "stage", None), trainer.current_epoch))
        seeded(self, trainer, module)

    monkeypatch.setattr(EpochSeed, "on_train_epoch_start", note)
    capsys.readouterr()
    assert suite.call("run", name=name) == 0
    assert f"stage {stage}: resume" in capsys.readouterr().err
    assert epochs[0] == (stage, 2), "it must go on at the third epoch, not begin anew"
    for each in STAGES:
        assert suite.record(each, name)["weights_sha256"] == suite.record(each)["weights_sha256"]
    # What came after it is the very same: it could be taken over from the uninterrupted run.
    assert suite.record("inversion_generated", name)["adopted_from"]
    with np.load(suite.folder(name) / "samples.npz") as a, np.load(suite.folder() / "samples.npz") as b:
        assert np.array_equal(a["seismic"], b["seismic"])


def test_single_stages_use_the_run_s_weights(suite, capsys):
    history, config = (suite.folder() / name for name in ("paired/history.jsonl", "config.yaml"))
    before = history.read_bytes(), config.read_bytes()
    for command, stage, shown in (
        ("validate", "paired", "paired val/loss"),
        ("test", "evaluate", "evaluate test/velocity_mae"),
        ("test", "inversion_real", "inversion_real test/ssim"),
        ("predict", "evaluate", "evaluate physics/relative_l2"),
    ):
        assert suite.call(command, "--stage", stage) == 0
        assert shown in capsys.readouterr().err
    assert (history.read_bytes(), config.read_bytes()) == before, "looking at a run must not change it"
    assert suite.call("fit", "--stage", "paired") == 0
    assert "stage paired: skip" in capsys.readouterr().err


def test_a_stage_that_builds_on_another_wants_it_first(suite, capsys):
    assert suite.call("fit", "--stage", "paired", "--no_adoption", name="fresh") == 2
    assert "stage autoencoder is not finished; run it first" in capsys.readouterr().err
    assert suite.call("fit", "--stage", "autoencoder", "--no_adoption", name="fresh") == 0
    assert suite.call("fit", "--stage", "paired", "--no_adoption", name="fresh") == 0
    assert suite.record("paired", "fresh")["weights_sha256"] == suite.record("paired")["weights_sha256"]


def test_a_stage_that_another_run_has_finished_is_taken_over_and_is_what_training_would_give(suite, capsys):
    option = ["--shared.model.seismic_decoder", "cnn"]
    assert suite.call("run", *option, name="cnn") == 0
    said = capsys.readouterr().err
    assert "stage autoencoder: adopt (" in said
    assert "stage paired: anew" in said
    assert "stage diffusion: adopt (" in said
    assert suite.record("autoencoder", "cnn")["adopted_from"]
    for stage in STAGES:
        assert suite.call("fit", "--stage", stage, *option, "--no_adoption", name="cnn-alone") == 0
        assert suite.record(stage, "cnn-alone")["weights_sha256"] == suite.record(stage, "cnn")["weights_sha256"]
    assert "adopt (" not in capsys.readouterr().err


@pytest.mark.parametrize("variant", [name for name in EXPERIMENT.variants if name != "ub_diff"])
def test_every_variant_generates_and_is_judged_alike(suite, variant):
    assert suite.call("run", "--variant", variant, name=variant) == 0
    metrics = json.loads((suite.folder(variant) / "metrics.json").read_text())
    whole = json.loads((suite.folder() / "metrics.json").read_text())
    judged = {name for name in whole if name.split("/")[0] in ("velocity", "seismic", "physics", "inversion", "latent")}
    assert judged <= set(metrics)
    assert metrics["physics/relative_l2"] != whole["physics/relative_l2"]
    assert metrics["inversion/real/mae"] == whole["inversion/real/mae"], "the control is the same network"


def test_variants_have_run_folders_of_their_own_and_a_misspelt_one_is_refused(capsys, tmp_path):
    assert main(EXPERIMENT, ["run", "--variant", "jiont", "--run_root", str(tmp_path)]) == 2
    assert "did you mean 'joint'" in capsys.readouterr().err
    code = main(EXPERIMENT, ["run", "--preset", "tiny", "--variant", "joint", "--config", str(SMOKE), "--run_root",
                             str(tmp_path), "--generator.model.latent_dim", "3"])  # fmt: skip
    assert code == 2
    assert "there is no block 'generator'; did you mean 'generate'" in capsys.readouterr().err


def test_the_resolved_settings_give_the_same_run(suite, capsys, tmp_path):
    assert suite.call("run", "--print_config") == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed == yaml.safe_load((suite.folder() / "config.yaml").read_text())
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(printed))
    assert suite.call("run", "--config", str(path)) == 0
    assert capsys.readouterr().err.count("skip (finished before)") == N_STAGES


@pytest.mark.parametrize("preset", presets("ubdiff"))
def test_every_preset_passes_the_real_parser(preset, capsys, tmp_path):
    assert main(EXPERIMENT, ["run", "--preset", preset, "--run_root", str(tmp_path), "--print_config"]) == 0
    assert set(yaml.safe_load(capsys.readouterr().out)) == set(EXPERIMENT.stage_names)
    assert list(tmp_path.iterdir()) == []


def test_under_a_sweep_agent_the_run_id_is_part_of_the_folder(suite, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    options = [f"--{stage}.trainer.max_epochs=1" for stage in STAGES]
    assert suite.call("fit", "--stage", "autoencoder", *options, "--shared.model.latent_dim=8", name="swept") == 0
    assert (suite.folder("swept-abc123") / "autoencoder" / "final.ckpt").exists()


def test_full_rate_and_shorthands_reach_the_settings(capsys):
    arguments = ["run", "--preset", "tiny", "--print_config", "--full_rate", "--seed", "7", "--dataset", "CurveVel-A"]
    assert main(EXPERIMENT, [*arguments, "--devices", "1", "--nodes", "1"]) == 0
    settings = yaml.safe_load(capsys.readouterr().out)["diffusion"]
    assert settings["data"]["time_stride"] == 1
    assert settings["data"]["dataset"] == "CurveVel-A"
    assert settings["seed_everything"] == 7
    assert settings["trainer"]["devices"] == 1


# (what is wrong, arguments, what the message must say)
WRONG = [
    ("a misspelt setting", ["--shared.model.latent_dmi", "3"], "did you mean 'model.latent_dim'"),
    ("a misspelt block", ["--autoencodr.model.latent_dim", "3"], "did you mean 'autoencoder'"),
    ("a wrong type", ["--shared.model.latent_dim", "many"], "model.latent_dim"),
    ("a value that is missing", ["--shared.model.latent_dim"], "the value is missing"),
    ("an unknown option", ["--fast"], "is not known"),
    ("a misspelt preset", ["--preset", "tinny"], "did you mean 'tiny'"),
    ("a settings file that is absent", ["--config", "absent.yaml"], "absent.yaml"),
    ("a setting that follows from another", ["--shared.model.n_time", "8"], "follows from data.time_stride"),
    ("stages that disagree", ["--paired.model.latent_dim", "8"], "must be the same in all stages"),
    ("a budget in seconds", ["--paired.trainer.max_time", "00:00:01:00"], "a budget in seconds"),
    ("a misspelt data set", ["--dataset", "FlatVelA"], "did you mean FlatVel-A"),
    ("a data folder that is absent", ["--data_root", "absent"], "absent"),
    ("a family without files", ["--dataset", "Style-B"], "Style-B"),
    ("more pairs than there are", ["--shared.data.n_pairs", "5000"], "n_pairs"),
    ("no pairs at all", ["--shared.data.n_pairs", "0"], "n_pairs"),
    ("a seed that is none", ["--seed", "one"], "seed"),
    ("devices that are none", ["--devices", "two"], "devices"),
    ("an impossible width", ["--shared.model.kirchhoff_width", "0"], "kirchhoff_width"),
    (
        "a reflection of more than everything",
        ["--shared.model.kirchhoff_least_reflection", "1.5"],
        "kirchhoff_least_reflection",
    ),
    ("a decoder without what it needs", ["--shared.model.direct_wave", "learned"], "direct_wave"),
    (
        "a rival that would be paired by construction",
        ["--variant", "joint", "--shared.model.direct_wave", "exact"],
        "direct",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, message):
    root = tmp_path / "runs"
    code = main(EXPERIMENT, ["run", "--preset", "tiny", "--config", str(SMOKE), "--run_root", str(root),
                             "--cache_root", str(tmp_path / "cache"), *arguments])  # fmt: skip
    said = capsys.readouterr().err
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert said.strip().splitlines()[-1].startswith("error: ")
    assert not list(root.rglob("*.partial"))
    assert not list(root.rglob("*.ckpt"))


def test_a_misspelt_stage_offers_the_nearest(capsys, tmp_path):
    assert main(EXPERIMENT, ["fit", "--stage", "pared", "--preset", "tiny", "--run_root", str(tmp_path)]) == 2
    assert "did you mean 'paired'" in capsys.readouterr().err


def test_a_checkpoint_of_another_configuration_is_refused(suite, capsys):
    weights = suite.folder() / "autoencoder" / "final.ckpt"
    arguments = ["--paired.model.initial_weights", str(weights), "--shared.model.latent_dim", "8"]
    assert suite.call("fit", "--stage", "paired", *arguments, name="other") == 2
    said = capsys.readouterr().err
    assert "final.ckpt" in said
    assert "latent_dim" in said


def test_a_damaged_checkpoint_is_named(suite, capsys):
    folder = suite.copy("damaged")
    path = folder / "autoencoder" / "final.ckpt"
    path.write_bytes(path.read_bytes()[:2000])
    assert suite.call("run", name="damaged") == 2
    assert "final.ckpt: the checkpoint is damaged" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_fit_before_its_checkpoint(suite, capsys):
    options = ["--autoencoder.model.learning_rate", "1e30", "--autoencoder.model.schedule", "constant"]
    assert suite.call("fit", "--stage", "autoencoder", *options, name="diverged") == 2
    assert "lower the learning rate" in capsys.readouterr().err
    assert not (suite.folder("diverged") / "autoencoder" / "last.ckpt").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_run_folder_is_refused(suite, capsys):
    folder = suite.copy("locked")
    folder.chmod(0o500)
    try:
        assert suite.call("run", name="locked") == 2
    finally:
        folder.chmod(0o700)
    assert "read-only" in capsys.readouterr().err


class RecordedRun:
    """Stands in for the W&B run."""

    def __init__(self) -> None:
        self.history: list[dict] = []
        self.summary: dict = {}
        self.exit_code: int | None = None

    def log(self, metrics):
        self.history.append(metrics)

    def finish(self, exit_code):
        self.exit_code = exit_code


def test_wandb_gets_every_stage_under_its_own_step_and_the_final_metrics(suite, monkeypatch):
    recorded = RecordedRun()
    monkeypatch.setattr(wandb_run, "start", lambda *_: recorded)
    assert suite.call("run", *[f"--{stage}.trainer.max_epochs=2" for stage in STAGES], name="tracked") == 0
    for stage in STAGES:
        lines = [line for line in recorded.history if f"{stage}/train/loss" in line or f"{stage}/val/loss" in line]
        assert len(lines) >= 2
        assert all(key.split("/")[0] == stage for line in lines for key in line)
        steps = [line[f"{stage}/step"] for line in lines]
        assert steps == sorted(steps)
    assert recorded.summary == json.loads((suite.folder("tracked") / "metrics.json").read_text())
    assert recorded.exit_code == 0


def test_wandb_is_told_of_a_failure(suite, monkeypatch):
    recorded = RecordedRun()
    monkeypatch.setattr(wandb_run, "start", lambda *_: recorded)
    assert suite.call("fit", "--stage", "diffusion", name="failed") == 2
    assert recorded.exit_code == 1
