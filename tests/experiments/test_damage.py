"""What happens to disks and folders under a run: one clear sentence, and the same end once it is mended."""

import shutil
import subprocess

import pytest

from tests.processes import Runs, equal_metrics

OPTIONS = ("--autoencoder.trainer.max_epochs=8", "--paired.trainer.max_epochs=8")

pytestmark = pytest.mark.slow(minutes=0.9)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = Runs("ubdiff", tmp_path_factory.mktemp("damage"), *OPTIONS)
    made.finish("whole")
    return made


def ends_as_the_whole(runs, name):
    runs.finish(name)
    return runs.digests(name) == runs.digests("whole") and equal_metrics(runs.metrics("whole"), runs.metrics(name))


@pytest.fixture
def small_disk(runs):
    """The folder of a run on a disk of its own that is too small for it."""
    folder = runs.folder("full")
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (it takes root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_once_there_is_room_the_run_goes_on(runs, small_disk):
    process = runs.start("full")
    said = process.ends()
    assert process.exit_code() == 1, said
    assert "error: " in said
    assert "No space left on device; make room or choose another folder." in said
    assert "Traceback" not in said
    assert not list(small_disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert ends_as_the_whole(runs, "full")


def test_a_run_folder_deleted_under_the_run_is_said(runs):
    process = runs.start("deleted", "--paired.trainer.max_epochs=2000")
    process.wait_for(runs.folder("deleted") / "paired" / "last.ckpt")
    runs.folder("deleted").rename(runs.root / "elsewhere")
    said = process.ends(timeout_s=60)
    assert process.exit_code() == 1, said
    assert f"{runs.folder('deleted')}: the run folder was deleted or moved while the run was at work" in said
    assert "Traceback" not in said
    assert not runs.folder("deleted").exists(), "no half of a run is left behind"


def test_a_truncated_checkpoint_is_refused_and_without_it_the_run_ends_the_same(runs):
    process = runs.start("truncated")
    last = runs.folder("truncated") / "paired" / "last.ckpt"
    process.wait_for(last)
    assert process.kill()
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    refused = runs.start("truncated")
    said = refused.ends()
    assert refused.exit_code() == 2
    assert f"error: {last}: the checkpoint is damaged" in said
    assert "delete it, and the stage runs anew." in said
    last.unlink()
    assert ends_as_the_whole(runs, "truncated")


def test_truncated_final_weights_are_refused(runs):
    shutil.copytree(runs.folder("whole"), runs.folder("copied"))
    final = runs.folder("copied") / "autoencoder" / "final.ckpt"
    final.write_bytes(final.read_bytes()[:1000])
    process = runs.start("copied")
    said = process.ends()
    assert process.exit_code() == 2
    assert f"error: {final}: the checkpoint is damaged" in said
    final.unlink()
    assert ends_as_the_whole(runs, "copied")
