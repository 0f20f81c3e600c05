"""Picks laid out for compiled code: one row a channel, in order of time."""

from typing import NamedTuple

import numpy as np

from experiments.association.problem import Problem


class PickTable(NamedTuple):
    """Picks of each channel.

    Args:
        times_s: `(channel, most picks)`, ascending, padded with infinity.
        counts: `(channel,)` int64, picks of each channel.
    """

    times_s: np.ndarray
    counts: np.ndarray

    def without(self, used: np.ndarray) -> "PickTable":
        """The picks that are not used: `used (channel, most picks)` bool."""
        return self._only(~used)

    def between(self, start_s: float, end_s: float) -> "PickTable":
        """The picks of a span of time."""
        return self._only((self.times_s >= start_s) & (self.times_s <= end_s))

    def rates(self) -> np.ndarray:
        """`(channel,)`, picks a second over the span of the channel's picks, of a second at least."""
        has = np.isfinite(self.times_s)
        last_s = np.where(has, self.times_s, -np.inf).max(axis=1, initial=-np.inf)
        spans_s = np.where(self.counts > 0, last_s - self.times_s[:, 0], 0.0)
        return self.counts / np.maximum(spans_s, 1.0)

    def _only(self, wanted: np.ndarray) -> "PickTable":
        wanted = wanted & np.isfinite(self.times_s)
        counts = wanted.sum(axis=1)
        times_s = np.sort(np.where(wanted, self.times_s, np.inf), axis=1)
        return PickTable(np.ascontiguousarray(times_s[:, : max(1, int(counts.max(initial=1)))]), counts)


def pick_table(problem: Problem) -> PickTable:
    """The problem's picks; rows are `problem.channels`."""
    members = problem.picks_of_channel
    counts = np.array([len(mine) for mine in members], np.int64)
    times_s = np.full((len(members), int(counts.max(initial=1))), np.inf)
    for row, mine in zip(times_s, members, strict=True):
        row[: len(mine)] = problem.picks.time_s[mine]
    return PickTable(times_s, counts)
