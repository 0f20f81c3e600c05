"""Order in which source and target images meet in batches: from (seed, epoch) alone, for any number of processes.

An epoch is one pass over the larger domain; the smaller one is gone through again and again, each time in a new order.
Position p of a global batch goes to rank p mod W, as in `sampling`.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

IntArray = npt.NDArray[np.int64]
Pairs = IntArray
"""`(2, batch)`: rows of the source, rows of the target."""


class TransferBatches(Sampler[Pairs]):
    """One rank's share of each training batch.

    Args:
        source_rows: Rows of the source's training events.
        source_labels: Their classes; used for `class_balanced` alone.
        target_rows: Rows of the target's events.
        batch_size: Global batch, of each domain.
        seed: Seed of the orders, the same on all ranks.
        epoch: Called when iteration starts.
        rank: This process's number.
        world_size: Number of processes.
        class_balanced: Each global source batch holds both classes equally often (of an odd number one more of
            either, in turn).
    """

    def __init__(
        self,
        source_rows: IntArray,
        source_labels: IntArray,
        target_rows: IntArray,
        *,
        batch_size: int,
        seed: int,
        epoch: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
        class_balanced: bool = False,
    ) -> None:
        self.source_rows, self.source_labels, self.target_rows = source_rows, source_labels, target_rows
        self.batch_size, self.seed, self.epoch = batch_size, seed, epoch
        self.rank, self.world_size, self.class_balanced = rank, world_size, class_balanced

    def __len__(self) -> int:
        """An incomplete last batch is left out; where there is less than one batch, one is filled up."""
        return max(1, max(len(self.source_rows), len(self.target_rows)) // self.batch_size)

    def __iter__(self) -> Iterator[Pairs]:
        source, target = self.global_order(self.epoch())
        for batch in range(len(self)):
            mine = slice(self.rank, None, self.world_size)
            yield np.stack([source[batch, mine], target[batch, mine]])

    def global_order(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Rows of both domains in all global batches of an epoch, `(batch, batch_size)` each."""
        shape = (len(self), self.batch_size)
        target = self._stream(self.target_rows, epoch, 1, shape[0] * shape[1]).reshape(shape)
        if not self.class_balanced:
            return self._stream(self.source_rows, epoch, 0, shape[0] * shape[1]).reshape(shape), target
        half = self.batch_size // 2
        n_of = [half * len(self), half * len(self)]
        if self.batch_size % 2:
            n_of = [n_of[0] + (len(self) + 1) // 2, n_of[1] + len(self) // 2]
        streams = [
            iter(self._stream(self.source_rows[self.source_labels == label], epoch, 2 + label, n_of[label]).tolist())
            for label in (0, 1)
        ]
        mixing = np.random.default_rng([self.seed, epoch, 4])
        source = np.empty(shape, dtype=np.int64)
        for batch in range(len(self)):
            n_vt = half + (self.batch_size % 2) * (batch % 2)
            labels = np.arange(self.batch_size) < n_vt
            source[batch] = [next(streams[int(label)]) for label in mixing.permutation(labels)]
        return source, target

    def _stream(self, rows: IntArray, epoch: int, stream: int, length: int) -> IntArray:
        """Pass after pass over some rows, each in an order of its own, cut to a length."""
        passes = -(-length // len(rows))
        orders = [np.random.default_rng([self.seed, epoch, stream, each]).permutation(rows) for each in range(passes)]
        return np.concatenate(orders)[:length]
