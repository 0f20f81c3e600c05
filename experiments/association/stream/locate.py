"""Compiled steps of a window's solution: one event from its peak, and all events with their picks together.

Picks of a window stand channel by channel, each in order of time. Residuals are measured in standard errors of their
phase, so that P counts more than S where it is better.
"""

import numpy as np

from experiments.association.solvers.joint_steps import solve_step
from experiments.association.solvers.matching import match_within, sort_by_time
from experiments.association.solvers.time_table import TimeTable, compiled, derive_times

RIDGE = 1e-3
LONGEST_STEP_KM = 8.0


def _nearest(times: np.ndarray, free: np.ndarray, begin: int, end: int, at: float) -> int:
    """The free pick of a channel nearest to a time, -1 for none."""
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if times[middle] < at:
            low = middle + 1
        else:
            high = middle
    after, before = low, low - 1
    while after < end and not free[after]:
        after += 1
    while before >= begin and not free[before]:
        before -= 1
    if after >= end:
        return before if before >= begin else -1
    if before < begin:
        return after
    return after if times[after] - at < at - times[before] else before


nearest = compiled(_nearest)


def _move(event: np.ndarray, normal: np.ndarray, right: np.ndarray, bounds: np.ndarray, step: np.ndarray) -> None:
    solve_step(normal, right, 1e-4, RIDGE, step)
    length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    short = LONGEST_STEP_KM / length if length > LONGEST_STEP_KM else 1.0
    for i in range(4):
        event[i] += short * step[i]
    for i in range(3):
        event[i] = min(max(event[i], bounds[0, i]), bounds[1, i])


move = compiled(_move)


def _descend(
    table: TimeTable, times: np.ndarray, first: np.ndarray, free: np.ndarray, error: np.ndarray, events: np.ndarray,
    scales: np.ndarray, reach_km: float, bounds: np.ndarray, stations: np.ndarray,
) -> None:  # fmt: skip
    n_channels = len(error)
    derivatives = np.empty((4, n_channels))
    normal, right, step, g = np.empty((4, 4)), np.empty(4), np.empty(4), np.empty(4)
    for q in range(len(events)):
        event = events[q]
        for t in range(len(scales)):
            derive_times(table, event[0], event[1], event[2], derivatives)
            normal[:] = 0.0
            right[:] = 0.0
            for c in range(n_channels):
                if first[c] == first[c + 1]:
                    continue
                at = derivatives[0, c] + event[3]
                p = nearest(times, free, first[c], first[c + 1], at)
                if p < 0:
                    continue
                r = (times[p] - at) / error[c]
                u = r / scales[t]
                if abs(u) > 4.0:
                    continue
                # Far stations have little say: small events are not seen there.
                d2 = (event[0] - stations[c, 0]) ** 2 + (event[1] - stations[c, 1]) ** 2
                near = 1.0 / (1.0 + (d2 / (reach_km * reach_km)) ** 2)
                weight = near / ((1.0 + u * u) ** 2 * error[c] * error[c])
                g[0], g[1], g[2], g[3] = derivatives[1, c], derivatives[2, c], derivatives[3, c], 1.0
                for i in range(4):
                    right[i] += weight * g[i] * (times[p] - at)
                    for j in range(i + 1):
                        normal[i, j] += weight * g[i] * g[j]
            move(event, normal, right, bounds, step)


descend = compiled(_descend)


def _predict(table: TimeTable, events: np.ndarray, arrivals: np.ndarray, derivatives: np.ndarray) -> None:
    for e in range(len(events)):
        derive_times(table, events[e, 0], events[e, 1], events[e, 2], derivatives[e])
        for c in range(arrivals.shape[0]):
            arrivals[c, e] = derivatives[e, 0, c] + events[e, 3]


predict = compiled(_predict)


def _assign(arrivals: np.ndarray, times: np.ndarray, first: np.ndarray, gate: np.ndarray, pick_of: np.ndarray) -> None:
    """Fills `pick_of (channel, event)`: number of the pick, -1 for none; the best matching of each channel."""
    n_channels, n_events = arrivals.shape
    most = 0
    for c in range(n_channels):
        most = max(most, first[c + 1] - first[c])
    cost = np.empty((n_events + 1, most + 1))
    order = np.arange(n_events)
    for c in range(n_channels):
        sort_by_time(arrivals[c], order)
        n = first[c + 1] - first[c]
        match_within(arrivals[c], order, times[first[c] : first[c + 1]], n, gate[c], cost, pick_of[c])
        for e in range(n_events):
            if pick_of[c, e] >= 0:
                pick_of[c, e] += first[c]


assign = compiled(_assign)


def _step_all(
    times: np.ndarray, error: np.ndarray, events: np.ndarray, wanted: np.ndarray, bounds: np.ndarray,
    arrivals: np.ndarray, derivatives: np.ndarray, pick_of: np.ndarray, scale: float,
) -> None:  # fmt: skip
    normal, right, step, g = np.empty((4, 4)), np.empty(4), np.empty(4), np.empty(4)
    for e in range(len(events)):
        normal[:] = 0.0
        right[:] = 0.0
        for c in range(len(error)):
            p = pick_of[c, e]
            if p < 0 or not wanted[e, c]:
                continue
            residual = times[p] - arrivals[c, e]
            u = residual / (scale * error[c])
            weight = 1.0 / ((1.0 + u * u) ** 2 * error[c] * error[c])
            g[0], g[1], g[2], g[3] = derivatives[e, 1, c], derivatives[e, 2, c], derivatives[e, 3, c], 1.0
            for i in range(4):
                right[i] += weight * g[i] * residual
                for j in range(i + 1):
                    normal[i, j] += weight * g[i] * g[j]
        move(events[e], normal, right, bounds, step)


step_all = compiled(_step_all)
"""One robust Gauss-Newton step of every event, with the picks it has and wants."""


def _settle(
    table: TimeTable, times: np.ndarray, first: np.ndarray, error: np.ndarray, gate: np.ndarray, events: np.ndarray,
    wanted: np.ndarray, n_steps: int, bounds: np.ndarray, arrivals: np.ndarray, derivatives: np.ndarray,
    pick_of: np.ndarray,
) -> None:  # fmt: skip
    for _ in range(n_steps):
        predict(table, events, arrivals, derivatives)
        assign(arrivals, times, first, gate, pick_of)
        step_all(times, error, events, wanted, bounds, arrivals, derivatives, pick_of, 2.0)
    predict(table, events, arrivals, derivatives)
    assign(arrivals, times, first, gate, pick_of)


settle = compiled(_settle)
"""Matches and moves all events `n_steps` times, then matches once more."""


def _assign_alone(
    arrivals: np.ndarray, times: np.ndarray, first: np.ndarray, free: np.ndarray, gate: np.ndarray,
    pick_of: np.ndarray,
) -> None:  # fmt: skip
    for c in range(arrivals.shape[0]):
        for e in range(arrivals.shape[1]):
            pick_of[c, e] = -1
            if first[c] < first[c + 1]:
                p = nearest(times, free, first[c], first[c + 1], arrivals[c, e])
                if p >= 0 and abs(times[p] - arrivals[c, e]) <= gate[c]:
                    pick_of[c, e] = p


assign_alone = compiled(_assign_alone)
"""Every event its nearest free picks, as if it were the only one."""
