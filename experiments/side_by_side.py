"""Many runs of the suite, a few at a time, each a process of one thread with a log of its own.

What is finished is skipped by the run itself, so that the same call again goes on where it was stopped. Ctrl-C or
SIGTERM stops the runs under way at their last epoch.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Job:
    """One run.

    Args:
        name: For the progress bar and the log's file name.
        module: What `python -m` runs.
        arguments: What follows.
    """

    name: str
    module: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [sys.executable, "-m", self.module, *self.arguments]


class TerminatedError(BaseException):
    """SIGTERM came; as an exception, so that the runs that are under way are stopped too."""


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Raise `TerminatedError` in the main thread when SIGTERM comes."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Processes:
    """The processes under way, and whether more may start."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        # Each run is a W&B run of its own, also where an agent started this process.
        inherited = {name: value for name, value in os.environ.items() if name not in ("WANDB_RUN_ID", "WANDB_NAME")}
        self.logs, self.environment = logs, {**inherited, **ONE_THREAD, **environment}
        self._running: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, job: Job) -> int | None:
        """Run one to its end; its exit code, None where it was not begun."""
        log = self.logs / f"{job.name}.log"
        with log.open("wb") as file:
            file.write((shlex.join(job.command) + "\n").encode())
            file.flush()
            with self._lock:
                if self._stopped:
                    return None
                # A session of its own: Ctrl-C reaches it through us, once.
                process = subprocess.Popen(
                    job.command, stdout=file, stderr=subprocess.STDOUT, env=self.environment, start_new_session=True
                )
                self._running.append(process)
            code = process.wait()
        with self._lock:
            self._running.remove(process)
        return code

    def stop(self) -> None:
        """Let nothing more start, and let those under way stop at their last epoch."""
        with self._lock:
            self._stopped, running = True, list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def run_side_by_side(
    jobs: Sequence[Job], logs: Path, at_a_time: int, *, what: str, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Run jobs in order, so many at a time, under one progress bar.

    Args:
        jobs: What to run.
        logs: Folder of the logs.
        at_a_time: How many at a time.
        what: Named in the progress bar and in messages.
        environment: Further variables of the jobs' environment.

    Returns:
        Names of those that failed; each has been told with the last line of its log.
    """
    from tqdm import tqdm

    logs.mkdir(parents=True, exist_ok=True)
    processes = _Processes(logs, environment or {})
    failed = []
    with ThreadPoolExecutor(max(1, at_a_time)) as pool, tqdm(total=len(jobs), unit="run", desc=what) as bar:
        futures = {pool.submit(processes.run, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                job, code = futures[future], future.result()
                bar.set_postfix_str(job.name, sys.stderr.isatty())
                bar.update()
                if code:
                    failed.append(job.name)
                    said = _last_line(logs / f"{job.name}.log")
                    bar.write(f"{what}: {job.name} failed (exit code {code}): {said}", file=sys.stderr)
        except BaseException:
            processes.stop()
            raise
    return failed


def _last_line(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
