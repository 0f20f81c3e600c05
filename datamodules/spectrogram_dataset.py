"""Batches of spectrograms and the data sets that make them, whole batches at a time."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.spectrogram_sampling import Pairs

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]


class TransferBatch(NamedTuple):
    """Images of both volcanoes; there is no target label.

    Attributes:
        source_image: `(batch, 1, size, size)` float32 in [0, 1].
        source_label: `(batch,)` int64: 0 LP, 1 VT.
        target_image: `(batch, 1, size, size)`.
    """

    source_image: Tensor
    source_label: Tensor
    target_image: Tensor


class LabelledBatch(NamedTuple):
    """Images of one volcano.

    Attributes:
        image: `(batch, 1, size, size)` float32 in [0, 1].
        label: `(batch,)` int64: 0 LP, 1 VT, -1 unknown or withheld.
        index: `(batch,)` int64, rows of that volcano's event table.
    """

    image: Tensor
    label: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs


class TransferPairs(Dataset[TransferBatch]):
    """Training batches: an item is a list of rows of each volcano. It is not given the target's labels."""

    def __init__(self, source_images: FloatArray, source_labels: IntArray, target_images: FloatArray) -> None:
        self.source_images, self.source_labels, self.target_images = source_images, source_labels, target_images

    def __getitem__(self, pairs: Pairs) -> TransferBatch:
        source, target = pairs
        return TransferBatch(
            torch.from_numpy(self.source_images[source]),
            torch.from_numpy(self.source_labels[source]),
            torch.from_numpy(self.target_images[target]),
        )


class LabelledEvents(Dataset[LabelledBatch]):
    """Some events of one volcano: an item is a list of positions among them."""

    def __init__(self, images: FloatArray, labels: IntArray, rows: IntArray) -> None:
        self.images, self.labels, self.rows = images, labels, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: list[int]) -> LabelledBatch:
        rows = self.rows[positions]
        return LabelledBatch(
            torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows]), torch.from_numpy(rows)
        )
