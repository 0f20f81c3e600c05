"""The order in which samples are visited: the same for any number of processes, and after any resume.

An epoch's order is a permutation drawn from (seed, epoch) alone. Position p goes to rank p mod W, so that batch k of W
processes together is batch k of one process with the same global batch. The epoch is asked for when iteration starts,
not told beforehand: after a resume with worker processes Lightning's `set_epoch` comes too late.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from datamodules.errors import DataError


class EpochSampler(Sampler[int]):
    """Indices of one rank, from a permutation that depends on seed and epoch only.

    Use with `Trainer(use_distributed_sampler=False)`.

    Args:
        size: number of samples.
        seed: seed of the permutations, the same on all ranks.
        epoch: called when iteration starts.
        rank: this process's number.
        world_size: number of processes.
        shuffle: False keeps the order 0, 1, 2, ...
        tail: what happens when `size` is no multiple of `world_size`: `drop` the rest of the permutation, or `wrap`:
            fill up from its beginning. Either way all ranks get equally many, or their collectives would not match.
    """

    def __init__(
        self,
        size: int,
        *,
        seed: int,
        epoch: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        tail: Literal["drop", "wrap"] = "drop",
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size} processes")
        self.size, self.seed, self.epoch = size, seed, epoch
        self.rank, self.world_size, self.shuffle, self.tail = rank, world_size, shuffle, tail

    def __len__(self) -> int:
        return self.size // self.world_size if self.tail == "drop" else -(-self.size // self.world_size)

    def __iter__(self) -> Iterator[int]:
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch()]).permutation(self.size)
        else:
            order = np.arange(self.size)
        total = len(self) * self.world_size  # np.resize repeats from the beginning, or cuts
        return iter(np.resize(order, total)[self.rank :: self.world_size].tolist())


class EvaluationBatches(Sampler[list[int]]):
    """Every sample exactly once over all ranks, in the SAME number of batches on each rank.

    Evaluation must not count a sample twice, so that nothing may be filled up; but under DDP even an evaluation step
    can be a collective (a broadcast of batch-norm buffers), so that no rank may have a batch more than another. Ranks
    therefore differ in the sizes of their batches, by at most one sample, and not in their number.

    Args:
        size: number of samples.
        batch_size: samples in a batch on one rank. Batches get one sample larger only where
            `size` leaves no other way.
        rank: this process's number.
        world_size: number of processes.

    Raises:
        DataError: fewer samples than processes.
    """

    def __init__(self, size: int, *, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if size < world_size:
            raise DataError(
                f"{size} samples to evaluate cannot be shared by {world_size} processes: "
                f"ask for at least {world_size}, or use fewer devices."
            )
        n_batches = min(-(-size // (batch_size * world_size)), size // world_size)
        shard: npt.NDArray[np.int64] = np.arange(size)[rank::world_size]
        self.batches: list[list[int]] = [part.tolist() for part in np.array_split(shard, n_batches)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)
