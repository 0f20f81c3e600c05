"""When events may have started, given picks on a clock of arbitrary zero.

The span of the picks alone is a poor bound: it is as long as the longest travel time, and with it chains start far from
the truth. The mean pick of a channel is the mean travel time of the events plus their mean origin time, which narrows
the window to a second or two (`likely_window`): that is where descents start, whose events then move freely.
Back-projection needs only the loose bound (`possible_window`), which is never wrong.
"""

import numpy as np

from experiments.association.problem import Problem
from experiments.association.solvers.pick_table import PickTable, pick_table
from experiments.association.solvers.time_table import NodeTimes, node_times, time_table

LEAST_HALF_WIDTH_S = 0.5
Window = tuple[float, float]


def possible_window(nodes: NodeTimes, picks: PickTable, everywhere: bool) -> Window:
    """All origin times that the picks allow.

    Args:
        nodes: Travel times at the nodes of a grid.
        picks: The picks.
        everywhere: Whether every event has a pick in every channel; otherwise one pick is enough.
    """
    has = picks.counts > 0
    first_s = picks.times_s[has, 0]
    last_s = picks.times_s[has, picks.counts[has] - 1]
    shortest_s, longest_s = nodes.times_s[:, has].min(axis=0), nodes.times_s[:, has].max(axis=0)
    if not everywhere:
        return float((first_s - longest_s).min()), float((last_s - shortest_s).max())
    low = float((first_s - longest_s).max())
    high = float((last_s - shortest_s).min())
    return (low, high) if high > low else (0.5 * (low + high) - LEAST_HALF_WIDTH_S, 0.5 * (low + high) + 0.5)


def likely_window(nodes: NodeTimes, picks: PickTable) -> Window:
    """Mean pick minus mean travel time, give or take what picks and volume leave open.

    The variance of a channel's picks is that of travel times over the volume plus that of origin times; the means
    differ by the chance of which places the events have.
    """
    has = picks.counts > 0
    rows = [row[:n] for row, n in zip(picks.times_s[has], picks.counts[has], strict=True)]
    means = np.array([row.mean() for row in rows])
    variance = np.mean([row.var() for row in rows])
    times_s = nodes.times_s[:, has].astype(np.float64)
    centre = float(np.mean(means - times_s.mean(axis=0)))
    # Events that are early for one channel are early for its neighbours: the channels' means err together.
    error_of_mean = float(np.sqrt(times_s.var(axis=0).mean() / np.mean([len(row) for row in rows])))
    spread = float(np.sqrt(max(0.0, variance - times_s.var(axis=0).mean())))
    half = max(LEAST_HALF_WIDTH_S, np.sqrt(3.0) * spread + 1.5 * error_of_mean)
    return centre - half, centre + half


def origin_time_window(problem: Problem) -> Window:
    """Where to look for origin times: the problem's own range, or the likely window."""
    if problem.origin_time_range_s is not None:
        return problem.origin_time_range_s
    latent = None
    if problem.travel_times.n_latent and problem.travel_times.latent_bounds is not None:
        latent = np.asarray(problem.travel_times.latent_bounds).mean(axis=0)
    table, _ = time_table(problem, latent, max_nodes=13)
    return likely_window(node_times(table, most_nodes=13), pick_table(problem))
