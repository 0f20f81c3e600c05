"""Hash and range of data files: right, and not read twice."""

import hashlib

import numpy as np
import pytest

from datamodules import file_facts
from datamodules.errors import DataError
from datamodules.file_facts import facts_of, read_facts


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(file_facts, "_BLOCK_BYTES", 1000)


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 4, 9)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    return tmp_path / "a.npy"


def test_hash_and_range_equal_a_naive_reading(path):
    facts = read_facts(path)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    values = np.load(path)
    assert (facts.minimum, facts.maximum, facts.first_bad_sample) == (values.min(), values.max(), None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_sample_is_found(path, bad):
    values = np.load(path)
    values[17, 2, 3] = values[25, 0, 0] = bad
    np.save(path, values)
    facts = read_facts(path)
    assert facts.first_bad_sample == 17
    finite = values[np.isfinite(values)]
    assert (facts.minimum, facts.maximum) == (finite.min(), finite.max())


def test_a_file_is_read_once_until_it_changes(path, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = facts_of([path], cache)
    reads = []
    monkeypatch.setattr(file_facts, "read_facts", lambda p: reads.append(p) or read_facts(p))
    assert facts_of([path], cache) == first
    assert reads == []
    np.save(path, np.load(path)[:-1] + 1)
    assert facts_of([path], cache) != first
    assert reads == [path]


def test_a_spoilt_or_unwritable_store_costs_time_only(path, tmp_path):
    cache = tmp_path / "cache"
    first = facts_of([path], cache)
    for spoilt in ("{", "[]", '{"x": 3}'):
        (cache / "file_facts.json").write_text(spoilt)
        assert facts_of([path], cache) == first
    assert facts_of([path], path / "below-a-file") == first


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "b.npy").write_text("x")
    with pytest.raises(DataError, match=r"b.npy cannot be read"):
        facts_of([tmp_path / "b.npy"], tmp_path / "cache")
