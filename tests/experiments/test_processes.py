"""What only real processes show: SIGTERM, several ranks that are killed, torchrun; kill -9 of one is in test_kill."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, SMOKE, Runs

N_STAGES = 9

pytestmark = pytest.mark.slow(minutes=1.1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    options = [f"--{stage}.trainer.max_epochs=8" for stage in ("autoencoder", "paired", "diffusion")]
    return Runs("ubdiff", tmp_path_factory.mktemp("processes"), *options)


def test_sigterm_ends_with_an_error_and_never_marks_a_stage_as_done(runs):
    process = runs.start("terminated", "--paired.trainer.max_epochs", "2000")
    process.wait_for(runs.folder("terminated") / "paired" / "last.ckpt")
    process.terminate()
    said = process.ends(timeout_s=60)
    assert process.exit_code() == 143, said
    assert "call again to go on" in said
    assert not runs.record("terminated", "paired")["finished"]


def test_two_killed_ranks_go_on_where_they_were(runs):
    process = runs.start("ddp-killed", "--devices", "2")
    process.wait_for(runs.folder("ddp-killed") / "paired" / "last.ckpt")
    assert process.kill(), "it was over before it could be killed"
    assert "stage paired: resume" in runs.finish("ddp-killed", "--devices", "2")
    runs.finish("ddp-whole", "--devices", "2")
    assert runs.digests("ddp-killed") == runs.digests("ddp-whole")


def test_ranks_that_torchrun_starts_agree(runs):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "experiments.ubdiff"]
    folders = ["--run_root", str(runs.root / "runs"), "--cache_root", str(runs.root / "cache"), "--name", "torchrun"]
    options = ["run", "--preset", "tiny", "--config", str(SMOKE["ubdiff"]), *folders, "--devices", "2"]
    command = [sys.executable, *torchrun, *options]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=ROOT, env=runs.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stderr.count("skip (finished before)") == N_STAGES


def test_make_help_lists_the_commands():
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("setup", "test", "exp-ubdiff", "data"):
        assert f"make {target}" in done.stdout
