"""Which maps are for training, validation and the held-out test, and which of them form pairs.

A seeded permutation orders each part; its maps are the first m, its pairs the first n of that order. So n pairs are
always among the m maps (the paper's unbalanced setting, n << m), and asking for more pairs keeps those there were.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.openfwi_files import FamilyFiles

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One part of a split: rows of the family's maps, in the part's own (permuted) order.

    Attributes:
        name: `train`, `validation` or `test`.
        order: all rows of the part; those with a gather come first.
        n_paired: how many rows have a gather (all of them where gathers are simulated).
    """

    name: str
    order: Rows
    n_paired: int

    def maps(self, n: int | None, argument: str) -> Rows:
        """The first n rows, all with None."""
        return self._first(n, len(self.order), argument, "maps")

    def pairs(self, n: int | None, argument: str) -> Rows:
        """The first n rows that have a gather, all with None."""
        return self._first(n, self.n_paired, argument, "maps that have (or can be given) a gather")

    def _first(self, n: int | None, available: int, argument: str, what: str) -> Rows:
        if n is not None and n < 1:
            raise DataError(f"{argument} is {n}: it must be at least 1.")
        if n is not None and n > available:
            raise DataError(
                f"{argument} is {n} but the {self.name} part has only {available} {what}: "
                f"set {argument} to {available} or less, or provide more maps."
            )
        return self.order[: available if n is None else n]


@dataclass(frozen=True)
class Split:
    """The three parts; no map is in two of them."""

    train: Part
    validation: Part
    test: Part


def split_maps(files: FamilyFiles, *, n_validation_maps: int, seed: int, only_real_pairs: bool) -> Split:
    """Split a family's maps.

    The held-out test part is OpenFWI's own where all of the family's files are there; else the last fifth of the
    files, at least one; with a single file, the last fifth of its samples. Validation is the end of what remains:
    its last `n_validation_maps` maps (of those that have a gather, if some have).

    Args:
        files: what is there.
        n_validation_maps: size of the validation part.
        seed: seed of the permutations.
        only_real_pairs: only maps with a seismic file can be pairs (else gathers are simulated for any map).

    Raises:
        DataError: too few maps.
    """
    rows = np.arange(sum(files.counts), dtype=np.int64)
    file_of = np.repeat(np.arange(len(files.counts)), files.counts)
    held_out = _held_out(files, rows, file_of)
    has_gather = np.array([path is not None for path in files.seismic])[file_of]
    if not only_real_pairs:
        has_gather[:] = True

    training = rows[~held_out]
    candidates = training[has_gather[training]]
    if not 1 <= n_validation_maps < len(candidates):
        raise DataError(
            f"n_validation_maps is {n_validation_maps} but {len(candidates)} training maps are there in {files.root}: "
            f"set it between 1 and {len(candidates) - 1}, or provide more maps."
        )
    validation = candidates[-n_validation_maps:]
    training = np.setdiff1d(training, validation)
    return Split(
        *(
            _part(name, part, has_gather, np.random.default_rng([seed, stream]))
            for stream, (name, part) in enumerate(
                (("train", training), ("validation", validation), ("test", rows[held_out]))
            )
        )
    )


def gathers_in_both_parts(files: FamilyFiles) -> bool:
    """Whether the training part and the held-out part each have a real gather."""
    rows = np.arange(sum(files.counts), dtype=np.int64)
    file_of = np.repeat(np.arange(len(files.counts)), files.counts)
    held_out = _held_out(files, rows, file_of)
    has_gather = np.array([path is not None for path in files.seismic])[file_of]
    return bool(has_gather[held_out].any() and has_gather[~held_out].any())


def _held_out(files: FamilyFiles, rows: Rows, file_of: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    if files.is_complete:
        names = [path.relative_to(files.root).as_posix() for path in files.maps]
        return np.array([name in files.family.held_out_files for name in names])[file_of]
    n_files = len(files.maps)
    if n_files > 1:
        return file_of >= n_files - max(1, n_files // 5)
    if len(rows) < 3:
        raise DataError(f"{files.maps[0]} holds {len(rows)} maps: a split needs at least 3, so add files.")
    return rows >= len(rows) - max(1, len(rows) // 5)


def _part(name: str, rows: Rows, has_gather: npt.NDArray[np.bool_], rng: np.random.Generator) -> Part:
    order = rng.permutation(rows)
    paired = has_gather[order]
    return Part(name, np.concatenate([order[paired], order[~paired]]), int(paired.sum()))
