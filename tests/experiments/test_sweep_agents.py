"""Real `wandb sweep` and real `wandb agent` on the shipped sweeps, against a stand-in of the W&B backend."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.wandb_backend import ENTITY, ReceivedRun, WandbBackend

ROOT = Path(__file__).parents[2]
SWEEPS = ROOT / "experiments" / "sweeps"
SMOKE = {"ubdiff": "smoke.yaml", "harpa": "smoke_harpa.yaml", "cubism": "smoke_cubism.yaml"}

pytestmark = pytest.mark.slow(minutes=1)


class Agents:
    """`wandb` as users call it, with all of its traffic sent to a backend in this process."""

    def __init__(self, backend: WandbBackend, home: Path) -> None:
        self.backend, self.home = backend, home
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        inherited = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
        self.environment = {**inherited, **backend.environment(home), "PATH": path}

    def wandb(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["wandb", *arguments], cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    def sweep(self, name: str, more: list[str], parameters: Mapping[str, list[Any]]) -> str:
        """Create a shipped sweep as a grid over some of its parameters, with options of the command added."""
        settings = yaml.safe_load((SWEEPS / f"{name}.yaml").read_text())
        place = settings["command"].index("${args}")
        settings["command"][place:place] = more
        settings["method"] = "grid"
        settings["parameters"] = {key: {"values": values} for key, values in parameters.items()}
        file = self.home / "sweep.yaml"
        file.write_text(yaml.safe_dump(settings))
        process = self.wandb("sweep", str(file))
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said
        return list(self.backend.sweeps)[-1]

    def agent(self, sweep: str) -> "subprocess.Popen[str]":
        return self.wandb("agent", f"{ENTITY}/suite/{sweep}")

    def runs_of(self, sweep: str, timeout_s: float = 400) -> tuple[list[ReceivedRun], str]:
        """Let an agent work until the sweep has nothing left: its runs, and what the agent said."""
        said = self.agent(sweep).communicate(timeout=timeout_s)[0]
        assert not self.backend.unknown, self.backend.unknown
        return [self.backend.runs[name] for name in self.backend.sweeps[sweep].given], said

    def below(self, paper: str, config: str = "") -> list[str]:
        """Options that make a run of a paper small, and keep it in this test's folder."""
        file = config or str(ROOT / "tests" / SMOKE[paper])
        return ["--config", file, "--run_root", str(self.home / "runs"), "--cache_root", str(self.home / "cache")]


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    with WandbBackend() as backend:
        yield Agents(backend, tmp_path)


def goal_of(name: str) -> str:
    return str(yaml.safe_load((SWEEPS / f"{name}.yaml").read_text())["metric"]["name"])


@pytest.mark.parametrize("paper", sorted(SMOKE))
def test_an_agent_drives_two_whole_runs_of_a_paper(agents, paper):
    more = [*agents.below(paper), "--log_checkpoints"]
    sweep = agents.sweep(paper, more, {"shared.seed_everything": [0, 1]})
    runs, said = agents.runs_of(sweep)
    assert [run.exit_codes for run in runs] == [[0], [0]], said
    for seed, run in enumerate(runs):
        assert run.sweep == sweep
        assert run.history, said
        assert goal_of(paper) in run.summary
        assert {"git_revision", "versions", "system", "data"} <= run.config["provenance"].keys()
        assert any(name.startswith("media/images/figures/") for name in run.files), sorted(run.files)
        assert any(name.startswith("media/table/") for name in run.files), sorted(run.files)
        weights = agents.backend.artifacts[f"{paper}-{run.name}"]
        assert weights.is_committed
        assert any(name.endswith(".ckpt") for name in weights.files)
        first_stage = next(value for value in run.config.values() if isinstance(value, dict) and "model" in value)
        assert first_stage["seed_everything"] == seed, "the agent's value has reached the experiment"
        folder = next((agents.home / "runs" / paper).glob(f"*{run.name}"))
        metrics = json.loads((folder / "metrics.json").read_text())
        assert run.summary[goal_of(paper)] == pytest.approx(metrics[goal_of(paper)])


def test_an_agent_drives_the_association_runner(agents):
    example = agents.home / "example"
    subprocess.run([sys.executable, "-m", "experiments.association.example", str(example)], cwd=ROOT, check=True)
    sweep = agents.sweep("association", [], {"lr": [0.01, 0.005]})
    command = agents.backend.sweeps[sweep].config["command"]
    # The shipped sweep names files of the user's own; here they are the example's.
    here = {"--picks": example / "picks.csv", "--stations": example / "stations.csv", "--out": agents.home / "out"}
    shipped = dict(zip(command[4:-1:2], command[5:-1:2], strict=True))
    drop = ("--wave_speed", "--spacing_km", "--events")
    kept = {name: str(here.get(name, value)) for name, value in shipped.items() if name not in drop}
    model = {"--velocity_1d": str(example / "velocity_1d.csv"), "--events": "12", "--chains": "4", "--restarts": "1"}
    options = [part for pair in (kept | model).items() for part in pair]
    agents.backend.sweeps[sweep].config["command"] = [*command[:4], *options, "${args}"]
    runs, said = agents.runs_of(sweep)
    assert [run.exit_codes for run in runs] == [[0], [0]], said
    assert all(goal_of("association") in run.summary for run in runs)
    assert all((agents.home / "out" / run.name / "summary.json").exists() for run in runs)


def test_a_run_that_fails_is_reported_as_failed(agents):
    sweep = agents.sweep("harpa", agents.below("harpa"), {"field.model.learning_rate": [1e30]})
    runs, said = agents.runs_of(sweep)
    assert runs[0].exit_codes == [1], said
    assert "error: " in said


def test_a_stop_command_ends_the_run_and_it_goes_on_when_called_again(agents):
    more = [*agents.below("ubdiff"), "--autoencoder.trainer.max_epochs", "100000"]
    sweep = agents.sweep("ubdiff", more, {"shared.seed_everything": [0]})
    agent = agents.agent(sweep)
    name = f"{sweep}run0"
    deadline = time.monotonic() + 120
    while not list((agents.home / "runs").glob(f"ubdiff/*{name}/autoencoder/last.ckpt")):
        assert agent.poll() is None, agent.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    agents.backend.to_stop.add(name)
    said = agent.communicate(timeout=120)[0]
    assert "call again to go on" in said
    assert agents.backend.runs[name].exit_codes == [1]
    folder = next((agents.home / "runs").glob(f"ubdiff/*{name}"))
    assert not json.loads((folder / "autoencoder" / "stage.json").read_text())["finished"]


def test_two_ranks_are_one_run(agents):
    sweep = agents.sweep("harpa", [*agents.below("harpa"), "--devices", "2"], {"shared.seed_everything": [0]})
    runs, said = agents.runs_of(sweep)
    assert [run.exit_codes for run in runs] == [[0]], said
    assert len(agents.backend.runs) == 1
    assert goal_of("harpa") in runs[0].summary
