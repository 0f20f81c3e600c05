"""Rows of float32 on disk, computed once: named by what they depend on, memory-mapped, never half-written.

Rows are appended to `<hash>.npy.partial`, and the file gets its name when all are there: an interrupted run goes on
where it stopped. A lock keeps two runs from computing the same thing.
"""

import ast
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datamodules.errors import DataError
from datamodules.gather_cache import lock, writing

_HEADER_BYTES = 128  # numpy pads the header of a plain array to a multiple of 64; ours takes two
_LARGE_BYTES = 200e6  # what is larger is announced
FloatArray = npt.NDArray[np.float32]
Solve = Callable[[int, int, bool], FloatArray]
"""`(row, workers, progress)` -> the row, computed by so many workers."""


def cached_rows(
    folder: Path,
    key: tuple[object, ...],
    shape: tuple[int, ...],
    solve: Solve,
    *,
    what: str,
    unit: str = "speed",
    workers: int = 1,
    progress: bool = False,
) -> FloatArray:
    """Rows of float32 from the cache, those that are missing computed.

    Args:
        folder: Where the file lies.
        key: All that the rows depend on: arrays and plain values; the source of the code among them.
        shape: Of all rows together.
        solve: Computes a row.
        what: Named in the progress bar.
        unit: What a row is of, in the progress bar.
        workers: Rows computed at the same time; where there is one row, it has them all.
        progress: Show a progress bar.

    Returns:
        A memory map, read only.

    Raises:
        DataError: If the folder cannot be written or the disk is full.
    """
    path = folder / f"{content_hash((*key, shape))}.npy"
    with writing(folder):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with lock(path.with_suffix(".lock")):
                if not path.exists():
                    _fill(path, shape, solve, what, unit, workers, progress)
        rows: FloatArray = np.load(path, mmap_mode="r")
    if rows.shape != shape:
        raise DataError(f"{path} has the shape {rows.shape}, wanted {shape}: remove it, it is made again.")
    return rows


def _fill(path: Path, shape: tuple[int, ...], solve: Solve, what: str, unit: str, workers: int, progress: bool) -> None:
    row_bytes = 4 * int(np.prod(shape[1:]))
    partial = path.with_name(path.name + ".partial")
    done = max(0, partial.stat().st_size - _HEADER_BYTES) // row_bytes if partial.exists() else 0
    needed, free = (shape[0] - done) * row_bytes, shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"{what} need {needed / 1e6:,.1f} MB in {path.parent} but {free / 1e6:,.1f} MB are free: free some, "
            "choose another cache_root, or ask for less (fewer wave speeds, stations or events)."
        )
    if progress and needed > _LARGE_BYTES:
        tqdm.write(f"{what}: {needed / 1e6:,.0f} MB in {path.parent}", file=sys.stderr)
    with partial.open("r+b" if done else "w+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        if file.tell() != _HEADER_BYTES:
            raise RuntimeError(f"numpy wrote a header of {file.tell()} bytes, {_HEADER_BYTES} were kept free")
        file.truncate(_HEADER_BYTES + done * row_bytes)
        file.seek(_HEADER_BYTES + done * row_bytes)
        bar = tqdm(total=shape[0], initial=done, desc=what, unit=unit, disable=not progress or shape[0] == 1)
        with bar:
            for row in _rows(range(done, shape[0]), solve, workers, progress):
                file.write(np.ascontiguousarray(row, dtype="<f4").data)
                bar.update()
    partial.replace(path)


def _rows(wanted: range, solve: Solve, workers: int, progress: bool) -> Iterator[FloatArray]:
    """Rows in order, a few ahead of the one that is being written."""
    if workers <= 1 or len(wanted) <= 1:
        yield from (solve(i, workers, progress and len(wanted) == 1) for i in wanted)
        return
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(wanted), 4 * workers):
            yield from pool.map(lambda i: solve(i, 1, False), wanted[first : first + 4 * workers])


@cache
def source_hash(*modules: ModuleType) -> str:
    """Hash of the code of some modules, without comments and docstrings: what other code computes is another thing."""
    digest = hashlib.sha256()
    for module in modules:
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def content_hash(key: tuple[object, ...]) -> str:
    """Name of what depends on some arrays and plain values."""
    digest = hashlib.sha256()
    for value in key:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(f"{value!r};".encode())
    return digest.hexdigest()[:20]
