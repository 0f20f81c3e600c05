"""Whole runs of a paper's program in processes of their own, for what only real processes show."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
SMOKE = {"ubdiff": TESTS / "smoke.yaml", "harpa": TESTS / "smoke_harpa.yaml", "cubism": TESTS / "smoke_cubism.yaml"}
TIMED = ("/seconds", "/cpu_seconds", "_bytes", "second_core", "cpu_s")
"""Ends of the metrics that no second run repeats."""


class Process:
    """A program at work, with what it says read line by line, so that its pipe is never full."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def hears(self, text: str, timeout_s: float = 300.0) -> str:
        """The first line with a text in it, "" if the program ends without."""
        deadline = time.monotonic() + timeout_s
        while (line := self._lines.get(timeout=max(deadline - time.monotonic(), 0.01))) is not None:
            self.said.append(line)
            if text in line:
                return line
        return ""

    def wait_for(self, path: Path, timeout_s: float = 300.0) -> None:
        """Wait for a file; the program must not end before."""
        deadline = time.monotonic() + timeout_s
        while not path.exists():
            assert self._process.poll() is None, self.ends()
            assert time.monotonic() < deadline, f"{path} never came"
            time.sleep(0.01)

    def kill(self, with_signal: signal.Signals = signal.SIGKILL) -> bool:
        """Kill it and all its children; whether it was still at work."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, with_signal)
        return self.exit_code() == -with_signal

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def exit_code(self, timeout_s: float = 600.0) -> int:
        """Wait for its end."""
        return self._process.wait(timeout=timeout_s)

    def ends(self, timeout_s: float = 600.0) -> str:
        """Wait for its end; all it said."""
        self.hears("\0", timeout_s)
        self.exit_code(timeout_s)
        return "".join(self.said)


class Runs:
    """Runs of one paper, on the smoke test's data, in one folder.

    Args:
        paper: Such as `ubdiff`.
        root: Folder of runs and cache.
        options: Of every run.
    """

    def __init__(self, paper: str, root: Path, *options: str) -> None:
        self.paper, self.root, self.options = paper, root, options
        self.environment = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}

    def arguments(self, name: str) -> list[str]:
        """Of every run."""
        return ["--preset", "tiny", "--config", str(SMOKE[self.paper]), "--run_root", str(self.root / "runs"),
                "--cache_root", str(self.root / "cache"), "--name", name, "--no_adoption", *self.options]  # fmt: skip

    def start(self, name: str, *options: str, command: str = "run") -> Process:
        """Start a run."""
        program = [sys.executable, "-m", f"experiments.{self.paper}", command]
        return Process([*program, *self.arguments(name), *options], self.environment)

    def finish(self, name: str, *options: str, command: str = "run") -> str:
        """Run to the end; what it said."""
        process = self.start(name, *options, command=command)
        said = process.ends()
        assert process.exit_code() == 0, said
        return said

    def folder(self, name: str) -> Path:
        """Of a run."""
        return self.root / "runs" / self.paper / name

    def record(self, name: str, stage: str) -> dict[str, object]:
        """Of a stage."""
        return dict(json.loads((self.folder(name) / stage / "stage.json").read_text()))

    def stages(self, name: str) -> list[str]:
        """The stages that a run has gone through, in order."""
        paths = sorted(self.folder(name).glob("*/stage.json"), key=lambda path: path.stat().st_mtime_ns)
        return [path.parent.name for path in paths if not path.parent.name.endswith(".previous")]

    def digests(self, name: str) -> dict[str, object]:
        """Digests of the final weights, by stage; None where nothing is trained."""
        return {stage: self.record(name, stage)["weights_sha256"] for stage in self.stages(name)}

    def metrics(self, name: str) -> dict[str, float]:
        """All that a second run repeats."""
        metrics = json.loads((self.folder(name) / "metrics.json").read_text())
        return {key: value for key, value in metrics.items() if not key.endswith(TIMED)}

    def history(self, name: str, stage: str, metric: str) -> list[float]:
        """Logged values of one metric."""
        lines = map(json.loads, (self.folder(name) / stage / "history.jsonl").read_text().splitlines())
        return [float(line[metric]) for line in lines if metric in line]


def equal_metrics(one: dict[str, float], two: dict[str, float]) -> bool:
    """The same figures, bit for bit; not a number equals itself."""
    if one.keys() != two.keys():
        return False
    return all(two[name] == pytest.approx(value, rel=0, abs=0, nan_ok=True) for name, value in one.items())
