"""Generated pairs in a `samples.npz`, memory-mapped.

The members are stored uncompressed, so that each is an array at an offset of the file, and a batch reads its own rows
only.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.openfwi_dataset import OpenFWIBatch

VELOCITY, SEISMIC, TIME_STEP = "velocity_m_s", "seismic", "time_step_s"
_LOCAL_HEADER_BYTES = 30
_BLOCK_BYTES = 16 << 20
_MEND = "generate the pairs again"


@dataclass(frozen=True)
class SampleFacts:
    """What one pass over the file tells.

    Attributes:
        sha256: hash of the whole file.
        n: number of pairs.
        n_time: time samples of a gather.
        time_step_s: time between two samples.
    """

    sha256: str
    n: int
    n_time: int
    time_step_s: float


class GeneratedPairs(Dataset[OpenFWIBatch]):
    """The first pairs of a `samples.npz`.

    Args:
        path: the file; opened on first use, in each worker process anew.
        n: how many pairs.
    """

    def __init__(self, path: Path, n: int) -> None:
        self.path, self.n = path, n
        self._members: dict[str, npt.NDArray[np.float32]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_members": {}}  # a memory map would be pickled as its content

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> OpenFWIBatch:
        """A batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> OpenFWIBatch:
        """A whole batch, physical units."""
        return OpenFWIBatch(
            torch.tensor(indices, dtype=torch.int64),
            torch.from_numpy(self._member(VELOCITY)[indices])[:, None],
            torch.from_numpy(self._member(SEISMIC)[indices]),
        )

    def maps(self) -> npt.NDArray[np.float32]:
        """All n velocity maps `(n, 70, 70)`, m/s."""
        return np.array(self._member(VELOCITY)[: self.n])

    def _member(self, name: str) -> npt.NDArray[np.float32]:
        if name not in self._members:
            self._members[name] = map_member(self.path, name)
        return self._members[name]


def map_member(path: Path, name: str) -> npt.NDArray[np.float32]:
    """Memory-map one array of an uncompressed `.npz`.

    Raises:
        DataError: the file is missing, no archive, compressed, cut short, or lacks the member.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise DataError(f"samples: {path} is compressed, so that it cannot be read by parts: save it uncompressed.")
        with path.open("rb") as file:
            file.seek(entry.header_offset)
            local = file.read(_LOCAL_HEADER_BYTES)
            lengths = (int.from_bytes(local[at : at + 2], "little") for at in (26, 28))  # of the name and the extra
            file.seek(entry.header_offset + _LOCAL_HEADER_BYTES + sum(lengths))
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            if fortran or dtype != np.float32:
                raise DataError(f"samples: {name} in {path} is not a float32 array in C order: {_MEND}.")
            return np.memmap(path, dtype, mode="r", offset=file.tell(), shape=shape)
    except FileNotFoundError:
        raise DataError(f"samples: there is no file {path}: generate pairs first.") from None
    except KeyError:
        raise DataError(f"samples: {path} holds no {name}: {_MEND}.") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"samples: {path} cannot be read ({error}): {_MEND}.") from None


def sample_facts(path: Path) -> SampleFacts:
    """Hash, size and sampling of a `samples.npz`, all values checked; remembered while the file does not change.

    Raises:
        DataError: it is not as it should be, or holds NaN or infinity.
    """
    try:
        status = path.stat()
    except OSError:
        raise DataError(f"samples: there is no file {path}: generate pairs first.") from None
    return _facts(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _facts(path: Path, size: int, changed_ns: int) -> SampleFacts:
    velocity, seismic = map_member(path, VELOCITY), map_member(path, SEISMIC)
    shapes = velocity.shape, seismic.shape
    if velocity.shape[1:] != (70, 70) or seismic.ndim != 4 or seismic.shape[::3] != (len(velocity), 70):
        raise DataError(f"samples: {path} holds arrays {shapes}, not (n, 70, 70) and (n, 5, time, 70): {_MEND}.")
    for name, array in ((VELOCITY, velocity), (SEISMIC, seismic)):
        rows = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))
        for first in range(0, len(array), rows):
            finite = np.isfinite(array[first : first + rows])
            if not finite.all():
                bad = first + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
                raise DataError(f"samples: {name} of pair {bad} in {path} holds NaN or infinity: {_MEND}.")
    with np.load(path) as members:
        time_step_s = float(members[TIME_STEP])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return SampleFacts(digest.hexdigest(), len(velocity), seismic.shape[2], time_step_s)
