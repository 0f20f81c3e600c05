"""Cubism in real processes: kill -9 and resume, and two ranks that give what one gives."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "tests" / "smoke_cubism.yaml"
METHODS = ("cubism", "dann", "dm-ada")

pytestmark = pytest.mark.slow


class Runs:
    """Starts the program in processes of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, method: str, name: str, *options: str, command: str = "run") -> "subprocess.Popen[str]":
        arguments = ["--method", method, "--preset", "tiny", "--config", str(SMOKE), "--name", name, "--no_adoption",
                     "--run_root", str(self.root / "runs"), "--cache_root", str(self.root / "cache")]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.cubism", command, *arguments, *options],
            cwd=ROOT, env={**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    def finish(self, method: str, name: str, *options: str, command: str = "run") -> str:
        process = self.start(method, name, *options, command=command)
        said = process.communicate(timeout=600)[1]
        assert process.returncode == 0, said
        return said

    def folder(self, name: str) -> Path:
        return self.root / "runs" / "cubism" / name

    def metrics(self, name: str) -> dict[str, float]:
        metrics = json.loads((self.folder(name) / "metrics.json").read_text())
        return {k: v for k, v in metrics.items() if not k.endswith(("/seconds", "_bytes"))}

    def digest(self, name: str) -> str:
        return json.loads((self.folder(name) / "transfer" / "stage.json").read_text())["weights_sha256"]

    def history(self, name: str, metric: str) -> list[float]:
        lines = map(json.loads, (self.folder(name) / "transfer" / "history.jsonl").read_text().splitlines())
        return [float(line[metric]) for line in lines if metric in line]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made = Runs(tmp_path_factory.mktemp("processes"))
    made.finish("cubism", "whole", "--transfer.trainer.max_epochs", "8")
    return made


def test_kill_9_changes_nothing(runs):
    longer = ["--transfer.trainer.max_epochs", "8"]
    process = runs.start("cubism", "killed", *longer)
    deadline = time.monotonic() + 120
    while not (runs.folder("killed") / "transfer" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    assert "stage transfer: resume (from epoch" in runs.finish("cubism", "killed", *longer)
    assert runs.digest("killed") == runs.digest("whole")
    assert runs.metrics("killed") == runs.metrics("whole"), "the oracle's epochs too"
    assert runs.history("killed", "ratio/estimate")[-1] == runs.history("whole", "ratio/estimate")[-1]


def test_two_ranks_run_it_all_and_skip_it_the_second_time(runs):
    said = runs.finish("cubism", "ddp", "--devices", "2", "--transfer.trainer.max_epochs", "8")
    assert said.count("stage transfer: anew") == said.count("stage evaluate: anew") == 1, "one rank decides"
    one, two = runs.metrics("whole"), runs.metrics("ddp")
    assert one.keys() == two.keys()
    assert two["target/n"] == one["target/n"]
    # Sums in another order, over some hundred steps.
    ours, theirs = runs.history("whole", "ratio/estimate"), runs.history("ddp", "ratio/estimate")
    assert len(ours) == len(theirs)
    assert theirs[:5] == pytest.approx(ours[:5], abs=0.02)
    again = runs.finish("cubism", "ddp", "--devices", "2", "--transfer.trainer.max_epochs", "8")
    assert again.count("skip (finished before)") == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_method_learns_on_two_ranks_what_it_learns_on_one(runs, method):
    """The same global batches from the same weights, with pre-training over."""
    losses = {}
    for devices in ("1", "2"):
        name = f"{method}-{devices}"
        options = ["--devices", devices, "--shared.model.pretrain_epochs", "0", "--transfer.trainer.max_epochs", "2"]
        runs.finish(method, name, "--stage", "transfer", *options, command="fit")
        losses[devices] = [runs.history(name, metric)[0] for metric in ("train/loss", "train/classification")]
    assert losses["2"] == pytest.approx(losses["1"], rel=1e-3)
