"""Windows put together: no pick belongs to two events, no event stands there twice.

Neighbouring windows see the picks about their common edge both. An event found by both has the same picks in both: the
one with more evidence stays. A pick that two different events claim goes to the nearer one, and both are located anew.
An event may share picks with the windows next to its own only, so that what lies further back is final.
"""

from dataclasses import replace

import numpy as np

from experiments.association.stream.found import Found, enough, relocated, residuals
from experiments.association.stream.network import Network

TOLERANCE_S = 1.0
"""A window keeps events so far beyond its edges too: each window may place an event just across."""
SAME_SHARE = 0.5
"""Of the smaller one's picks; events that share more are one."""


class Stitcher:
    """Takes windows in order and gives back what is final.

    Args:
        network: The network.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pool = Found.none(len(network.channels))

    def add(self, begin_s: float, found: Found) -> Found:
        """A window's events.

        Args:
            begin_s: Where the window begins.
            found: Its events.

        Returns:
            Events that are final, in order of time: all before the window's begin less the tolerance.
        """
        earlier, later = self._without_twins(self._pool, found)
        pool = self._without_shared(earlier, later)
        pool = pool.take(np.argsort(pool.events[:, 3], kind="stable"))
        is_final = pool.events[:, 3] < begin_s - TOLERANCE_S
        self._pool = pool.take(~is_final)
        return pool.take(is_final)

    def finish(self) -> Found:
        """What is left after the last window."""
        pool, self._pool = self._pool, self._pool.take(np.empty(0, np.int64))
        return pool

    @staticmethod
    def _without_twins(earlier: Found, later: Found) -> tuple[Found, Found]:
        keeps_earlier, keeps_later = np.ones(len(earlier), bool), np.ones(len(later), bool)
        for i, j in _meetings(earlier, later):
            if not (keeps_earlier[i] and keeps_later[j]):
                continue
            shared = int(((earlier.row[i] == later.row[j]) & (later.row[j] >= 0)).sum())
            if shared > SAME_SHARE * min((earlier.row[i] >= 0).sum(), (later.row[j] >= 0).sum()):
                if earlier.evidence[i, 0] >= later.evidence[j, 0]:
                    keeps_later[j] = False
                else:
                    keeps_earlier[i] = False
        return earlier.take(keeps_earlier), later.take(keeps_later)

    def _without_shared(self, earlier: Found, later: Found) -> Found:
        pool = Found.joined([earlier, later])
        meetings = _meetings(earlier, later)
        if not meetings:
            return pool
        row, time_s = pool.row.copy(), pool.time_s.copy()
        apart = np.abs(residuals(self._network, pool)[0])
        touched = np.zeros(len(pool), bool)
        for i, j in meetings:
            j += len(earlier)
            for c in np.flatnonzero((row[i] == row[j]) & (row[i] >= 0)).tolist():
                loser = j if apart[i, c] <= apart[j, c] else i
                row[loser, c], time_s[loser, c] = -1, np.nan
                touched[loser] = True
        pool = replace(pool, row=row, time_s=time_s)
        keeps = ~touched | enough(self._network, pool.row >= 0)
        pool, touched = pool.take(keeps), touched[keeps]
        moved = relocated(self._network, pool.take(touched))
        events = pool.events.copy()
        # What is final stays before what is not.
        stays = np.abs(moved.events[:, 3] - events[touched, 3]) > TOLERANCE_S
        events[touched] = np.where(stays[:, None], events[touched], moved.events)
        return replace(pool, events=events)


def _meetings(earlier: Found, later: Found) -> list[tuple[int, int]]:
    """Pairs of events that claim a pick both."""
    rows_i, rows_j = earlier.row[earlier.row >= 0], later.row[later.row >= 0]
    shared = np.intersect1d(rows_i, rows_j)
    if not len(shared):
        return []
    of_i, of_j = np.nonzero(np.isin(earlier.row, shared))[0], np.nonzero(np.isin(later.row, shared))[0]
    pairs = [
        (int(i), int(j))
        for i in np.unique(of_i)
        for j in np.unique(of_j)
        if ((earlier.row[i] == later.row[j]) & (later.row[j] >= 0)).any()
    ]
    return pairs
