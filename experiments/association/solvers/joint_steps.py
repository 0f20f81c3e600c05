"""All events at once: match arrivals to picks, then one damped Gauss-Newton step of each event; many chains.

Given the matching, events are independent least-squares problems in (x, y, z, tau): four unknowns and one equation a
channel. Position and time noise that is annealed away takes chains out of poor matchings (the part that Langevin noise
plays in the paper's Eq. 12).
"""

import numpy as np

from experiments.association.solvers.matching import match_all, match_within, sort_by_time
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.time_table import TimeTable, compiled, derive_times

LONGEST_STEP_KM = 10.0
MATCH_ALL = 0.0
"""As a gate: every event has a pick in every channel."""


def _solve_step(normal: np.ndarray, right: np.ndarray, damping: float, ridge: float, step: np.ndarray) -> None:
    """Cholesky solve of the damped 4 x 4 normal equations; the lower triangle of `normal` is overwritten."""
    for i in range(4):
        normal[i, i] = normal[i, i] * (1.0 + damping) + ridge
        for j in range(i + 1):
            s = normal[i, j]
            for k in range(j):
                s -= normal[i, k] * normal[j, k]
            normal[i, j] = np.sqrt(max(s, 1e-14)) if i == j else s / normal[j, j]
    for i in range(4):
        s = right[i]
        for k in range(i):
            s -= normal[i, k] * step[k]
        step[i] = s / normal[i, i]
    for i in range(3, -1, -1):
        s = step[i]
        for k in range(i + 1, 4):
            s -= normal[k, i] * step[k]
        step[i] = s / normal[i, i]


solve_step = compiled(_solve_step)


def _match_events(
    table: TimeTable, picks: PickTable, events: np.ndarray, gate: float, derivatives: np.ndarray, arrivals: np.ndarray,
    order: np.ndarray, cost: np.ndarray, pick_of_event: np.ndarray,
) -> float:  # fmt: skip
    """Fills derivatives, arrivals `(channel, event)`, `pick_of_event (channel, event)`; gives the summed cost."""
    n_events = len(events)
    for e in range(n_events):
        derive_times(table, events[e, 0], events[e, 1], events[e, 2], derivatives[e])
        for c in range(len(picks.counts)):
            arrivals[c, e] = derivatives[e, 0, c] + events[e, 3]
    total = 0.0
    for c in range(len(picks.counts)):
        sort_by_time(arrivals[c], order[c])
        if gate > 0.0:
            match_within(arrivals[c], order[c], picks.times_s[c], picks.counts[c], gate, cost, pick_of_event[c])
        else:
            match_all(order[c], picks.counts[c], pick_of_event[c])
        for e in range(n_events):
            p = pick_of_event[c, e]
            if p >= 0:
                r = picks.times_s[c, p] - arrivals[c, e]
                total += r * r
            else:
                total += gate * gate
    return total


_matched = compiled(_match_events)


def _take_steps(
    table: TimeTable, picks: PickTable, chains: np.ndarray, gates_s: np.ndarray, noise_km: np.ndarray,
    noise_s: np.ndarray, damping: np.ndarray, bounds: np.ndarray, rng: np.random.Generator, enough: float,
    losses: np.ndarray,
) -> None:  # fmt: skip
    n_chains, n_events, _ = chains.shape
    n_channels = len(picks.counts)
    derivatives = np.empty((n_events, 4, n_channels))
    arrivals = np.empty((n_channels, n_events))
    order = np.empty((n_channels, n_events), np.int64)
    pick_of_event = np.empty((n_channels, n_events), np.int64)
    cost = np.empty((n_events + 1, picks.times_s.shape[1] + 1))
    normal, right, step, g = np.empty((4, 4)), np.empty(4), np.empty(4), np.empty(4)
    last = len(gates_s) - 1
    for chain in range(n_chains):
        events = chains[chain]
        for c in range(n_channels):
            for e in range(n_events):
                order[c, e] = e
        for t in range(last + 1):
            total = _matched(table, picks, events, gates_s[t], derivatives, arrivals, order, cost, pick_of_event)
            losses[chain] = np.sqrt(total / (n_events * n_channels))
            if t == last or (gates_s[t] == gates_s[last] and losses[chain] < enough):
                break
            for e in range(n_events):
                normal[:] = 0.0
                right[:] = 0.0
                for c in range(n_channels):
                    p = pick_of_event[c, e]
                    if p < 0:
                        continue
                    r = picks.times_s[c, p] - arrivals[c, e]
                    g[0], g[1], g[2], g[3] = derivatives[e, 1, c], derivatives[e, 2, c], derivatives[e, 3, c], 1.0
                    for i in range(4):
                        right[i] += g[i] * r
                        for j in range(i + 1):
                            normal[i, j] += g[i] * g[j]
                if normal[3, 3] < 1.0:
                    continue
                solve_step(normal, right, damping[t], 1e-9, step)
                length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
                short = LONGEST_STEP_KM / length if length > LONGEST_STEP_KM else 1.0
                for i in range(4):
                    moved = events[e, i] + short * step[i]
                    spread = noise_km[t] if i < 3 else noise_s[t]
                    if spread > 0.0:
                        moved += spread * rng.standard_normal()
                    events[e, i] = min(max(moved, bounds[0, i]), bounds[1, i])


take_steps = compiled(_take_steps)
"""Runs `chains (chain, event, 4)` in place through the schedules `(iteration,)`, and fills `losses (chain,)`.

`gates_s` of 0 match every event (`match_all`); `damping` multiplies the diagonal; `bounds (2, 4)` are the lowest and
highest x, y, z, tau; a chain whose loss (root mean square misfit, an unmatched event counting a gate) is below `enough`
stops early.
"""


def _explain(
    table: TimeTable, picks: PickTable, events: np.ndarray, gate: float, pick_of_event: np.ndarray,
    residuals: np.ndarray,
) -> float:  # fmt: skip
    n_events, n_channels = len(events), len(picks.counts)
    derivatives = np.empty((n_events, 4, n_channels))
    arrivals = np.empty((n_channels, n_events))
    order = np.empty((n_channels, n_events), np.int64)
    for c in range(n_channels):
        for e in range(n_events):
            order[c, e] = e
    cost = np.empty((n_events + 1, picks.times_s.shape[1] + 1))
    total = _matched(table, picks, events, gate, derivatives, arrivals, order, cost, pick_of_event)
    for c in range(n_channels):
        for e in range(n_events):
            p = pick_of_event[c, e]
            residuals[c, e] = picks.times_s[c, p] - arrivals[c, e] if p >= 0 else np.nan
    return float(np.sqrt(total / max(n_events * n_channels, 1)))


_explained = compiled(_explain)


def explain(
    table: TimeTable, picks: PickTable, events: np.ndarray, gate_s: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Matches `events (event, 4)` to picks.

    Returns:
        Pick (its place in its channel) of each channel and event `(channel, event)`, -1 for none; residuals, seconds,
        NaN for none; loss, seconds.
    """
    pick_of_event = np.empty((len(picks.counts), len(events)), np.int64)
    residuals = np.empty(pick_of_event.shape)
    loss = _explained(table, picks, np.ascontiguousarray(events), gate_s, pick_of_event, residuals)
    return pick_of_event, residuals, loss
