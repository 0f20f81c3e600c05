"""Several runs at a time: all are run, what fails is told, and nothing survives a stop."""

import os
import time
from pathlib import Path

import pytest

from experiments import side_by_side
from experiments.side_by_side import Job, run_side_by_side

PROGRAM = """
import os, pathlib, sys, time
kind, path = sys.argv[1], pathlib.Path(sys.argv[2])
print("threads", os.environ["OMP_NUM_THREADS"])
if kind == "fail":
    sys.exit("error: it went wrong")
if kind == "sleep":
    path.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(60)
if kind == "meet":  # ends only when another is there at the same time
    path.touch()
    deadline = time.monotonic() + 30
    while len(list(path.parent.glob("*.met"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
path.touch()
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    (tmp_path / "a_small_program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda name, kind, path: Job(name, "a_small_program", (kind, str(tmp_path / path)))


def test_all_jobs_run_and_a_failed_one_is_told(job, tmp_path, capsys):
    jobs = [job("one", "ok", "one"), job("two", "fail", "two"), job("three", "ok", "three")]
    assert run_side_by_side(jobs, tmp_path / "logs", 2, what="table") == ["two"]
    assert (tmp_path / "one").exists()
    assert (tmp_path / "three").exists()
    assert "two failed (exit code 1): error: it went wrong" in capsys.readouterr().err
    log = (tmp_path / "logs" / "one.log").read_text()
    assert "-m a_small_program ok" in log
    assert "threads 1" in log


def test_two_run_at_the_same_time(job, tmp_path):
    assert run_side_by_side([job(n, "meet", f"{n}.met") for n in "ab"], tmp_path / "logs", 2, what="table") == []


def test_a_stop_ends_what_is_under_way_and_begins_nothing_more(job, tmp_path, monkeypatch):
    jobs = [job("a", "sleep", "a"), job("b", "fail", "b"), job("c", "sleep", "c"), job("d", "ok", "d")]

    def interrupted(futures):
        deadline = time.monotonic() + 30
        while not (tmp_path / "a.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(side_by_side, "as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(jobs, tmp_path / "logs", 1, what="table")
    assert not (tmp_path / "d").exists()
    for path in Path(tmp_path).glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
