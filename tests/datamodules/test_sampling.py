"""The order of samples: the same for any number of processes, every sample counted once."""

import itertools

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.sampling import EpochSampler, EvaluationBatches


def sampler(size: int = 100, *, seed: int = 3, epoch: int = 0, **options) -> EpochSampler:
    return EpochSampler(size, seed=seed, epoch=lambda: epoch, **options)


def test_an_epoch_is_a_permutation_of_seed_and_epoch_alone():
    assert sorted(sampler()) == list(range(100))
    assert list(sampler()) == list(sampler())
    assert list(sampler()) != list(sampler(epoch=1))
    assert list(sampler()) != list(sampler(seed=4))
    assert list(sampler(shuffle=False)) == list(range(100))


def test_the_epoch_is_read_when_iteration_starts():
    epoch = 0
    live = EpochSampler(50, seed=1, epoch=lambda: epoch)
    first = list(live)
    epoch = 7  # as after a resume: nobody calls set_epoch
    assert list(live) == list(sampler(50, seed=1, epoch=7)) != first


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_batch_k_of_all_ranks_is_batch_k_of_one_process(world_size):
    global_batch, size = 12, 103
    single = list(sampler(size, epoch=5))
    ranks = [list(sampler(size, epoch=5, rank=r, world_size=world_size)) for r in range(world_size)]
    share = global_batch // world_size
    for k in range(size // global_batch):
        together = itertools.chain.from_iterable(rank[k * share : (k + 1) * share] for rank in ranks)
        assert set(together) == set(single[k * global_batch : (k + 1) * global_batch])


@pytest.mark.parametrize(("size", "world_size"), [(10, 3), (12, 3), (2, 4), (1, 2)])
def test_ranks_get_equally_many(size, world_size):
    for tail in ("drop", "wrap"):
        shards = [sampler(size, rank=r, world_size=world_size, tail=tail) for r in range(world_size)]
        lists = [list(shard) for shard in shards]
        assert {len(shard) for shard in lists} == {len(shards[0])}
        seen = list(itertools.chain(*lists))
        if tail == "drop":
            assert len(set(seen)) == len(seen) == size - size % world_size
        else:
            assert set(seen) == set(range(size))
            assert max(np.bincount(seen)) - min(np.bincount(seen)) <= 1


def test_a_rank_outside_the_world_is_refused():
    with pytest.raises(ValueError, match="rank 2 of 2"):
        sampler(rank=2, world_size=2)


@pytest.mark.parametrize("size", [4, 7, 32, 64, 65, 97, 200])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_counts_each_sample_once_in_equally_many_batches(size, batch_size, world_size):
    ranks = [EvaluationBatches(size, batch_size=batch_size, rank=r, world_size=world_size) for r in range(world_size)]
    assert len({len(rank) for rank in ranks}) == 1
    batches = list(itertools.chain(*ranks))
    assert all(batches), "an empty batch"
    assert max(map(len, batches)) <= batch_size + (batch_size * len(ranks[0]) * world_size < size)
    assert sorted(itertools.chain(*batches)) == list(range(size))


def test_evaluation_with_fewer_samples_than_processes_is_refused():
    with pytest.raises(DataError, match=r"3 samples .* 4 processes.*fewer devices"):
        EvaluationBatches(3, batch_size=8, world_size=4)
