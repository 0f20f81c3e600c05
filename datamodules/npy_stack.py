"""Several `.npy` files seen as one memory-mapped array along the sample axis.

Nothing is read until a row is asked for, and what is read stays in the kernel's page cache: a family of 24,000 maps
(470 MB) or 33 GB of gathers costs no anonymous memory. An object travels to worker processes as a list of paths.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError


class NpyStack:
    """Rows of many `.npy` files under one running index.

    Args:
        paths: one file each, in order; None where the file of that place is absent (its rows cannot be read).
        counts: number of rows in each file.
        row_shape: shape of one row, the same in all files.
    """

    def __init__(self, paths: Sequence[Path | None], counts: Sequence[int], row_shape: tuple[int, ...]) -> None:
        if len(paths) != len(counts):
            raise ValueError(f"{len(paths)} paths for {len(counts)} counts")
        self.paths = tuple(paths)
        self.row_shape = row_shape
        self.ends: npt.NDArray[np.int64] = np.cumsum(np.asarray(counts, dtype=np.int64))
        self._open: dict[int, npt.NDArray[np.floating[Any]]] = {}

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        # A memory map pickles as its whole content, so that a worker would be sent gigabytes: send the paths.
        return {**self.__dict__, "_open": {}}

    def file_of(self, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Number of the file (place in `paths`) that holds each row."""
        return np.searchsorted(self.ends, np.asarray(rows, dtype=np.int64), side="right").astype(np.int64)

    def take(self, rows: npt.ArrayLike, *, time_stride: int = 1) -> npt.NDArray[np.float32]:
        """Copies of some rows, float32 `(row, *row_shape)`.

        Args:
            rows: row numbers, in any order.
            time_stride: keep every so-many-th entry, the first one kept, of the last axis but one.

        Raises:
            IndexError: a row is out of range, or stands in an absent file.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows {wanted.min()}..{wanted.max()} of a stack of {len(self)}")
        shape = list(self.row_shape)
        shape[-2] = -(-shape[-2] // time_stride)
        taken = np.empty((len(wanted), *shape), dtype=np.float32)
        for place, (row, file) in enumerate(zip(wanted, self.file_of(wanted), strict=True)):
            first = 0 if file == 0 else self.ends[file - 1]
            taken[place] = self._file(int(file))[row - first][..., ::time_stride, :]
        return taken

    def _file(self, number: int) -> npt.NDArray[np.floating[Any]]:
        if number not in self._open:
            path = self.paths[number]
            if path is None:
                raise IndexError(f"file {number} of the stack is absent")
            try:
                self._open[number] = np.load(path, mmap_mode="r")
            except (OSError, ValueError) as error:  # moved or cut short since it was verified
                raise DataError(f"{path} can no longer be read ({error}): put the file back and start again.") from None
        return self._open[number]
