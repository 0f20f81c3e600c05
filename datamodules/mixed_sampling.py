"""The order in which the samples of several sets are visited, so many of each in every batch.

Each set is a stream: one permutation of it after another, drawn from (seed, number of the set, number of the
permutation). Each epoch goes on in a stream where the one before ended. So sets of any size give epochs of the same
length, no sample of a set comes again before all of it was seen, and the order depends on seed and epoch alone: it is
the same for any number of processes, and after any resume.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler


class MixedSampler(Sampler[int]):
    """Indices of one rank into the concatenation of several sets; use with a batch of `batch_size / world_size`.

    Args:
        sizes: number of samples of each set.
        shares: epoch -> samples of each set in a global batch; they add up to the same `batch_size` in every epoch,
            a multiple of `world_size`.
        n_batches: batches an epoch.
        seed: seed of the permutations, the same on all ranks.
        epoch: called when iteration starts.
        rank: this process's number.
        world_size: number of processes.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        shares: Callable[[int], Sequence[int]],
        n_batches: int,
        *,
        seed: int,
        epoch: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        first = tuple(shares(0))
        if len(sizes) != len(first) or min(sizes) < 1 or min(first) < 0 or sum(first) % world_size:
            raise ValueError(f"{first} of sets of {tuple(sizes)} for {world_size} processes")
        self.sizes, self.shares, self.n_batches, self.seed = tuple(sizes), shares, n_batches, seed
        self.epoch, self.rank, self.world_size = epoch, rank, world_size

    def __len__(self) -> int:
        return self.n_batches * sum(self.shares(0)) // self.world_size

    def __iter__(self) -> Iterator[int]:
        epoch = self.epoch()
        shares = self.shares(epoch)
        before = np.sum([self.shares(earlier) for earlier in range(epoch)], axis=0) if epoch else np.zeros_like(shares)
        starts = np.cumsum([0, *self.sizes[:-1]])
        columns = [
            start + self._stream(number, int(done) * self.n_batches, self.n_batches * share).reshape(-1, share)
            for number, (start, done, share) in enumerate(zip(starts, before, shares, strict=True))
            if share
        ]
        return iter(np.concatenate(columns, axis=1).reshape(-1)[self.rank :: self.world_size].tolist())

    def _stream(self, number: int, first: int, count: int) -> npt.NDArray[np.int64]:
        """Entries first .. first + count - 1 of a set's endless row of permutations."""
        size = self.sizes[number]
        numbers = range(first // size, -(-(first + count) // size))
        rows = [np.random.default_rng([self.seed, number, k]).permutation(size) for k in numbers]
        joined = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return joined[first - numbers.start * size :][:count].astype(np.int64)
