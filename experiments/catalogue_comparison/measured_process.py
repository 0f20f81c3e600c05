"""CPU time and peak memory of a command, one thread, stopped where it takes more than it was given.

The command is started by a small process of its own, this file: what Linux tells of the largest resident set of a
process begins with that of the one it was started from, so that started from a large one all look large.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STOPPED_BY_THE_CLOCK = 124
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Args:
        status: Its exit status.
        stopped: What it was stopped after, in words; "" where it ended by itself.
        cpu_s: CPU seconds, of the processes that it waited for too.
        peak_mb: Largest resident set of any of them.
        said: Lines of its output.
    """

    status: int
    stopped: str
    cpu_s: float
    peak_mb: float
    said: list[str]


def measure(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 7200.0,
    limit_cpu_s: float | None = None,
) -> Measured:
    """Run a command and measure it.

    Args:
        command: The command; its output is kept.
        environment: Variables added to this process' own; PYTHONPATH is left out if not given here.
        timeout_s: Seconds, on the clock of the wall.
        limit_cpu_s: CPU seconds of any of its processes, rounded up; None for any.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        report, said = Path(folder) / "report.json", Path(folder) / "said"
        limit = "0" if limit_cpu_s is None else str(int(-(-limit_cpu_s // 1)))
        starter = [sys.executable, "-S", "-E", __file__, str(report), str(timeout_s), limit, *command]
        with said.open("w", encoding="utf-8") as file:
            subprocess.run(starter, stdout=file, stderr=file, env=inherited | _THREADS | dict(environment or {}))
        lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if not report.exists():
            return Measured(1, "", 0.0, 0.0, lines)
        content = json.loads(report.read_text())
    status, cpu_s = int(content["status"]), float(content["cpu_s"])
    stopped = ""
    if status == _STOPPED_BY_THE_CLOCK:
        stopped = f"{timeout_s:g} s"
    elif status == -signal.SIGXCPU or (limit_cpu_s is not None and status < 0 and cpu_s >= 0.95 * limit_cpu_s):
        stopped = f"{limit_cpu_s or cpu_s:g} CPU-s"
    return Measured(status, stopped, cpu_s, float(content["peak_mb"]), lines)


def _start(report: str, timeout_s: str, limit_cpu_s: str, *command: str) -> None:
    """What the small process does."""
    if int(limit_cpu_s):
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_cpu_s), int(limit_cpu_s) + 2))
    try:
        status = subprocess.run(command, timeout=float(timeout_s)).returncode
    except subprocess.TimeoutExpired:
        status = _STOPPED_BY_THE_CLOCK
    except OSError as error:
        print(f"{command[0]}: {error.strerror}")
        status = 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = {"status": status, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    Path(report).write_text(json.dumps(content))


if __name__ == "__main__":
    _start(*sys.argv[1:])
