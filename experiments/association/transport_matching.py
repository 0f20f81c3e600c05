"""Exact matching of two sorted sets of times, compiled: every pick, as many as there are, or with a dustbin.

On a line and for a cost |a - b|^p with p >= 1 some best matching never crosses, so a matching is a path through a
table of (elements of a, elements of b), and dynamic programming finds the cheapest:

- `match_fewer`: every element of the smaller set is matched (the paper's Section 5.7, Eq. 15). As many elements are
  skipped as the sets differ in size, so only a band of that width is walked through.
- `match_or_leave`: any element may stay unmatched at a cost. Elements further apart than their two costs together
  never match, which cuts the sets into short pieces that are solved one by one.

For p < 1 the claim is false: a cost that is not convex prefers one exact match and one far one.
"""

from typing import Any

import numba
import numpy as np

_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


@numba.njit(inline="always", **_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def _cost(a: float, b: float, p: float) -> float:
    difference = abs(a - b)
    return difference * difference if p == 2.0 else difference**p


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def _match_fewer_row(few: np.ndarray, many: np.ndarray, p: float, best: np.ndarray, out: np.ndarray) -> None:
    """`out[i]`: the element of `many` for element i of `few`; `best` is room for `(few + 1, many - few + 1)`."""
    n, skips = len(few), len(many) - len(few)
    best[0, : skips + 1] = 0.0
    for i in range(n):
        cheapest = np.inf
        for k in range(skips + 1):  # k elements skipped so far
            cheapest = min(cheapest, best[i, k] + _cost(few[i], many[i + k], p))
            best[i + 1, k] = cheapest
    k = skips
    for i in range(n - 1, -1, -1):
        while k > 0 and best[i + 1, k - 1] <= best[i + 1, k]:
            k -= 1
        out[i] = i + k


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def match_fewer(a: np.ndarray, b: np.ndarray, counts: np.ndarray, p: float, out: np.ndarray) -> None:
    """Matches every element of the smaller set.

    Args:
        a: `(row, n)`, ascending.
        b: `(set, m)`, ascending, padded at the end; row r is matched with set r modulo the number of sets.
        counts: `(set,)` int, elements of each set that count.
        p: Power of the cost, at least 1.
        out: `(row, n)` int64, filled: the element of b for each of a, -1 for none.
    """
    rows, n = a.shape
    sets, m = b.shape
    best = np.empty((max(n, m) + 1, max(n, m) + 1))
    inverse = np.empty(m, np.int64)
    for row in range(rows):
        count = counts[row % sets]
        mine = b[row % sets, :count]
        if n <= count:
            _match_fewer_row(a[row], mine, p, best, out[row])
        else:
            _match_fewer_row(mine, a[row], p, best, inverse)
            out[row] = -1
            for j in range(count):
                out[row, inverse[j]] = j


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def _match_piece(
    a: np.ndarray, b: np.ndarray, first_b: int, leave: float, p: float, best: np.ndarray, out: np.ndarray
) -> None:
    n, m = len(a), len(b)
    for j in range(m + 1):
        best[0, j] = j * leave
    for i in range(n):
        best[i + 1, 0] = (i + 1) * leave
        for j in range(m):
            cheapest = min(best[i, j + 1], best[i + 1, j]) + leave
            best[i + 1, j + 1] = min(cheapest, best[i, j] + _cost(a[i], b[j], p))
    i, j = n, m
    while i > 0 and j > 0:
        here = best[i, j]
        if here == best[i - 1, j] + leave:
            i -= 1
        elif here == best[i, j - 1] + leave:
            j -= 1
        else:
            i, j = i - 1, j - 1
            out[i] = first_b + j


@numba.njit(**_OPTIONS)  # type: ignore[untyped-decorator, unused-ignore]
def match_or_leave(a: np.ndarray, b: np.ndarray, counts: np.ndarray, reach: float, p: float, out: np.ndarray) -> None:
    """Matches what is near enough; the rest stays unmatched.

    Args:
        a: `(row, n)`, ascending.
        b: `(set, m)`, ascending, padded at the end; row r is matched with set r modulo the number of sets.
        counts: `(set,)` int, elements of each set that count.
        reach: Leaving an element costs `reach**p / 2`: one pair alone is matched when nearer than `reach`.
        p: Power of the cost, at least 1.
        out: `(row, n)` int64, filled: the element of b for each of a, -1 for none.
    """
    rows, n = a.shape
    sets = len(b)
    leave = reach**p / 2
    best = np.empty((1, 1))
    for row in range(rows):
        times, mine = a[row], b[row % sets, : counts[row % sets]]
        m = len(mine)
        out[row] = -1
        i = j = 0
        while i < n and j < m:
            first_i, first_j = i, j
            last = min(times[i], mine[j])
            while True:  # a piece ends where the next element of either set is out of reach
                if i < n and (j >= m or times[i] <= mine[j]):
                    if times[i] - last > reach:
                        break
                    last = times[i]
                    i += 1
                elif j < m:
                    if mine[j] - last > reach:
                        break
                    last = mine[j]
                    j += 1
                else:
                    break
            if i > first_i and j > first_j:
                if best.shape[0] <= i - first_i or best.shape[1] <= j - first_j:
                    best = np.empty((2 * (i - first_i) + 1, 2 * (j - first_j) + 1))
                _match_piece(times[first_i:i], mine[first_j:j], first_j, leave, p, best, out[row, first_i:i])
