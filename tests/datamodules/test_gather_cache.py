"""The cache of simulated gathers: prefix growth, resume after a kill, nothing half-written, one writer at a time."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from datamodules import gather_cache
from datamodules.errors import DataError
from datamodules.gather_cache import cached_gathers, fill_gather_cache
from datamodules.npy_stack import NpyStack
from tests.datamodules.fake_openfwi import fake_maps, fake_simulate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(gather_cache, "ROWS_PER_FILE", 6)


@pytest.fixture
def maps(tmp_path):
    np.save(tmp_path / "maps.npy", fake_maps(40)[:, None])
    return NpyStack([tmp_path / "maps.npy"], [40], (1, 70, 70))


@pytest.fixture
def rows():
    return np.random.default_rng(0).permutation(40)


class Counted:
    """The fake operator, counting its maps; it can fail after some."""

    def __init__(self, fail_after: int = 10**9, error: BaseException | None = None) -> None:
        self.n, self.fail_after, self.error = 0, fail_after, error or KeyboardInterrupt()

    def __call__(self, velocity_m_s):
        if self.n + len(velocity_m_s) > self.fail_after:
            raise self.error
        self.n += len(velocity_m_s)
        return fake_simulate(velocity_m_s)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.npy*"))


def expected(maps, rows):
    return fake_simulate(maps.take(rows)[:, 0])


def test_layout_and_content_are_openfwis(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    stack = fill_gather_cache(folder, maps, rows[:8], Counted(), block=4)
    assert names(folder) == ["data/data1.npy", "data/data2.npy", "model/model1.npy", "model/model2.npy"]
    first, second = (np.load(folder / "data" / f"data{k}.npy") for k in (1, 2))
    assert first.shape == (6, 5, 1000, 70)
    assert first.dtype == np.float32
    assert second.shape == (2, 5, 1000, 70)
    np.testing.assert_array_equal(np.concatenate([first, second]), expected(maps, rows[:8]))
    np.testing.assert_array_equal(stack.take(np.arange(8)), expected(maps, rows[:8]))
    models = np.concatenate([np.load(folder / "model" / f"model{k}.npy") for k in (1, 2)])
    np.testing.assert_array_equal(models, maps.take(rows[:8]))


def test_growing_simulates_only_what_is_new(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    early = fill_gather_cache(folder, maps, rows[:8], Counted(), block=4)
    before = early.take([7])  # opens the file that is about to be extended
    simulate = Counted()
    stack = fill_gather_cache(folder, maps, rows[:20], simulate, block=4)
    assert simulate.n == 12
    np.testing.assert_array_equal(stack.take(np.arange(20)), expected(maps, rows[:20]))
    np.testing.assert_array_equal(early.take([7]), before)
    simulate = Counted()
    assert fill_gather_cache(folder, maps, rows[:5], simulate) is not None
    assert simulate.n == 0
    assert cached_gathers(folder, 21) is None


@pytest.mark.parametrize("kept", [0, 4, 5, 9])
def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path, maps, rows, kept):
    folder = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        fill_gather_cache(folder, maps, rows[:15], Counted(fail_after=kept), block=1)
    assert cached_gathers(folder, 15) is None
    for path in folder.glob("data/data*.npy"):
        assert len(np.load(path)) == 6, "a file has its name only when complete"
    simulate = Counted()
    stack = fill_gather_cache(folder, maps, rows[:15], simulate, block=4)
    assert simulate.n == 15 - kept
    np.testing.assert_array_equal(stack.take(np.arange(15)), expected(maps, rows[:15]))
    assert not [name for name in names(folder) if name.endswith(".partial")]


def test_an_interrupted_growth_keeps_the_old_file(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    fill_gather_cache(folder, maps, rows[:3], Counted(), block=1)
    with pytest.raises(KeyboardInterrupt):
        fill_gather_cache(folder, maps, rows[:6], Counted(fail_after=2), block=1)
    old = cached_gathers(folder, 3)
    np.testing.assert_array_equal(old.take(np.arange(3)), expected(maps, rows[:3]))
    simulate = Counted()
    stack = fill_gather_cache(folder, maps, rows[:6], simulate, block=1)
    assert simulate.n == 1
    np.testing.assert_array_equal(stack.take(np.arange(6)), expected(maps, rows[:6]))


def test_fewer_rows_than_an_interrupted_run_wanted(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        fill_gather_cache(folder, maps, rows[:6], Counted(fail_after=4), block=1)
    simulate = Counted()
    fill_gather_cache(folder, maps, rows[:2], simulate, block=1)
    assert simulate.n == 0
    for kind in ("model", "data"):
        assert len(np.load(folder / kind / f"{kind}1.npy")) == 2


def test_a_row_cut_short_is_made_again(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        fill_gather_cache(folder, maps, rows[:6], Counted(fail_after=4), block=2)
    partial = folder / "data" / "data1.npy.partial"
    os.truncate(partial, partial.stat().st_size - 1000)
    simulate = Counted()
    stack = fill_gather_cache(folder, maps, rows[:6], simulate, block=2)
    assert simulate.n == 3
    np.testing.assert_array_equal(stack.take(np.arange(6)), expected(maps, rows[:6]))


def test_kill_minus_nine(tmp_path, maps, rows):
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import numpy as np
from tests.datamodules.fake_openfwi import fake_simulate
from datamodules import gather_cache
from datamodules.npy_stack import NpyStack
gather_cache.ROWS_PER_FILE = 6
maps = NpyStack([Path({str(tmp_path / "maps.npy")!r})], [40], (1, 70, 70))
def slowly(velocity):
    time.sleep(0.05)
    return fake_simulate(velocity)
gather_cache.fill_gather_cache(Path({str(tmp_path / "cache")!r}), maps, np.array({rows.tolist()}), slowly, block=1)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    folder = tmp_path / "cache"
    row_bytes = 4 * 5 * 1000 * 70

    def rows_on_disk():
        return sum(path.stat().st_size // row_bytes for path in folder.glob("data/*"))

    deadline = time.monotonic() + 60
    while rows_on_disk() < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = rows_on_disk()
    assert 8 <= kept < 40
    simulate = Counted()  # the lock of the killed process must be free
    stack = fill_gather_cache(folder, maps, rows, simulate, block=1)
    assert simulate.n == 40 - kept
    np.testing.assert_array_equal(stack.take(np.arange(40)), expected(maps, rows))


def test_two_writers_take_turns(tmp_path, maps, rows):
    folder = tmp_path / "cache"
    folder.mkdir()
    simulate = Counted()
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=fill_gather_cache, args=(folder, maps, rows[:4], simulate))
        thread.start()
        time.sleep(0.2)
        assert simulate.n == 0, "it must wait"
        fcntl.flock(held, fcntl.LOCK_UN)
    thread.join(timeout=30)
    assert simulate.n == 4
    again = Counted()
    fill_gather_cache(folder, maps, rows[:4], again)
    assert again.n == 0


def test_a_full_disk_leaves_no_half_file(tmp_path, maps, rows, monkeypatch):
    folder = tmp_path / "cache"
    calls = []

    def full(file):
        calls.append(file)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(gather_cache, "_sync", full)
    with pytest.raises(
        DataError, match=r"the disk is full below .*cache: free some space or choose another cache_root"
    ):
        fill_gather_cache(folder, maps, rows[:6], Counted(), block=1)
    assert names(folder) == []


def test_too_little_space_is_said_before_anything_is_simulated(tmp_path, maps, rows, monkeypatch):
    usage = gather_cache.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(gather_cache.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    simulate = Counted()
    with pytest.raises(DataError, match=r"need [2-9].\d MB in .* but 1.0 MB are free.* or ask for fewer pairs"):
        fill_gather_cache(tmp_path / "cache", maps, rows[:6], simulate)
    assert simulate.n == 0
    assert names(tmp_path / "cache") == []


def test_a_folder_that_cannot_be_written(tmp_path, maps, rows, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"file/cache cannot be written .*: make it writable or choose another cache_root"
    ):
        fill_gather_cache(tmp_path / "file" / "cache", maps, rows[:2], Counted())

    # A full read-only cache is fine: nothing needs to be written.
    fill_gather_cache(tmp_path / "cache", maps, rows[:2], Counted())

    def refused(*_args, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refused, raising=True)
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(DataError, match=r"Permission denied"):
        fill_gather_cache(tmp_path / "other", maps, rows[:2], Counted())


def test_an_unstable_simulation_is_refused(tmp_path, maps, rows):
    with pytest.raises(DataError, match=r"is unstable or of the wrong shape"):
        fill_gather_cache(tmp_path / "cache", maps, rows[:2], lambda v: fake_simulate(v) * np.float32(np.nan))
    with pytest.raises(DataError, match=r"is unstable or of the wrong shape"):
        fill_gather_cache(tmp_path / "cache", maps, rows[:2], lambda v: fake_simulate(v)[:, :, ::2])
    assert cached_gathers(tmp_path / "cache", 1) is None
