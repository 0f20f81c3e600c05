"""Which labelled source events are kept back for validation: stratified by class, groups never divided.

Target events are never split: they are trained on without labels, and evaluated on as a whole (paper, Table 2).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

IntArray = npt.NDArray[np.int64]


def validation_fraction_rows(labels: IntArray, groups: Sequence[str], fraction: float, seed: int) -> IntArray:
    """Rows of a random share of each class, in whole groups.

    Args:
        labels: `(n,)`, 0 or 1.
        groups: Group of each row.
        fraction: Share of each class, at least one event of it.
        seed: Of the choice.

    Returns:
        Rows in rising order.

    Raises:
        DataError: No group of a class is small enough.
    """
    rng = np.random.default_rng([seed, 1])
    sizes = _sizes(labels, groups)
    chosen: set[str] = set()
    for label in (0, 1):
        wanted = max(1, round(fraction * int((labels == label).sum())))
        have = sum(sizes[group][label] for group in chosen)
        members = sorted({g for g, y in zip(groups, labels, strict=True) if y == label} - chosen)
        for i in rng.permutation(len(members)):
            if have + sizes[members[i]][label] <= wanted:
                chosen.add(members[i])
                have += sizes[members[i]][label]
        if not have:
            raise DataError(
                f"of the source's class {label} no group of at most {wanted} events can be kept back for validation: "
                "raise validation_fraction, or make groups smaller."
            )
    return np.flatnonzero(np.isin(groups, sorted(chosen))).astype(np.int64)


def fold_of_rows(labels: IntArray, groups: Sequence[str], n_folds: int, seed: int) -> IntArray:
    """Stratified folds: the number of each row's fold, groups never divided.

    Args:
        labels: `(n,)`, 0 or 1.
        groups: Group of each row.
        n_folds: Number of folds.
        seed: Of the choice.

    Returns:
        `(n,)`, 0 .. n_folds - 1.

    Raises:
        DataError: A class has fewer groups than folds.
    """
    rng = np.random.default_rng([seed, 2])
    sizes = _sizes(labels, groups)
    fold_of: dict[str, int] = {}
    filled = np.zeros((2, n_folds), dtype=np.int64)
    for label in (1, 0):  # the rarer class of a mixed group decides
        members = sorted({g for g, y in zip(groups, labels, strict=True) if y == label} - set(fold_of))
        members = [members[i] for i in rng.permutation(len(members))]
        for group in sorted(members, key=lambda g: -sizes[g][label]):
            fold_of[group] = int(np.argmin(filled[label]))
            filled[:, fold_of[group]] += sizes[group]
    if filled.min() == 0:
        raise DataError(f"{n_folds} folds cannot each hold events of both classes in whole groups: lower n_folds.")
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def _sizes(labels: IntArray, groups: Sequence[str]) -> dict[str, IntArray]:
    sizes: dict[str, IntArray] = {}
    for group, label in zip(groups, labels, strict=True):
        sizes.setdefault(group, np.zeros(2, dtype=np.int64))[label] += 1
    return sizes
