"""Content hash and value range of data files, remembered so that 33 GB are read once and not at every start.

What is known of a file is kept in `<cache_root>/file_facts.json`, under its path, size and modification time.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from datamodules.errors import DataError

_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class FileFacts:
    """What one pass over a `.npy` file tells.

    Attributes:
        sha256: hash of the whole file, hexadecimal.
        minimum: smallest finite value.
        maximum: largest finite value.
        first_bad_sample: number of the first sample with NaN or infinity, or None.
    """

    sha256: str
    minimum: float
    maximum: float
    first_bad_sample: int | None


def read_facts(path: Path) -> FileFacts:
    """One pass over a `.npy` file, memory-mapped."""
    digest = hashlib.sha256()
    samples = np.load(path, mmap_mode="r")
    with path.open("rb") as file:
        digest.update(file.read(samples.offset))
    # A file in Fortran order is hashed in C order: still a function of its content.
    minimum, maximum, first_bad = np.inf, -np.inf, None
    step = max(1, _BLOCK_BYTES // max(1, samples[0].nbytes))
    for first in range(0, len(samples), step):
        block = np.ascontiguousarray(samples[first : first + step])
        digest.update(block.data)
        low, high = float(block.min()), float(block.max())  # NaN comes through both
        if not np.isfinite(low + high):
            finite = np.isfinite(block)
            if first_bad is None:
                first_bad = first + int(np.argmin(finite.reshape(len(block), -1).all(axis=1)))
            low = float(block.min(where=finite, initial=np.inf))
            high = float(block.max(where=finite, initial=-np.inf))
        minimum, maximum = min(minimum, low), max(maximum, high)
    return FileFacts(digest.hexdigest(), minimum, maximum, first_bad)


def facts_of(paths: Iterable[Path], cache_root: Path, *, what: str = "files") -> dict[Path, FileFacts]:
    """The facts of some files, from memory where path, size and time of change are as they were.

    Args:
        paths: `.npy` files.
        cache_root: where the memory stands; one that cannot be written costs time, not the run.
        what: named in the progress bar.
    """
    store = cache_root / "file_facts.json"
    known = _load(store)
    facts: dict[Path, FileFacts] = {}
    unread: list[tuple[Path, str]] = []
    for path in paths:
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        try:
            facts[path] = FileFacts(**known[key])
        except (KeyError, TypeError):
            unread.append((path, key))
    if not unread:
        return facts
    with tqdm(
        total=sum(path.stat().st_size for path, _ in unread),
        desc=f"checking {what}",
        unit="B",
        unit_scale=True,
        delay=1,
        leave=False,
    ) as bar:
        for path, key in unread:
            try:
                facts[path] = read_facts(path)
            except (OSError, ValueError) as error:
                raise DataError(f"{path} cannot be read ({error}): fetch it again.") from None
            known[key] = asdict(facts[path])
            bar.update(path.stat().st_size)
    _save(store, known)
    return facts


def _load(store: Path) -> dict[str, dict[str, Any]]:
    try:
        known = json.loads(store.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _save(store: Path, known: dict[str, dict[str, Any]]) -> None:
    """Replace the store in one step; a reader sees the old one or the new one."""
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=store.parent, prefix=store.name)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(known, file)
            Path(temporary).replace(store)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
