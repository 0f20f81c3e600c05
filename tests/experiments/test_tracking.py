import json

import pytest

from experiments import tracking, wandb_run
from experiments.tracking import HistoryLogger, read_history


def test_offline_unless_somebody_logged_in(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert wandb_run.mode() == "offline"
    (tmp_path / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert wandb_run.mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_run.mode() == "disabled"
    monkeypatch.delenv("WANDB_MODE")
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert wandb_run.mode() == "online"


def test_a_resumed_history_drops_what_is_logged_again(tmp_path):
    path = tmp_path / "history.jsonl"
    first = HistoryLogger(path)
    for step in (1, 2, 3):
        first.log_metrics({"train/loss": step / 10}, step)
    with path.open("a") as file:
        file.write('{"step": 4, "train/lo')  # a kill in mid-write
    resumed = HistoryLogger(path)
    resumed.log_metrics({"train/loss": 9.0}, 3)
    assert [(line["step"], line["train/loss"]) for line in read_history(path)] == [(1, 0.1), (2, 0.2), (3, 9.0)]


class FakeRun:
    def __init__(self):
        self.logged = []

    def log(self, metrics):
        self.logged.append(metrics)


def test_wandb_names_carry_the_stage_and_its_own_step():
    run = FakeRun()
    logger = tracking.StageWandbLogger(run, "paired")
    logger.log_metrics({"val/loss": 0.5}, step=7)
    logger.log_hyperparams({"a": 1})
    assert run.logged == [{"paired/val/loss": 0.5, "paired/step": 7}]


def test_one_offline_wandb_run_with_its_id_in_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = wandb_run.start(tmp_path, "ubdiff", ["paired"], {"a": 1})
    run.finish()
    id_file = tmp_path / wandb_run.ID_FILE
    assert id_file.read_text().strip() == run.id
    again = wandb_run.start(tmp_path, "ubdiff", ["paired"], {"a": 1})
    again.finish()
    assert again.id == run.id
    assert json.dumps(dict(again.config)) == '{"a": 1}'


def test_a_run_within_a_run_leaves_the_outer_one_open(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    outer = wandb_run.start(tmp_path / "figures", "harpa_figures", [], {})
    inner = wandb_run.start(tmp_path / "field", "harpa", ["field"], {})
    inner.log({"field/loss": 1.0})
    inner.finish()
    outer.summary.update({"fig1/accuracy": 0.5})
    assert outer.id != inner.id
    assert outer.summary["fig1/accuracy"] == 0.5
    outer.finish()


def test_disabled_wandb_starts_nothing(tmp_path):
    assert wandb_run.start(tmp_path, "ubdiff", ["paired"], {}) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["sweep1", ""])
def test_sweep_agents_are_recognised(monkeypatch, value):
    monkeypatch.setenv("WANDB_SWEEP_ID", value)
    assert wandb_run.under_sweep_agent() is bool(value)
