"""Simulated gathers on disk, in OpenFWI's own layout, made once and only as many as asked for.

`<folder>/model/modelK.npy` and `<folder>/data/dataK.npy` hold rows 500 (K - 1) .. 500 K - 1 of a fixed list of maps.
Asking for more rows later extends the last file and adds files. Gathers are appended to `dataK.npy.partial`, each
block synced to disk, and the file gets its name only when complete: an interrupted run goes on where it stopped, and
no reader ever meets a half-written file. A lock keeps two runs (sweep agents, say) from writing the same folder.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datamodules.errors import DataError
from datamodules.npy_stack import NpyStack
from datamodules.openfwi_families import GATHER_SHAPE
from datamodules.openfwi_files import count_samples

Simulate = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Maps (n, 70, 70) in m/s -> gathers (n, 5, 1000, 70)."""

ROWS_PER_FILE = 500
_ROW_BYTES = 4 * int(np.prod(GATHER_SHAPE))
_HEADER_BYTES = 128  # numpy pads the header of a plain array to a multiple of 64; ours takes two


def cached_gathers(folder: Path, n: int) -> NpyStack | None:
    """The first n gathers, or None if they are not all there. Reads headers only."""
    paths = [_data_path(folder, file) for file in range(_n_files(n))]
    if any(_rows_in(path) < _rows_wanted(file, n) for file, path in enumerate(paths)):
        return None
    return NpyStack(paths, [_rows_in(path) for path in paths], GATHER_SHAPE)


def fill_gather_cache(
    folder: Path, maps: NpyStack, rows: npt.NDArray[np.int64], simulate: Simulate, *, block: int = 8, what: str = ""
) -> NpyStack:
    """Make sure that the gathers of some maps are on disk.

    Args:
        folder: the cache's folder; the list of maps it belongs to must be part of its name.
        maps: where the maps stand.
        rows: which maps, in order. A later call may give a longer list with the same beginning.
        simulate: the forward operator.
        block: gathers between two syncs: what an interruption costs at most.
        what: named in the progress bar.

    Raises:
        DataError: the folder cannot be written or the disk is full; no half-written file is left then.
    """
    if ready := cached_gathers(folder, len(rows)):
        return ready
    with writing(folder), lock(folder / ".lock"):
        missing = [
            (file, _rows_wanted(file, len(rows)))
            for file in range(_n_files(len(rows)))
            if _rows_in(_data_path(folder, file)) < _rows_wanted(file, len(rows))
        ]
        _check_space(folder, missing)
        done = sum(max(_rows_in(_data_path(folder, f)), _rows_in_partial(_data_path(folder, f))) for f, _ in missing)
        total = sum(wanted for _, wanted in missing)
        with tqdm(total=total, initial=min(done, total), desc=f"simulating {what} gathers", unit="gather") as bar:
            for file, wanted in missing:
                first = file * ROWS_PER_FILE
                chosen = rows[first : first + wanted]
                _extend(_data_path(folder, file), maps, chosen, simulate, block, bar.update)
    ready = cached_gathers(folder, len(rows))
    if ready is None:
        raise DataError(f"{folder} was changed while it was being filled: remove it and start again.")
    return ready


def _n_files(n: int) -> int:
    return -(-n // ROWS_PER_FILE)


def _rows_wanted(file: int, n: int) -> int:
    return min(ROWS_PER_FILE, n - file * ROWS_PER_FILE)


def _data_path(folder: Path, file: int) -> Path:
    return folder / "data" / f"data{file + 1}.npy"


def _partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _rows_in(path: Path) -> int:
    return count_samples(path, GATHER_SHAPE) if path.exists() else 0


def _rows_in_partial(path: Path) -> int:
    partial = _partial_path(path)
    return max(0, partial.stat().st_size - _HEADER_BYTES) // _ROW_BYTES if partial.exists() else 0


def _extend(
    path: Path,
    maps: NpyStack,
    rows: npt.NDArray[np.int64],
    simulate: Simulate,
    block: int,
    advance: Callable[[int], object],
) -> None:
    """Append gathers to the partial file until it holds all rows; write its maps; then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_path(path)
    have = _rows_in_partial(path)
    if have < _rows_in(path):  # growing a finished file: start from a copy, for someone may be reading it
        shutil.copyfile(path, partial)
        have = _rows_in_partial(path)
    have = min(have, len(rows))  # an interrupted run may have wanted more; maps and gathers are to match one to one
    try:
        with partial.open("r+b" if have else "w+b") as file:
            file.truncate(_HEADER_BYTES + have * _ROW_BYTES)  # drops what is left over, and a row that was cut short
            while have < len(rows):
                file.seek(_HEADER_BYTES + have * _ROW_BYTES)
                velocity = maps.take(rows[have : have + block])[:, 0]
                gathers = np.ascontiguousarray(simulate(velocity), dtype=np.float32)
                if gathers.shape != (len(velocity), *GATHER_SHAPE) or not np.isfinite(gathers).all():
                    raise DataError(
                        f"the simulation of maps {rows[have : have + block].tolist()} is unstable or of the wrong "
                        "shape: check that these maps are velocities in m/s."
                    )
                file.write(gathers.data)
                _sync(file)
                have += len(velocity)
                advance(len(velocity))
            _write_header(file, have)
            _sync(file)
        write_npy(path.parent.parent / "model" / path.name.replace("data", "model"), maps.take(rows))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _write_header(file: BinaryIO, n_rows: int) -> None:
    file.seek(0)
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (n_rows, *GATHER_SHAPE)}
    )
    if file.tell() != _HEADER_BYTES:
        raise RuntimeError(f"numpy wrote a header of {file.tell()} bytes, {_HEADER_BYTES} were kept free")


def write_npy(path: Path, array: npt.NDArray[np.float32] | npt.NDArray[np.float16]) -> None:
    """Write a `.npy` file that is either there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_path(path)
    try:
        with partial.open("wb") as file:
            # Not numpy.save: on a full disk it raises an error without a number.
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(np.ascontiguousarray(array).data)
            _sync(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check_space(folder: Path, missing: list[tuple[int, int]]) -> None:
    """Refuse at once what would fill the disk an hour later."""
    needed = sum((wanted - _rows_in_partial(_data_path(folder, file))) * _ROW_BYTES for file, wanted in missing)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"the gathers to simulate need {needed / 1e6:,.1f} MB in {folder} but {free / 1e6:,.1f} MB are free: "
            "free some, choose another cache_root, or ask for fewer pairs."
        )


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; the kernel frees it however the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"waiting for another run that fills {path.parent}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"the disk is full below {folder}: free some space or choose another cache_root, then start again."
            ) from error
        raise DataError(
            f"the cache folder {folder} cannot be written ({error.strerror}): "
            "make it writable or choose another cache_root."
        ) from error
