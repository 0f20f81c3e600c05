"""What only real processes show: SIGTERM, several ranks; kill -9 is in test_kill."""

import shutil
import subprocess
import sys

import pytest

from tests.processes import ROOT, SMOKE, Runs

STAGES = ("autoencoder", "paired", "diffusion")
N_STAGES = 9

pytestmark = pytest.mark.slow


def first_loss(runs: Runs, name: str, stage: str) -> float:
    """The training loss of the first epoch."""
    return runs.history(name, stage, "train/loss")[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    options = [f"--{stage}.trainer.max_epochs=8" for stage in STAGES]
    made = Runs("ubdiff", tmp_path_factory.mktemp("processes"), *options)
    made.finish("whole")
    return made


def test_sigterm_ends_with_an_error_and_never_marks_a_stage_as_done(runs):
    process = runs.start("terminated", "--paired.trainer.max_epochs", "2000")
    process.wait_for(runs.folder("terminated") / "paired" / "last.ckpt")
    process.terminate()
    said = process.ends(timeout_s=60)
    assert process.exit_code() == 143, said
    assert "call again to go on" in said
    assert not runs.record("terminated", "paired")["finished"]


def test_two_ranks_give_what_one_gives(runs):
    """The same global batch, shared by two processes: the same losses to rounding, and one writer."""
    said = runs.finish("ddp", "--devices", "2")
    assert said.count("stage autoencoder: anew") == 1
    one, two = runs.metrics("whole"), runs.metrics("ddp")
    assert one.keys() == two.keys()
    # A count of crossings of a threshold, which rounding alone may move; what is fitted to twelve pairs in more
    # dimensions than that; kernel distances of twelve samples and spreads over their partings, where a reflecting point
    # more or less at a decoder's threshold, which rounding alone may move, counts for half a per cent; and networks
    # that learned from generated pairs, which differ in the last bits: those are compared below, on the same pairs.
    elsewhere = ("physics/clipped_cells", "latent/", "inversion_generated", "inversion/generated")
    compared = {k: v for k, v in one.items() if not k.startswith(elsewhere) and not k.endswith(("_sd", "/kid"))}
    wrong = {
        name: (value, two[name])
        for name, value in compared.items()
        if two[name] != pytest.approx(value, rel=2e-3, abs=1e-4)
    }
    assert not wrong
    for stage, starts_from in zip(STAGES, (None, *STAGES), strict=False):
        # From the very same weights: those that two ranks trained differ in the last bits.
        weights = str(runs.folder("whole") / str(starts_from) / "final.ckpt") if starts_from else "null"
        name = f"ddp-{stage}"
        runs.finish(
            name, "--devices", "2", "--stage", stage, f"--{stage}.model.initial_weights", weights, command="fit"
        )
        assert first_loss(runs, name, stage) == pytest.approx(first_loss(runs, "whole", stage), rel=1e-5), stage
    for stage in ("inversion_real", "inversion_generated", "inversion_generated_maps_exact_simulator"):
        name = f"ddp-{stage}"
        runs.folder(name).mkdir()
        shutil.copy(runs.folder("whole") / "samples.npz", runs.folder(name))
        runs.finish(name, "--devices", "2", "--stage", stage, command="fit")
        assert first_loss(runs, name, stage) == pytest.approx(first_loss(runs, "whole", stage), rel=1e-5), stage
    assert runs.finish("ddp", "--devices", "2").count("skip (finished before)") == N_STAGES


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
