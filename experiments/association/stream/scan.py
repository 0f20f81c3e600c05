"""Where and when events may have been: picks shifted back to origin times, at every node of a grid, and counted.

A pick at time t votes, at a node with travel time T to its station, for origin times within w of t - T, w being what
half a cell and a residual make. Votes of one channel that overlap count once: a channel has one pick of an event. So a
window's votes are a few hundred intervals that are merged once and shifted for every node; counting them costs two
increments an interval and a running sum. A node asks its nearest stations only, which small events are seen by and
among which chance has less to choose from. Peaks are sought block by block of nodes: two events at one time in two
places are two peaks. Where picks are so many that votes fill all times, cells are divided and votes become shorter.
"""

from typing import NamedTuple

import numpy as np

from experiments.association.solvers.time_table import NodeTimes, TimeTable, compiled, derive_times

BIN_S = 0.25
BLOCK_NODES = 3
"""Nodes a side of a block; blocks are as deep as the grid."""
MOST_PARTS, CROWDED = 3, 0.3
"""Where chance alone votes with more than this share of a node's channels, cells are divided, along each axis."""
MOST_PLATEAUS = 20_000


class ScanGrid(NamedTuple):
    """What a scan needs of a network.

    Args:
        times_s: `(node, channel)` float32.
        positions_km: `(node, 3)`.
        near: `(node, n)` int32: channels that a node asks.
        block: `(node,)` int64: its block.
        n_blocks: How many there are.
        half_width_s: `(2,)`: half a vote's length for P and S, without the residual.
        spacing_km: `(3,)`, of the nodes.
        table: Travel times between the nodes.
    """

    times_s: np.ndarray
    positions_km: np.ndarray
    near: np.ndarray
    block: np.ndarray
    n_blocks: int
    half_width_s: np.ndarray
    spacing_km: np.ndarray
    table: TimeTable


def scan_grid(
    nodes: NodeTimes, table: TimeTable, channels: np.ndarray, stations_km: np.ndarray, n_near: int
) -> ScanGrid:
    """The grid of a network.

    Args:
        nodes: Times at the nodes.
        table: Travel times between them.
        channels: `(channel, 2)` int, station and phase.
        stations_km: `(station, 3)`.
        n_near: How many of the nearest stations a node asks.
    """
    n_nodes = len(nodes.times_s)
    positions_km = nodes.positions_km(np.arange(n_nodes))
    distance_km = np.hypot(*(positions_km[:, None, a] - stations_km[None, channels[:, 0], a] for a in (0, 1)))
    rank = distance_km + 1e-6 * channels[:, 0] + 1e-9 * channels[:, 1]
    per_station = np.bincount(channels[:, 0]).max()
    near = np.argsort(rank, axis=1, kind="stable")[:, : n_near * per_station]
    x, y, _ = np.unravel_index(np.arange(n_nodes), nodes.shape)
    blocks_y = -(-nodes.shape[1] // BLOCK_NODES)
    block = x // BLOCK_NODES * blocks_y + y // BLOCK_NODES
    half_width = np.zeros(2)
    grid = nodes.times_s.reshape(*nodes.shape, -1)
    for phase in (0, 1):
        mine = np.flatnonzero(channels[:, 1] == phase)
        if len(mine):
            # Half of what a time changes along one edge in each direction, the square root of the sum of squares.
            edges = [np.abs(np.diff(grid[..., mine], axis=a)).mean() for a in range(3)]
            half_width[phase] = 0.5 * np.sqrt(3.0) * float(np.sqrt(np.mean(np.square(edges)))) * 1.3
    return ScanGrid(
        np.ascontiguousarray(nodes.times_s, np.float32), positions_km, near.astype(np.int32), block.astype(np.int64),
        int(block.max()) + 1, half_width, np.asarray(nodes.spacing_km, np.float64), table,
    )  # fmt: skip


def _merge(
    times: np.ndarray, first: np.ndarray, phase: np.ndarray, free: np.ndarray, half: np.ndarray, bin_s: float,
    starts: np.ndarray, ends: np.ndarray, first_interval: np.ndarray,
) -> None:  # fmt: skip
    n = 0
    for c in range(len(phase)):
        first_interval[c] = n
        w = half[phase[c]]
        for p in range(first[c], first[c + 1]):
            if not free[p]:
                continue
            # Two that touch one bin would count twice there.
            if n > first_interval[c] and times[p] - w <= ends[n - 1] + bin_s:
                ends[n - 1] = times[p] + w
            else:
                starts[n], ends[n] = times[p] - w, times[p] + w
                n += 1
    first_interval[len(phase)] = n


_merged = compiled(_merge)


def _count(
    node_times: np.ndarray, table: TimeTable, nodes: np.ndarray, spacing: np.ndarray, parts: int, near: np.ndarray,
    block: np.ndarray, starts: np.ndarray, ends: np.ndarray, first_interval: np.ndarray, bin_s: float, n_bins: int,
    best: np.ndarray, node_of: np.ndarray,
) -> None:  # fmt: skip
    diff = np.zeros(n_bins + 1, np.int32)
    inverse = np.float32(1.0 / bin_s)
    scratch = np.empty((4, node_times.shape[1]))
    n_children = parts * parts * parts
    middle = 0.5 * (parts - 1)
    for i in range(len(node_times)):
        for child in range(n_children):
            if parts > 1:
                x = nodes[i, 0] + spacing[0] * (child // (parts * parts) - middle) / parts
                y = nodes[i, 1] + spacing[1] * (child // parts % parts - middle) / parts
                z = nodes[i, 2] + spacing[2] * (child % parts - middle) / parts
                derive_times(table, x, y, z, scratch)
            diff[:] = 0
            for k in range(near.shape[1]):
                c = near[i, k]
                shift = np.float32(scratch[0, c]) if parts > 1 else node_times[i, c]
                for q in range(first_interval[c], first_interval[c + 1]):
                    low, high = int((starts[q] - shift) * inverse), int((ends[q] - shift) * inverse) + 1
                    low, high = max(low, 0), min(high, n_bins)
                    if high > 0 and low < n_bins:
                        diff[low] += 1
                        diff[high] -= 1
            b = block[i]
            votes = 0
            for t in range(n_bins):
                votes += diff[t]
                if votes > best[b, t]:
                    best[b, t] = votes
                    node_of[b, t] = i * n_children + child


_counted = compiled(_count)


def _peaks(
    best: np.ndarray, node_of: np.ndarray, least: int, apart: int, out_block: np.ndarray, out_bin: np.ndarray,
    out_node: np.ndarray, out_votes: np.ndarray,
) -> int:  # fmt: skip
    n = 0
    n_blocks, n_bins = best.shape
    for b in range(n_blocks):
        t = 0
        while t < n_bins:
            v = best[b, t]
            if v < least:
                t += 1
                continue
            # A plateau counts once, at its middle; higher within `apart` bins, or as high before, rules it out.
            end = t
            while end + 1 < n_bins and best[b, end + 1] == v:
                end += 1
            highest = True
            for s in range(max(0, t - apart), t):
                if best[b, s] >= v:
                    highest = False
                    break
            if highest:
                for s in range(end + 1, min(n_bins, end + 1 + apart)):
                    if best[b, s] > v:
                        highest = False
                        break
            if highest and n < len(out_bin):
                middle = (t + end) // 2
                out_block[n], out_bin[n], out_node[n], out_votes[n] = b, middle, node_of[b, middle], v
                n += 1
            t = end + 1
    return n


_found = compiled(_peaks)


class Peaks(NamedTuple):
    """Starting points, those with most votes first.

    Args:
        events: `(peak, 4)`: x, y, z (km), origin time (s).
        votes: `(peak,)` int.
    """

    events: np.ndarray
    votes: np.ndarray


def scan(
    grid: ScanGrid, times_s: np.ndarray, first: np.ndarray, phase: np.ndarray, free: np.ndarray, residual_s: np.ndarray,
    begin_s: float, end_s: float, least: int, most: int,
) -> Peaks:  # fmt: skip
    """Peaks of a window.

    Args:
        grid: The network's.
        times_s: `(pick,)`, channel by channel, each in order of time.
        first: `(channel + 1,)`, where each channel's picks begin.
        phase: `(channel,)`.
        free: `(pick,)` bool: whether it may vote.
        residual_s: `(2,)`, residual allowed for P and S.
        begin_s: First origin time.
        end_s: Last.
        least: Fewest votes of a peak; more where chance has many.
        most: At most so many peaks.
    """
    starts, ends = np.empty(len(times_s)), np.empty(len(times_s))
    first_interval = np.empty(len(phase) + 1, np.int64)
    # Relative to the window's begin: float32 has no digits for a day.
    relative_s = times_s - begin_s
    parts, by_chance = 0, np.inf
    while parts < MOST_PARTS and by_chance > CROWDED * grid.near.shape[1]:
        parts += 1
        half_s = grid.half_width_s / parts + residual_s / np.sqrt(parts)
        _merged(relative_s, first, phase, free, half_s, BIN_S / parts, starts, ends, first_interval)
        n = int(first_interval[-1])
        covered_s = float((ends[:n] - starts[:n]).sum())
        share = min(covered_s / (len(phase) * max(float(np.ptp(relative_s)), 60.0)), 1.0)
        by_chance = share * grid.near.shape[1]
    least = max(least, int(by_chance + 3.0 * np.sqrt(by_chance * (1.0 - share))))
    bin_s = BIN_S / parts
    n_bins = int(np.ceil((end_s - begin_s) / bin_s)) + 1
    best = np.zeros((grid.n_blocks, n_bins), np.int32)
    node_of = np.zeros((grid.n_blocks, n_bins), np.int32)
    _counted(
        grid.times_s, grid.table, grid.positions_km, grid.spacing_km, parts, grid.near, grid.block,
        starts[:n].astype(np.float32), ends[:n].astype(np.float32), first_interval, bin_s, n_bins, best, node_of,
    )  # fmt: skip
    where = np.empty((4, MOST_PLATEAUS), np.int64)
    n = _found(best, node_of, least, round(1.0 / BIN_S), *where)
    _, bins, nodes, votes = where[:, :n]
    order = np.argsort(-votes, kind="stable")
    positions_km = _children(grid, nodes[order], parts)
    events = np.column_stack([positions_km, begin_s + bin_s * (bins[order] + 0.5)])
    kept = np.empty(min(most, n), np.int64)
    m = _thinned(events, kept, 2.5 * float(grid.spacing_km.max()) / parts, 2.0 / parts)
    return Peaks(events[kept[:m]], votes[order][kept[:m]])


def _children(grid: ScanGrid, numbers: np.ndarray, parts: int) -> np.ndarray:
    """`(n, 3)`, positions of the points that a cell is divided into."""
    node, child = np.divmod(numbers, parts**3)
    steps = np.stack(np.unravel_index(child, (parts, parts, parts)), axis=1) - 0.5 * (parts - 1)
    return np.asarray(grid.positions_km[node] + grid.spacing_km * steps / parts)


def _thin(events: np.ndarray, kept: np.ndarray, distance: float, seconds: float) -> int:
    n = 0
    for i in range(len(events)):
        if n == len(kept):
            break
        alone = True
        for k in range(n):
            j = kept[k]
            apart = (events[i, 0] - events[j, 0]) ** 2 + (events[i, 1] - events[j, 1]) ** 2
            if abs(events[i, 3] - events[j, 3]) < seconds and apart < distance * distance:
                alone = False
                break
        if alone:
            kept[n] = i
            n += 1
    return n


_thinned = compiled(_thin)
