"""Batches of velocity maps and gathers in physical units, read from memory-mapped files a whole batch at a time."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.npy_stack import NpyStack
from datamodules.openfwi_splits import Rows


class OpenFWIBatch(NamedTuple):
    """A batch of pairs, or of maps alone.

    Attributes:
        index: `(batch,)` int64, place of each sample in its part's own list.
        velocity: `(batch, 1, 70, 70)` float32; m/s as read, normalised to about [-1, 1] once on the device.
        seismic: `(batch, 5, time, 70)` float32, raw amplitude or normalised likewise; None where a stage needs none.
    """

    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs
    velocity: Tensor
    seismic: Tensor | None


class OpenFWIDataset(Dataset[OpenFWIBatch]):
    """Rows of a map stack and, for pairs, of a gather stack.

    Args:
        maps: velocity maps.
        map_rows: which of them, in order.
        gathers: gathers, or None for maps alone: seismic files are never opened then.
        gather_rows: row of each map's gather in `gathers`.
        time_stride: keep every so-many-th time sample, sample 0 kept.
    """

    def __init__(
        self,
        maps: NpyStack,
        map_rows: Rows,
        gathers: NpyStack | None = None,
        gather_rows: Rows | None = None,
        *,
        time_stride: int = 1,
    ) -> None:
        self.maps, self.map_rows = maps, map_rows
        self.gathers, self.gather_rows = gathers, gather_rows
        self.time_stride = time_stride

    def __len__(self) -> int:
        return len(self.map_rows)

    def __getitem__(self, index: int) -> OpenFWIBatch:
        """A batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> OpenFWIBatch:
        """What a `DataLoader` asks for: a whole batch, so that nothing is collated afterwards."""
        velocity = torch.from_numpy(self.maps.take(self.map_rows[indices]))
        seismic = None
        if self.gathers is not None and self.gather_rows is not None:
            seismic = torch.from_numpy(self.gathers.take(self.gather_rows[indices], time_stride=self.time_stride))
        return OpenFWIBatch(torch.tensor(indices, dtype=torch.int64), velocity, seismic)


class SampleNumbers(Dataset[Tensor]):
    """The numbers 0 .. n-1 of samples to generate: a batch is an int64 tensor of them."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Tensor:
        return torch.tensor(index, dtype=torch.int64)


def as_is(batch: OpenFWIBatch) -> OpenFWIBatch:
    """A `collate_fn` for a data set that gives whole batches; a function with a name, so that workers can have it."""
    return batch
