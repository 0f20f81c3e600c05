"""Rows on disk: computed once, found again, gone on with after an interruption."""

from types import ModuleType

import numpy as np
import pytest

from datamodules import row_cache
from datamodules.errors import DataError
from datamodules.row_cache import cached_rows, source_hash
from datamodules.simulate.eikonal import travel_times
from datamodules.travel_time_cache import cached_travel_times

SPEEDS = np.stack([np.full((6, 7, 8), 5.0, np.float32), np.full((6, 7, 8), 8.0, np.float32)])
SOURCES = np.array([[1.0, 2.0, 0.0], [5.5, 3.0, 1.0], [0.0, 0.0, 0.0]])


class _Rows:
    """Rows 0, 1, 2, ..., computed until one fails."""

    def __init__(self, fail_at=None):
        self.asked, self.fail_at = [], fail_at

    def __call__(self, i, workers, progress):
        if i == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(i)
        return np.full((2, 3), i, np.float32)


def test_times_of_one_wave_speed_and_of_many_are_the_solvers(tmp_path):
    many = cached_travel_times(SPEEDS, 2.0, SOURCES, cache_root=tmp_path, workers=2)
    one = cached_travel_times(SPEEDS[1], 2.0, SOURCES, cache_root=tmp_path)
    assert isinstance(many, np.memmap)
    assert many.shape == (2, 3, 6, 7, 8)
    assert many.dtype == np.float32
    assert (one == many[1]).all()
    assert (one == travel_times(SPEEDS[1], 2.0, SOURCES)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"wave_speeds_km_s": SPEEDS[1]},
        {"spacing_km": 2.5},
        {"sources_km": SOURCES[::-1]},
        {"origin_km": (0.0, 0.0, -1.0)},
        {"refinement": 2},
    ],
)
def test_another_argument_is_another_file(tmp_path, change):
    arguments = {"wave_speeds_km_s": SPEEDS[0], "spacing_km": 2.0, "sources_km": SOURCES, "cache_root": tmp_path}
    first = cached_travel_times(**arguments)
    other = cached_travel_times(**{**arguments, **change})
    assert len(list(tmp_path.glob("travel_times/*.npy"))) == 2
    assert (first == cached_travel_times(**arguments)).all()
    assert "refinement" in change or (first != other).any()


def test_what_is_there_is_not_computed_again(tmp_path):
    cached_travel_times(SPEEDS, 2.0, SOURCES, cache_root=tmp_path)
    (path,) = tmp_path.glob("travel_times/*.npy")
    before = path.stat().st_mtime_ns
    cached_travel_times(SPEEDS, 2.0, SOURCES, cache_root=tmp_path)
    assert path.stat().st_mtime_ns == before


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cached_rows(tmp_path, ("key",), (5, 2, 3), _Rows(fail_at=3), what="rows")
    assert not list(tmp_path.glob("*.npy"))
    (partial,) = tmp_path.glob("*.partial")
    with partial.open("ab") as file:
        file.write(b"half a row")
    rest = _Rows()
    rows = cached_rows(tmp_path, ("key",), (5, 2, 3), rest, what="rows")
    assert rest.asked == [3, 4]
    assert (rows[:, 0, 0] == np.arange(5)).all()
    assert not list(tmp_path.glob("*.partial"))


def test_workers_keep_the_order(tmp_path):
    rows = cached_rows(tmp_path, ("key",), (30, 2, 3), _Rows(), what="rows", workers=3)
    assert (rows[:, 1, 2] == np.arange(30)).all()


def test_a_full_disk_is_refused_before_an_hour_of_computing(tmp_path, monkeypatch):
    usage = row_cache.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(row_cache.shutil, "disk_usage", lambda _: usage._replace(free=10))
    solve = _Rows()
    with pytest.raises(DataError, match="choose another cache_root"):
        cached_rows(tmp_path, ("key",), (5, 2, 3), solve, what="rows")
    assert not solve.asked


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        cached_rows(tmp_path / "file" / "below", ("key",), (1, 2, 3), _Rows(), what="rows")


def test_unusable_wave_speeds_leave_no_file(tmp_path):
    with pytest.raises(DataError, match="positive"):
        cached_travel_times(-SPEEDS, 2.0, SOURCES, cache_root=tmp_path)
    assert not list(tmp_path.rglob("*.npy*"))


def test_words_about_the_code_do_not_make_other_rows(tmp_path):
    def hash_of(text):
        module = ModuleType("made")
        module.__file__ = str(tmp_path / f"{abs(hash(text))}.py")
        (tmp_path / module.__file__).write_text(text)
        return source_hash(module)

    plain = hash_of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 1\n')
    assert plain == hash_of('"""Other."""\n\ndef f(x):\n    """Words."""\n    return x + 1  # why\n')
    assert plain != hash_of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 2\n')
