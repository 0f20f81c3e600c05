"""Cubism through its real entry point, on a few synthetic events."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from experiments.cubism import EXPERIMENT, experiment_of, main, run_label
from experiments.cubism_methods import ALL, METHODS, SEVEN
from experiments.cubism_stages import PICTURES
from experiments.settings import presets

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "tests" / "smoke_cubism.yaml"
RUN = "Llaima-Deception-cubism-tiny-seed0"


class Suite:
    """One place for runs and cache, and a way to call the program in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def places(self) -> list[str]:
        return ["--run_root", str(self.root / "runs"), "--cache_root", str(self.root / "cache")]

    def call(self, command: str, method: str, *arguments: str, name: str | None = None) -> int:
        named = ["--name", name] if name else []
        return main([command, "--method", method, "--preset", "tiny", "--config", str(SMOKE), *self.places(), *named,
                     *arguments])  # fmt: skip

    def folder(self, name: str) -> Path:
        return self.root / "runs" / "cubism" / name

    def metrics(self, name: str) -> dict[str, float]:
        return json.loads((self.folder(name) / "metrics.json").read_text())

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return torch.load(self.folder(name) / "transfer" / "final.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        made = Suite(tmp_path_factory.mktemp("suite"))
        assert made.call("run", "cubism") == 0
    return made


def test_a_run_folder_holds_everything(suite):
    folder, metrics = suite.folder(RUN), suite.metrics(RUN)
    assert set(EXPERIMENT.metrics) <= set(metrics)
    assert all(np.isfinite(value) for value in metrics.values())
    for stage in ("transfer", "evaluate"):
        assert metrics[f"{stage}/seconds"] > 0
    for measure in ("accuracy", "precision", "recall", "f1", "recall_lp", "recall_vt"):
        assert 0 <= metrics[f"target/{measure}"] <= 1
    share = 0.05 * np.array([262, 77])
    assert metrics["all_lp/accuracy"] == pytest.approx(share[0] / share.sum(), abs=0.1)
    assert metrics["oracle/f1"] >= metrics["oracle/last_f1"] == pytest.approx(metrics["target/f1"])
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["data"]["kind"] == "synthetic"
    report = (folder / "report.md").read_text()
    for picture in EXPERIMENT.figures:
        assert f"figures/{picture}" in report, picture
        assert (folder / "figures" / picture).read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob("*.partial"))


def test_predictions_name_every_target_event_and_agree_with_the_metrics(suite):
    with (suite.folder(RUN) / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == suite.metrics(RUN)["target/n"]
    assert len({row["event_id"] for row in rows}) == len(rows)
    for row in rows:
        lp, vt = float(row["probability_lp"]), float(row["probability_vt"])
        assert lp + vt == pytest.approx(1, abs=1e-5)
        assert row["predicted_class"] == ("VT" if vt > lp else "LP")
    right = np.mean([row["true_class"] == row["predicted_class"] for row in rows])
    assert suite.metrics(RUN)["target/accuracy"] == pytest.approx(right)


def test_the_module_s_own_metrics_are_the_same(suite):
    lines = (suite.folder(RUN) / "evaluate" / "history.jsonl").read_text().splitlines()
    said = {name: value for line in lines for name, value in json.loads(line).items()}
    for name in ("target/accuracy", "target/f1", "target/precision", "target/recall", "source/f1", "source/recall_vt"):
        assert said[name] == pytest.approx(suite.metrics(RUN)[name], rel=1e-4)


def test_called_again_it_skips_and_a_deleted_picture_is_drawn_again(suite, capsys):
    name = "again"
    shutil.copytree(suite.folder(RUN), suite.folder(name))
    assert suite.call("run", "cubism", name=name) == 0
    assert capsys.readouterr().err.count("skip (finished before)") == 2
    (suite.folder(name) / "figures" / PICTURES[0]).unlink()
    assert suite.call("run", "cubism", name=name) == 0
    said = capsys.readouterr().err
    assert "stage transfer: skip" in said
    assert f"stage evaluate: anew ({PICTURES[0]} is gone)" in said


def test_target_labels_and_the_oracle_change_no_bit_of_the_weights(suite, monkeypatch):
    """With labels shuffled, and with no oracle at all."""
    from datamodules.volcano_records import VolcanoEvents
    from experiments import cubism_evaluation

    before = suite.weights(RUN)
    table = VolcanoEvents.table

    def shuffled(self: VolcanoEvents):
        found = table(self)
        if self.name != "Deception":
            return found
        return found._replace(label=np.random.default_rng(0).integers(0, 2, len(found.label)))

    with monkeypatch.context() as patch:
        patch.setattr(VolcanoEvents, "table", shuffled)
        assert suite.call("fit", "cubism", "--stage", "transfer", "--no_adoption", name="shuffled") == 0
    with monkeypatch.context() as patch:
        patch.setattr(cubism_evaluation, "transfer_callbacks", lambda folder, settings: [])
        assert suite.call("fit", "cubism", "--stage", "transfer", "--no_adoption", name="no-oracle") == 0
    for name in ("shuffled", "no-oracle"):
        after = suite.weights(name)
        assert after.keys() == before.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    oracles = [(suite.folder(name) / "transfer" / "oracle.csv") for name in ("shuffled", "no-oracle")]
    assert oracles[0].read_text() != (suite.folder(RUN) / "transfer" / "oracle.csv").read_text()
    assert not oracles[1].exists()


@pytest.mark.slow(minutes=0.2)
@pytest.mark.parametrize("method", [name for name in METHODS if name != "cubism"])
def test_every_method_runs_to_its_metrics(suite, method):
    assert suite.call("run", method, "--transfer.trainer.max_epochs", "2") == 0
    name = f"Llaima-Deception-{method}-tiny-seed0"
    assert 0 <= suite.metrics(name)["target/f1"] <= 1
    has_mixups = method in ("dm-ada", "dm-ada-flow", "bmix-da")
    assert (suite.folder(name) / "figures" / "mixups.png").exists() == has_mixups
    for picture in PICTURES:
        assert (suite.folder(name) / "figures" / picture).exists()


@pytest.mark.parametrize(
    ("preset", "method"),
    # Each kind of method with each preset, and every method with one of them.
    [(p, m) for p in presets("cubism") for m in METHODS if p == "tiny" or m in ("cubism", "dann", "dm-ada")],
)
def test_every_preset_and_method_passes_the_real_parser(preset, method, capsys, tmp_path):
    arguments = ["run", "--preset", preset, "--method", method, "--run_root", str(tmp_path / "runs")]
    arguments += ["--cache_root", str(tmp_path / "cache"), "--print_config", "--seed", "3"]
    if preset == "paper":  # built whole for every method, at its own width, would take a minute
        arguments += ["--shared.model.backbone_width", "8", "--shared.data.size", "64"]
    assert main(arguments) == 0
    settings = yaml.safe_load(capsys.readouterr().out)
    assert list(settings) == ["transfer", "evaluate"]
    model, data = settings["transfer"]["model"], settings["transfer"]["data"]
    assert settings["evaluate"]["model"] == model
    assert settings["evaluate"]["data"] == data
    assert (model["generator"] == "flow") == (method in ("dm-ada-flow", "bmix-da", "cubism"))
    assert model["adversary"] == (method not in ("source-only", "source-balanced", "source-adabn", "imf-std"))
    assert (data["standardization"] == "imf") == (method == "imf-std")
    sees_no_target = method in ("source-only", "source-balanced", "imf-std")
    own = method == "source-adabn" or (preset == "tiny" and not sees_no_target)
    assert model["batch_statistics"] == ("per_volcano" if own else "joint")
    if preset != "tiny":
        assert (data["order"], model["mixup_per"], model["ratio"]) == ("as_published", "batch", "batch_first_epoch")
        if method == "cubism":
            assert (model["representation"], model["noisy_target"]) == ("image", "mixup_and_discriminator")
    assert list(tmp_path.iterdir()) == []


def test_the_paper_s_preset_follows_its_text(capsys, tmp_path):
    assert main(["run", "--preset", "paper", "--run_root", str(tmp_path), "--print_config"]) == 0
    settings = yaml.safe_load(capsys.readouterr().out)["transfer"]
    wanted = {"flow_layers": 2, "flow_units": 128, "mixup_alpha": 8, "mixup_beta": 2, "tau": 0.9, "xi": 0.9,
              "learning_rate": 0.01, "beta1": 0.9, "iota": 10, "backbone_width": 64, "schedule": "ganin"}  # fmt: skip
    assert {name: settings["model"][name] for name in wanted} == wanted
    assert settings["data"]["batch_size"] == 15


def test_ablations_in_between_are_one_line_each(suite, capsys):
    for line in ("balance none", "conditional false", "mixup input", "representation shared"):
        name, value = line.split()
        assert suite.call("run", "cubism", f"--shared.model.{name}={value}", "--print_config") == 0, line
        settings = yaml.safe_load(capsys.readouterr().out)["transfer"]["model"]
        assert settings[name] == yaml.safe_load(value)


def test_a_user_s_file_wins_over_the_method_and_an_option_over_both(suite, capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("shared: {model: {balance: source, tau: 0.8}}\n")
    places = ["--run_root", str(tmp_path), "--cache_root", str(tmp_path)]
    assert main(["run", "--preset", "tiny", "--config", str(file), "--print_config", *places]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["transfer"]["model"]["balance"] == "source"
    arguments = ["--config", str(file), "--shared.model.balance", "none", "--print_config", *places]
    assert main(["run", "--preset", "tiny", *arguments]) == 0
    model = yaml.safe_load(capsys.readouterr().out)["transfer"]["model"]
    assert (model["balance"], model["tau"]) == ("none", 0.8)


def test_names_of_runs_say_source_target_and_method():
    assert run_label("dann", {"data.source": "/a/b/Etna", "data.target": "CAU"}) == "Etna-CAU-dann"
    for name in METHODS:
        assert experiment_of(name).is_default_variant
    assert [*SEVEN][-1] == "cubism"


WRONG = [
    ("a misspelt method", ["--method", "dan"], "did you mean 'dann'"),
    ("two methods", ["--method", "dann", "--variant", "bmix-da"], "one of the two"),
    ("a misspelt setting", ["--shared.model.balanec", "none"], "did you mean 'model.balance'"),
    ("a value that is none of its choices", ["--shared.model.balance", "cobalanced"], "balance"),
    ("a setting that follows from another", ["--shared.model.image_size", "32"], "follows from data.size"),
    ("a part without another", ["--method", "dann", "--shared.model.conditional", "true"], "conditional"),
    ("an unknown volcano", ["--source", "Lliama"], "Lliama"),
    ("a data folder that is not there", ["--data_root", "absent"], "absent"),
    ("a stage of another size", ["--evaluate.model.backbone_width", "8"], "must be the same in all stages"),
    ("weights that are not there", ["--shared.model.pretrained", "absent.pth"], "absent.pth"),
    ("an impossible fold", ["--shared.data.validation_fold", "9"], "validation_fold"),
    ("a list of all with a stage", ["--method", ALL, "--shared.data.source", "CAU"], "--source"),
]


@pytest.mark.parametrize(("arguments", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_input_gets_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, message):
    places = ["--run_root", str(tmp_path / "runs"), "--cache_root", str(tmp_path / "cache")]
    assert main(["run", "--preset", "tiny", "--config", str(SMOKE), *places, *arguments]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert message in said[0]
    assert not list(tmp_path.rglob("*.ckpt"))


def test_the_experiment_takes_every_key_and_value_of_its_sweep(capsys, tmp_path):
    sweep = yaml.safe_load((ROOT / "experiments" / "sweeps" / "cubism.yaml").read_text())
    assert (ROOT / sweep["program"]).exists()
    command = [part for part in sweep["command"] if not part.startswith("${")]
    assert command[:3] == ["-m", "experiments.cubism", "run"]
    for place in (0, -1):
        options = [f"--{key}={content['values'][place]}" for key, content in sweep["parameters"].items()]
        assert main([*command[2:], *options, "--print_config", "--run_root", str(tmp_path)]) == 0, capsys.readouterr()
    assert not {0, 1, 2, 3, 4} & set(sweep["parameters"]["shared.seed_everything"]["values"])


def test_twins_are_written_labelled_and_read_back(tmp_path, monkeypatch, capsys):
    from datamodules import volcano_twins

    small = {name: replace(twin, n_lp=2, n_vt=1) for name, twin in volcano_twins.TWINS.items()}
    monkeypatch.setattr(volcano_twins, "TWINS", small)
    assert main(["twins", "--out", str(tmp_path / "volcano"), "--seed", "100"]) == 0
    assert "synthetic" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "volcano" / "Llaima").iterdir()) == [
        "lp.hdf5",
        "volcano.yaml",
        "vt.hdf5",
    ]
    assert main(["twins", "--out", str(tmp_path / "volcano"), "--seed", "-1"]) == 2
