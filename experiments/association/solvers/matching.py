"""Which pick belongs to which event at one channel, inside compiled loops.

Arrival times lie on a line, so that optimal matchings of a convex cost never cross. `match_all` pairs the k-th event
with the k-th pick, the optimum for equal counts (Eq. 9). `match_within` lets events and picks go unmatched: it
minimises the sum of r^2 over pairs plus gate^2 / 2 for each event and each pick left over, so that no pair is further
apart than `gate`. It is the dustbin variant of the paper's unequal matching (Section 5.7), whose forced pairs would
bias events; events and picks more than a gate from all others are set aside before the dynamic programme, which keeps
it short.
"""

import numpy as np

from experiments.association.solvers.time_table import compiled


def _sort_by_time(times: np.ndarray, order: np.ndarray) -> None:
    for i in range(1, len(order)):
        moved = order[i]
        key = times[moved]
        j = i - 1
        while j >= 0 and times[order[j]] > key:
            order[j + 1] = order[j]
            j -= 1
        order[j + 1] = moved


sort_by_time = compiled(_sort_by_time)
"""Insertion sort of `order` by `times[order]`: nearly free when the order has hardly changed since the last call."""


def _match_all(order: np.ndarray, n_picks: int, pick_of_event: np.ndarray) -> None:
    for i in range(len(order)):
        pick_of_event[order[i]] = i if i < n_picks else -1


match_all = compiled(_match_all)


def _match_block(
    times: np.ndarray, order: np.ndarray, picks: np.ndarray, first_event: int, n_e: int, first_pick: int, n_p: int,
    gate: float, cost: np.ndarray, pick_of_event: np.ndarray,
) -> None:  # fmt: skip
    lonely = 0.5 * gate * gate
    for j in range(n_p + 1):
        cost[0, j] = j * lonely
    for i in range(1, n_e + 1):
        predicted = times[order[first_event + i - 1]]
        cost[i, 0] = i * lonely
        for j in range(1, n_p + 1):
            r = picks[first_pick + j - 1] - predicted
            paired = cost[i - 1, j - 1] + r * r
            skipped = min(cost[i - 1, j], cost[i, j - 1]) + lonely
            cost[i, j] = min(paired, skipped)
    i, j = n_e, n_p
    while i > 0 and j > 0:
        if cost[i, j] == cost[i - 1, j] + lonely:
            i -= 1
        elif cost[i, j] == cost[i, j - 1] + lonely:
            j -= 1
        else:
            pick_of_event[order[first_event + i - 1]] = first_pick + j - 1
            i -= 1
            j -= 1


_block = compiled(_match_block)


def _match_within(
    times: np.ndarray, order: np.ndarray, picks: np.ndarray, n_picks: int, gate: float, cost: np.ndarray,
    pick_of_event: np.ndarray,
) -> None:  # fmt: skip
    n_events = len(order)
    pick_of_event[:] = -1
    i, j = 0, 0
    while i < n_events and j < n_picks:
        first_event, first_pick = i, j
        end = min(times[order[i]], picks[j])
        grew = True
        while grew:
            grew = False
            while i < n_events and times[order[i]] <= end + gate:
                end = max(end, times[order[i]])
                i += 1
                grew = True
            while j < n_picks and picks[j] <= end + gate:
                end = max(end, picks[j])
                j += 1
                grew = True
        n_e, n_p = i - first_event, j - first_pick
        if n_e == 1 and n_p == 1:
            # A pair: chained by the gate, hence within it.
            pick_of_event[order[first_event]] = first_pick
        elif n_e > 0 and n_p > 0:
            _block(times, order, picks, first_event, n_e, first_pick, n_p, gate, cost, pick_of_event)


match_within = compiled(_match_within)
"""Fills `pick_of_event (event,)`, -1 for none. `order` sorts `times`; `cost` is scratch `(event + 1, pick + 1)`."""
