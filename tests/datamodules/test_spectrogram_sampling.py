"""How source and target meet in batches, and which source events are kept back."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.spectrogram_sampling import TransferBatches
from datamodules.spectrogram_splits import fold_of_rows, validation_fraction_rows

SOURCE = np.arange(100, 130)
LABELS = (np.arange(30) < 6).astype(np.int64)
TARGET = np.arange(71)


def _batches(epoch=0, **settings):
    defaults = {"batch_size": 8, "seed": 3, "epoch": lambda: epoch}
    return TransferBatches(SOURCE, LABELS, TARGET, **{**defaults, **settings})


def test_an_epoch_is_one_pass_over_the_larger_volcano():
    batches = list(_batches())
    assert len(batches) == len(_batches()) == 71 // 8
    source, target = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    assert len(set(target.tolist())) == len(target) == 64
    for start in (0, 30):
        assert sorted(source[start : start + 30].tolist()) == SOURCE.tolist()  # every pass a whole one
    assert not np.array_equal(source[:30], source[30:60])


def test_the_order_depends_on_seed_and_epoch_alone():
    first = np.stack(list(_batches()))
    np.testing.assert_array_equal(first, np.stack(list(_batches())))
    for other in (_batches(epoch=1), _batches(seed=4)):
        assert not np.array_equal(first, np.stack(list(other)))


@pytest.mark.parametrize("class_balanced", [False, True])
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_share_the_batches_of_one_process(world_size, class_balanced):
    whole = list(_batches(class_balanced=class_balanced))
    parts = [list(_batches(rank=r, world_size=world_size, class_balanced=class_balanced)) for r in range(world_size)]
    for batch, of_ranks in zip(whole, zip(*parts, strict=True), strict=True):
        joined = np.stack(of_ranks, axis=-1).reshape(2, -1)
        np.testing.assert_array_equal(joined, batch)


@pytest.mark.parametrize("batch_size", [8, 7])
def test_class_balanced_batches_hold_both_classes_equally(batch_size):
    counts = []
    for source, _ in _batches(class_balanced=True, batch_size=batch_size):
        counts.append(int(LABELS[source - 100].sum()))
        assert len(source) == batch_size
    assert set(counts) <= {batch_size // 2, (batch_size + 1) // 2}
    assert abs(np.mean(counts) - batch_size / 2) <= 0.5 / len(counts) + 1e-9


def test_fewer_events_than_a_batch_make_one_batch():
    batches = list(_batches(batch_size=200))
    assert len(batches) == 1
    assert batches[0].shape == (2, 200)
    assert set(batches[0][1].tolist()) == set(TARGET.tolist())


def test_target_labels_are_no_argument():
    # Nor can they be: the batches are made of row numbers and of the source's labels.
    assert "target_labels" not in TransferBatches.__init__.__annotations__


# ---- splits ------------------------------------------------------------------------------------------------------

MANY = np.repeat([0, 1], [80, 20]).astype(np.int64)


def test_a_share_of_each_class_is_kept_back():
    names = [str(i) for i in range(100)]
    rows = validation_fraction_rows(MANY, names, 0.1, 0)
    assert np.bincount(MANY[rows]).tolist() == [8, 2]
    np.testing.assert_array_equal(rows, validation_fraction_rows(MANY, names, 0.1, 0))
    assert not np.array_equal(rows, validation_fraction_rows(MANY, names, 0.1, 1))


def test_groups_are_never_divided():
    groups = [f"g{i // 5}" for i in range(100)]
    rows = validation_fraction_rows(MANY, groups, 0.25, 0)
    assert np.bincount(MANY[rows]).tolist() == [20, 5]
    folds = fold_of_rows(MANY, groups, 4, 0)
    for members in (np.flatnonzero([g == name for g in groups]) for name in set(groups)):
        assert len(set(folds[members].tolist())) == 1
        assert len(set(np.isin(members, rows).tolist())) == 1
    for fold in range(4):
        assert np.bincount(MANY[folds == fold]).tolist() == [20, 5]


def test_a_group_of_both_classes():
    groups = ["mixed" if i in (0, 99) else str(i) for i in range(100)]
    for seed in range(20):
        rows = validation_fraction_rows(MANY, groups, 0.1, seed)
        assert (0 in rows) == (99 in rows)
        n_lp, n_vt = np.bincount(MANY[rows])
        assert n_vt == 2
        assert n_lp in (8, 9)  # the group can come in for its VT event when there are LP events enough


def test_groups_that_are_too_large():
    groups = ["one"] * 80 + [str(i) for i in range(20)]
    with pytest.raises(DataError, match="class 0 no group of at most 8"):
        validation_fraction_rows(MANY, groups, 0.1, 0)
    with pytest.raises(DataError, match="lower n_folds"):
        fold_of_rows(MANY, groups, 4, 0)
