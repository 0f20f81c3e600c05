"""Mixed sets: shares, permutations across epochs, and the same batches on any number of processes."""

import numpy as np
import pytest

from datamodules.mixed_sampling import MixedSampler


def epoch_of(number: int, rank: int = 0, world_size: int = 1, sizes=(7, 20), shares=(2, 4), n_batches=5) -> np.ndarray:
    sampler = MixedSampler(
        sizes, lambda _: shares, n_batches, seed=3, epoch=lambda: number, rank=rank, world_size=world_size
    )
    order = np.array(list(sampler))
    assert len(sampler) == len(order)
    return order.reshape(n_batches, -1)


def test_every_batch_has_its_share_of_each_set():
    for number in range(4):
        assert ((epoch_of(number) < 7).sum(axis=1) == 2).all()


def test_nothing_comes_again_before_all_of_its_set_were_seen():
    orders = np.concatenate([epoch_of(number) for number in range(14)])
    small, large = orders[orders < 7], orders[orders >= 7]
    assert len(small) == 14 * 10
    for part in small.reshape(-1, 7):
        assert sorted(part) == list(range(7))
    for part in large.reshape(-1, 20):
        assert sorted(part) == list(range(7, 27))
    assert not np.array_equal(small[:7], small[7:14])


def test_an_epoch_depends_on_seed_and_number_alone():
    assert np.array_equal(epoch_of(2), epoch_of(2))
    assert not np.array_equal(epoch_of(2), epoch_of(3))


@pytest.mark.parametrize("world_size", [2, 3])
def test_batches_of_all_processes_together_are_those_of_one(world_size):
    together = np.stack([epoch_of(1, rank, world_size) for rank in range(world_size)])
    for batch, alone in enumerate(epoch_of(1)):
        assert sorted(together[:, batch].ravel()) == sorted(alone)


def test_a_set_smaller_than_its_share_repeats_within_a_batch():
    order = epoch_of(0, sizes=(3,), shares=(8,), n_batches=2)
    assert (np.bincount(order[0], minlength=3) >= 2).all()


def test_shares_that_processes_cannot_divide_are_refused():
    with pytest.raises(ValueError, match="3 processes"):
        MixedSampler((5,), lambda _: (4,), 1, seed=0, epoch=lambda: 0, world_size=3)


def test_shares_may_change_from_epoch_to_epoch():
    sampler = MixedSampler((7, 20), lambda epoch: (2, 4) if epoch < 2 else (6, 0), 5, seed=3, epoch=lambda: number)
    orders = []
    for number in range(5):  # noqa: B007  # read by the sampler
        orders.append(np.array(list(sampler)).reshape(5, 6))
    assert [(order < 7).sum(axis=1).tolist() for order in orders] == [[2] * 5] * 2 + [[6] * 5] * 3
    small = np.concatenate([order[order < 7] for order in orders])
    for part in small[: len(small) // 7 * 7].reshape(-1, 7):
        assert sorted(part) == list(range(7))
