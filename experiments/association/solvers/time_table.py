"""Travel times as one table that compiled code can read: the solver's inner loop.

A provider that is itself a table hands its nodes over (`node_table`), so that the search is exact. Any other is
tabulated once, as mean slowness T / |x - r|, which has no cusp at the station, and the solution is polished with the
provider's own times (`exact_steps.py`).
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import torch

from experiments.association.problem import Problem

_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "nsz", "reassoc", "arcp"},
}
compiled = numba.njit(**_OPTIONS)
MAX_NODES = 33
"""Nodes a side of a table made here."""


class TimeTable(NamedTuple):
    """Times of all channels at the nodes of a grid.

    Args:
        values: `(nx, ny, nz, channel)` float32: seconds; s/km where `stations_km` is given.
        spacing_km: `(3,)`.
        origin_km: `(3,)`, the first node.
        stations_km: `(channel, 3)`, or `(0, 3)` where the values are times.
    """

    values: np.ndarray
    spacing_km: np.ndarray
    origin_km: np.ndarray
    stations_km: np.ndarray

    @property
    def bounds_km(self) -> np.ndarray:
        """`(2, 3)`."""
        return np.stack([self.origin_km, self.origin_km + self.spacing_km * (np.array(self.values.shape[:3]) - 1)])


def time_table(
    problem: Problem, latent: np.ndarray | None = None, max_nodes: int = MAX_NODES
) -> tuple[TimeTable, bool]:
    """The problem's travel times as a table, and whether it is exactly what the provider answers.

    Args:
        problem: Whose channels and provider.
        latent: `(n_latent,)`, code of the wave speed where that is unknown.
        max_nodes: Nodes along the longest side when the provider has to be tabulated.
    """
    node_table = getattr(problem.travel_times, "node_table", None)
    own = node_table(problem.channels) if node_table is not None and latent is None else None
    if own is not None:
        values, spacing_km, origin_km = own[:3]
        stations_km = own[3] if len(own) > 3 and own[3] is not None else np.empty((0, 3))
        table = TimeTable(
            np.ascontiguousarray(values, np.float32),
            np.broadcast_to(np.asarray(spacing_km, np.float64), (3,)).copy(),
            np.asarray(origin_km, np.float64).copy(),
            np.ascontiguousarray(stations_km, np.float64),
        )
        return table, values.dtype == np.float32
    bounds_km = np.asarray(problem.travel_times.bounds_km, np.float64)
    extent_km = np.maximum(bounds_km[1] - bounds_km[0], 1e-6)
    n_nodes = np.clip(np.ceil(extent_km / extent_km.max() * (max_nodes - 1)).astype(int) + 1, 5, max_nodes)
    spacing_km = extent_km / (n_nodes - 1)
    axes = [bounds_km[0, a] + spacing_km[a] * np.arange(n_nodes[a]) for a in range(3)]
    nodes_km = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    stations_km = np.ascontiguousarray(problem.stations.positions_km[problem.channels[:, 0]], np.float64)
    values = np.empty((len(nodes_km), len(stations_km)), np.float32)
    code = None if latent is None else torch.from_numpy(np.asarray(latent, np.float64))
    step = max(1, 2_000_000 // len(stations_km))
    with torch.no_grad():
        for first in range(0, len(nodes_km), step):
            # A station's own node has no mean slowness: it is taken a tenth of a spacing beside it.
            points = nodes_km[first : first + step].copy()
            distance_km = np.linalg.norm(points[:, None] - stations_km[None], axis=-1)
            near = (distance_km < 0.05 * spacing_km.min()).any(axis=1)
            points[near] += 0.1 * spacing_km * np.where(points[near] < bounds_km.mean(axis=0), 1.0, -1.0)
            distance_km[near] = np.linalg.norm(points[near][:, None] - stations_km[None], axis=-1)
            given = None if code is None else code.expand(len(points), -1)
            times_s = problem.travel_times.times(torch.from_numpy(points), problem.channels, given).numpy()
            values[first : first + step] = times_s / distance_km
    shape = (*(int(n) for n in n_nodes), len(stations_km))
    return TimeTable(values.reshape(shape), spacing_km, bounds_km[0].copy(), stations_km), False


def _derive_times(table: TimeTable, x: float, y: float, z: float, out: np.ndarray) -> None:
    nx, ny, nz, n_channels = table.values.shape
    hx, hy, hz = table.spacing_km
    u = min(max((x - table.origin_km[0]) / hx, 0.0), nx - 1.0)
    v = min(max((y - table.origin_km[1]) / hy, 0.0), ny - 1.0)
    w = min(max((z - table.origin_km[2]) / hz, 0.0), nz - 1.0)
    i, j, k = min(int(u), nx - 2), min(int(v), ny - 2), min(int(w), nz - 2)
    a, b, d = u - i, v - j, w - k
    t000, t001 = table.values[i, j, k], table.values[i, j, k + 1]
    t010, t011 = table.values[i, j + 1, k], table.values[i, j + 1, k + 1]
    t100, t101 = table.values[i + 1, j, k], table.values[i + 1, j, k + 1]
    t110, t111 = table.values[i + 1, j + 1, k], table.values[i + 1, j + 1, k + 1]
    for c in range(n_channels):
        d00, d01 = t001[c] - np.float64(t000[c]), t011[c] - np.float64(t010[c])
        d10, d11 = t101[c] - np.float64(t100[c]), t111[c] - np.float64(t110[c])
        z00, z01 = t000[c] + d * d00, t010[c] + d * d01
        z10, z11 = t100[c] + d * d10, t110[c] + d * d11
        y0, y1 = z00 + b * (z01 - z00), z10 + b * (z11 - z10)
        out[0, c] = y0 + a * (y1 - y0)
        out[1, c] = (y1 - y0) / hx
        out[2, c] = ((1.0 - a) * (z01 - z00) + a * (z11 - z10)) / hy
        out[3, c] = ((1.0 - a) * (d00 + b * (d01 - d00)) + a * (d10 + b * (d11 - d10))) / hz
    if len(table.stations_km) > 0:
        for c in range(n_channels):
            ex, ey, ez = x - table.stations_km[c, 0], y - table.stations_km[c, 1], z - table.stations_km[c, 2]
            distance = np.sqrt(ex * ex + ey * ey + ez * ez) + 1e-12
            slowness = out[0, c]
            out[0, c] = distance * slowness
            out[1, c] = distance * out[1, c] + ex / distance * slowness
            out[2, c] = distance * out[2, c] + ey / distance * slowness
            out[3, c] = distance * out[3, c] + ez / distance * slowness


derive_times = compiled(_derive_times)
"""Times and derivatives at one point: `out (4, channel)` is filled with T and its x, y, z derivatives."""


def _fill_node_times(
    table: TimeTable, shape: tuple[int, int, int], spacing: np.ndarray, origin: np.ndarray, out: np.ndarray
) -> None:
    scratch = np.empty((4, table.values.shape[3]))
    for node in range(len(out)):
        x = origin[0] + spacing[0] * (node // (shape[1] * shape[2]))
        y = origin[1] + spacing[1] * (node // shape[2] % shape[1])
        z = origin[2] + spacing[2] * (node % shape[2])
        derive_times(table, x, y, z, scratch)
        for c in range(out.shape[1]):
            out[node, c] = scratch[0, c]


_filled = compiled(_fill_node_times)


class NodeTimes(NamedTuple):
    """Times at the nodes of a search grid.

    Args:
        times_s: `(node, channel)` float32.
        shape: Nodes along x, y, z.
        spacing_km: `(3,)`.
        origin_km: `(3,)`.
    """

    times_s: np.ndarray
    shape: tuple[int, int, int]
    spacing_km: np.ndarray
    origin_km: np.ndarray

    def positions_km(self, nodes: np.ndarray) -> np.ndarray:
        """`(n, 3)` of the nodes of these numbers."""
        steps = np.stack(np.unravel_index(nodes, self.shape), axis=1)
        return np.asarray(self.origin_km + self.spacing_km * steps)

    @property
    def step_s(self) -> float:
        """How much a travel time changes from node to node, typically, seconds."""
        distance_km = np.linalg.norm(self.spacing_km * (np.array(self.shape) - 1))
        return float(2.0 * self.times_s.mean() / distance_km * self.spacing_km.max())


def node_times(table: TimeTable, most_nodes: int = 32) -> NodeTimes:
    """The table's times on a search grid, `most_nodes` along its longest side; its own nodes where they are so many."""
    low_km, high_km = table.bounds_km
    extent_km = np.maximum(high_km - low_km, 1e-9)
    own = np.array(table.values.shape[:3])
    n = np.clip(np.ceil(extent_km / extent_km.max() * (most_nodes - 1)).astype(int) + 1, 3, most_nodes)
    if (own <= most_nodes).all() and own.max() >= most_nodes - 1:
        n = own
    shape = (int(n[0]), int(n[1]), int(n[2]))
    if (n == own).all() and not len(table.stations_km):
        times_s = table.values.reshape(-1, table.values.shape[3])
    else:
        times_s = np.empty((shape[0] * shape[1] * shape[2], table.values.shape[3]), np.float32)
        _filled(table, shape, extent_km / (n - 1), low_km, times_s)
    return NodeTimes(times_s, shape, extent_km / (n - 1), low_km)
