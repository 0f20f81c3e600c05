"""Single events found by stacking: every node and every origin time is scored by the picks that it explains.

A node's score at origin time tau is the sum over channels of a tent of width w around the nearest pick to T + tau. All
origin times of a node are contiguous in memory, so that the whole volume costs milliseconds and no window of origin
times has to be known. The best nodes then descend each on its own, to their nearest picks, with a robust weight whose
scale shrinks (`descend`). An event stands out long before the others are known, which a joint descent cannot use.
"""

from typing import NamedTuple

import numpy as np

from experiments.association.solvers.joint_steps import solve_step
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.time_table import NodeTimes, TimeTable, compiled, derive_times

BINS_A_WIDTH = 4
ALIKE = np.array([0.2, 0.2, 0.2, 0.02])
"""Candidates nearer than this, km and s, are the same."""


class Candidates(NamedTuple):
    """Events that were found one by one; several may be the same.

    Args:
        events: `(candidate, 4)`: x, y, z (km), tau (s).
        scores: `(candidate,)`, sum over channels of max(0, 1 - (r / gate)^2).
    """

    events: np.ndarray
    scores: np.ndarray


def _scan_nodes(
    times: np.ndarray, nodes: np.ndarray, tents: np.ndarray, first_s: np.ndarray, last_s: np.ndarray, bin_s: float,
    tau0: float, n_tau: int, everywhere: bool, least: float, score: np.ndarray, node: np.ndarray, tau: np.ndarray,
) -> int:  # fmt: skip
    n_channels = len(tents)
    stack = np.empty(n_tau, np.float32)
    inverse = np.float32(1.0 / bin_s)
    found = 0
    for i in nodes:
        low, high = 0, n_tau
        if everywhere:
            # Every event has a pick in every channel: it can not start before the first or after the last of them.
            earliest, latest = -1e30, 1e30
            for c in range(n_channels):
                earliest = max(earliest, first_s[c] - times[i, c])
                latest = min(latest, last_s[c] - times[i, c])
            low = max(low, int((earliest - tau0) / bin_s) - 2 * BINS_A_WIDTH)
            high = min(high, int((latest - tau0) / bin_s) + 2 * BINS_A_WIDTH)
            if high - low < 3:
                continue
        part = stack[low:high]
        part[:] = 0.0
        for c in range(n_channels):
            b = int(times[i, c] * inverse + np.float32(0.5)) + low
            row = tents[c, b : b + high - low]
            for k in range(len(part)):
                part[k] += row[k]
        for k in range(1, len(part) - 1):
            s = part[k]
            if s >= least and s >= part[k - 1] and s > part[k + 1] and found < len(score):
                score[found], node[found], tau[found] = s, i, low + k
                found += 1
    return found


_scanned = compiled(_scan_nodes)


def _descend(
    table: TimeTable, picks: PickTable, events: np.ndarray, scales: np.ndarray, bounds: np.ndarray, gate: float,
    scores: np.ndarray,
) -> None:  # fmt: skip
    n_channels = len(picks.counts)
    derivatives = np.empty((4, n_channels))
    normal, right, step, g = np.empty((4, 4)), np.empty(4), np.empty(4), np.empty(4)
    for q in range(len(events)):
        event = events[q]
        for t in range(len(scales) + 1):
            derive_times(table, event[0], event[1], event[2], derivatives)
            normal[:] = 0.0
            right[:] = 0.0
            scores[q] = 0.0
            for c in range(n_channels):
                n = picks.counts[c]
                if n == 0:
                    continue
                predicted = derivatives[0, c] + event[3]
                low, high = 0, n
                while low < high:
                    middle = (low + high) // 2
                    if picks.times_s[c, middle] < predicted:
                        low = middle + 1
                    else:
                        high = middle
                r = picks.times_s[c, min(low, n - 1)] - predicted
                if low > 0 and predicted - picks.times_s[c, low - 1] < abs(r):
                    r = picks.times_s[c, low - 1] - predicted
                if abs(r) < gate:
                    scores[q] += 1.0 - (r / gate) ** 2
                if t == len(scales):
                    continue
                weight = 1.0 / (1.0 + (r / scales[t]) ** 2) ** 2
                g[0], g[1], g[2], g[3] = derivatives[1, c], derivatives[2, c], derivatives[3, c], 1.0
                for i in range(4):
                    right[i] += weight * g[i] * r
                    for j in range(i + 1):
                        normal[i, j] += weight * g[i] * g[j]
            if t == len(scales):
                break
            solve_step(normal, right, 1e-6, 1e-6, step)
            length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
            short = 5.0 / length if length > 5.0 else 1.0
            for i in range(4):
                event[i] = min(max(event[i] + short * step[i], bounds[0, i]), bounds[1, i])


descend = compiled(_descend)
"""Each of `events (candidate, 4)` goes to its nearest picks, in place; `scores` as in `Candidates`."""


def _select(
    table: TimeTable, picks: PickTable, events: np.ndarray, order: np.ndarray, gate: float, least: np.ndarray,
    most: int, used: np.ndarray, chosen: np.ndarray,
) -> int:  # fmt: skip
    n_channels = len(picks.counts)
    derivatives = np.empty((4, n_channels))
    mine = np.empty(n_channels, np.int64)
    n_chosen = 0
    for threshold in least:
        for q in order:
            if n_chosen == most:
                return n_chosen
            derive_times(table, events[q, 0], events[q, 1], events[q, 2], derivatives)
            score = 0.0
            for c in range(n_channels):
                mine[c] = -1
                n = picks.counts[c]
                predicted = derivatives[0, c] + events[q, 3]
                low, high = 0, n
                while low < high:
                    middle = (low + high) // 2
                    if picks.times_s[c, middle] < predicted:
                        low = middle + 1
                    else:
                        high = middle
                nearest = gate
                for k in range(low, n):
                    if picks.times_s[c, k] - predicted >= nearest:
                        break
                    if not used[c, k]:
                        nearest = picks.times_s[c, k] - predicted
                        mine[c] = k
                        break
                for k in range(low - 1, -1, -1):
                    if predicted - picks.times_s[c, k] >= nearest:
                        break
                    if not used[c, k]:
                        nearest = predicted - picks.times_s[c, k]
                        mine[c] = k
                        break
                if mine[c] >= 0:
                    score += 1.0 - (nearest / gate) ** 2
                elif score + n_channels - 1 - c < threshold:
                    break
            if score >= threshold:
                for c in range(n_channels):
                    if mine[c] >= 0:
                        used[c, mine[c]] = True
                chosen[n_chosen] = q
                n_chosen += 1
    return n_chosen


_selected = compiled(_select)


def tents(picks: PickTable, width_s: float, start_s: float, n_bins: int, bin_s: float) -> np.ndarray:
    """`(channel, bin)` float32: 1 at a pick, falling to 0 at `width_s` from the nearest one."""
    out = np.zeros((len(picks.counts), n_bins), np.float32)
    t = start_s + bin_s * np.arange(n_bins)
    for row, times_s, n in zip(out, picks.times_s, picks.counts, strict=True):
        if n:
            near = np.interp(t, times_s[:n], np.arange(n))
            low = np.floor(near).astype(int)
            distance = np.minimum(np.abs(t - times_s[low]), np.abs(t - times_s[np.minimum(low + 1, n - 1)]))
            row[:] = np.maximum(0.0, 1.0 - distance / width_s)
    return out


def back_project(
    table: TimeTable,
    nodes: NodeTimes,
    picks: PickTable,
    width_s: float,
    window_s: tuple[float, float],
    gate_s: float,
    n_candidates: int,
    everywhere: bool,
    rng: np.random.Generator,
    n_scales: int = 10,
) -> Candidates:
    """The best single events.

    Args:
        table: Travel times.
        nodes: Where to look.
        picks: What is to be explained.
        width_s: Half-width of the tents: the times' change over half a cell, or a few pick errors if that is more.
        window_s: Earliest and latest origin time.
        gate_s: Largest residual of a pick that counts as explained.
        n_candidates: How many of the nodes are followed.
        everywhere: Whether each event has a pick in every channel; narrows the origin times of a node.
        rng: For the sample of nodes that sets the threshold.
        n_scales: Gauss-Newton steps of a candidate.

    Returns:
        Candidates, best first.
    """
    bin_s = width_s / BINS_A_WIDTH
    n_tau = int(np.ceil((window_s[1] - window_s[0]) / bin_s)) + 3
    tau0 = window_s[0] - bin_s
    n_bins = n_tau + int(nodes.times_s.max() / bin_s) + 2
    score_of_bin = tents(picks, width_s, tau0, n_bins, bin_s)
    first_s = np.where(picks.counts > 0, picks.times_s[:, 0], -np.inf)
    last_s = np.array([row[n - 1] if n else np.inf for row, n in zip(picks.times_s, picks.counts, strict=True)])
    n_nodes = len(nodes.times_s)
    fixed = (score_of_bin, first_s, last_s, bin_s, tau0, n_tau, everywhere)

    def scan(chosen: np.ndarray, least: float, room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        score, node, tau = np.empty(room, np.float32), np.empty(room, np.int64), np.empty(room, np.int64)
        n = _scanned(nodes.times_s, chosen, *fixed, np.float32(least), score, node, tau)
        return score[:n], node[:n], tau[:n]

    sample = rng.choice(n_nodes, size=min(n_nodes, 512), replace=False)
    score, _, _ = scan(sample, 0.2 * float((picks.counts > 0).sum()), 512 * n_tau)
    wanted = int(np.ceil(2 * n_candidates * len(sample) / n_nodes))
    least = float(np.partition(score, -wanted)[-wanted]) if len(score) > wanted else 0.0
    score, node, tau = scan(np.arange(n_nodes), least, max(20 * n_candidates, 20_000))
    if len(score) > n_candidates:
        best = np.argpartition(-score, n_candidates)[:n_candidates]
        score, node, tau = score[best], node[best], tau[best]
    events = np.column_stack([nodes.positions_km(node), tau0 + bin_s * tau])
    if not len(events):
        return Candidates(events.reshape(0, 4), np.empty(0))
    scores = np.empty(len(events))
    scales = np.geomspace(max(0.5 * width_s, gate_s / 3), gate_s / 3, n_scales)
    window = np.array([[window_s[0]], [window_s[1]]])
    descend(table, picks, events, scales, np.concatenate([table.bounds_km, window], axis=1), gate_s, scores)
    order = np.argsort(-scores, kind="stable")
    # Many starts descend to one event: the first of each is enough.
    _, first = np.unique(np.round(events[order] / ALIKE).astype(np.int64), axis=0, return_index=True)
    order = order[np.sort(first)]
    return Candidates(events[order], scores[order])


def select(
    table: TimeTable, picks: PickTable, candidates: Candidates, gate_s: float, most: int, least_score: float
) -> np.ndarray:
    """Candidates that explain picks of their own, best first, as `(event, 4)`; no pick counts twice."""
    n_channels = len(picks.counts)
    chosen = np.empty(min(most, len(candidates.events)), np.int64)
    if not len(chosen):
        return np.empty((0, 4))
    used = np.zeros(picks.times_s.shape, bool)
    top = float(n_channels)
    least = np.linspace(top, least_score, 12) if least_score < top else np.array([least_score])
    order = np.arange(len(candidates.events))
    n = _selected(table, picks, candidates.events, order, gate_s, least, len(chosen), used, chosen)
    return candidates.events[chosen[:n]]
