"""From a velocity map to its reflecting points, and to the legs that join each with the 70 columns of the surface.

Everything here is geometry and kinematics: no weights, no gradient.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.geometry import CELL_M, SURFACE_ROW, VELOCITY_CENTRE_M_S, VELOCITY_HALF_RANGE_M_S
from lightning_modules.ubdiff.one_way_times import NODE_STEP, one_way_times
from lightning_modules.ubdiff.straight_ways import straight_ways

N_LEG_FEATURES = 15
SLOWEST_M_S, FASTEST_M_S = 500.0, 8000.0
MARGIN = 27
"""Columns beyond either side of the map that reflect too. The medium goes on there as it is at the side, and a sum that
ended with the map would add the diffraction of an edge that is not there; it is let fade out instead."""
SMOOTHING_CELLS = 1.5
"""Width of the Gaussian over which the direction of an interface is taken."""
CLEAR = (0.03, 0.05)
"""Spread of the slowness on a straight way up to which it is the ray, and from which it is not."""


class Medium(NamedTuple):
    """Maps with their margins, and travel times in them.

    Attributes:
        speed: `(map, row, column)`, m/s.
        squared_times: From the surface to the interfaces, s^2, `(map, interface, node, source)`.
        slope_x: Smoothed derivative of speed to the right, m/s a cell, like `speed`.
        slope_z: The same downwards.
    """

    speed: Tensor
    squared_times: Tensor
    slope_x: Tensor
    slope_z: Tensor


class Legs(NamedTuple):
    """Legs between reflecting points and surface columns.

    A point stands for a piece of an interface, `NODE_STEP` cells along a row or a column. `above` is its upper side,
    and of a wall the slower one.

    Attributes:
        sample: Which map of the batch a point belongs to, int64 `(point,)`.
        column: Where it is, of the columns with their margins, fractions too, `(point,)`.
        depth: The same, in cells below the middle of the surface's row, `(point,)`.
        normal_x: Unit normal of its interface, pointing away from the waves' side: to the right, `(point,)`.
        normal_z: The same, downwards.
        weight: What its piece counts: how far it faces the way in which it was found, so that a dipping interface,
            found in columns and in rows, counts by its length; less what interfaces above keep back; beyond the map's
            sides it fades out. `(point,)`.
        v_above: Speed on the side of the waves, m/s, `(point,)`.
        v_below: Speed on the other side, `(point,)`.
        time_s: Travel time of a leg, `(point, column)`.
        sine: Of the leg's angle with the vertical at the point, positive to the right, `(point, column)`.
        cosine: Of the same.
        normal_cosine: Cosine of the leg's angle with the interface's normal; negative where a leg comes from behind.
        features: What a response may depend on, about -1 to 1, `(point, column, N_LEG_FEATURES)`.
    """

    sample: Tensor
    column: Tensor
    depth: Tensor
    normal_x: Tensor
    normal_z: Tensor
    weight: Tensor
    v_above: Tensor
    v_below: Tensor
    time_s: Tensor
    sine: Tensor
    cosine: Tensor
    normal_cosine: Tensor
    features: Tensor


class _Points(NamedTuple):
    """Reflecting points: where they are and what they part; all `(point,)`."""

    sample: Tensor
    column: Tensor  # of the margin's columns, fractions too
    interface: Tensor  # fractions too: -0.5 is the middle of the row below the surface's
    v_above: Tensor
    v_below: Tensor
    normal_x: Tensor
    normal_z: Tensor
    share: Tensor


def medium_of(velocity: Tensor) -> Medium:
    """Continue normalised maps `(batch, 1, 70, 70)` beyond their sides, and time the waves in them."""
    inside = (VELOCITY_CENTRE_M_S + VELOCITY_HALF_RANGE_M_S * velocity[:, 0]).clamp(SLOWEST_M_S, FASTEST_M_S)
    speed = nn.functional.pad(inside, (MARGIN, MARGIN), mode="replicate")
    nodes, sources = _nodes(speed)
    squared_times = one_way_times(speed, sources, nodes).square()
    return Medium(speed, squared_times, *_smoothed_slopes(speed))


def legs_of(medium: Medium, least_reflection: float) -> Legs:
    """Find the points at which the speed changes, downwards or sideways, and the legs from them to the surface.

    Args:
        medium: Of the maps.
        least_reflection: Points whose reflection coefficient at normal incidence is not above it in size are left out.
    """
    speed, squared_times, *_ = medium
    found = zip(_downward(medium, least_reflection), _sideward(medium, least_reflection), strict=True)
    points = _Points(*(torch.cat(both) for both in found))
    sample, column, interface, v_above, v_below, normal_x, normal_z, share = points
    n_columns = speed.shape[2] - 2 * MARGIN
    nodes, sources = _nodes(speed)
    surface = MARGIN + torch.arange(n_columns, device=speed.device)
    to_columns = _interpolation(sources, surface)

    squared = (_cubic_between(squared_times, sample, column, interface, nodes) @ to_columns.T).clamp(min=1e-8)
    time_s = squared.sqrt()
    # Along an interface times change alike on both of its sides; across it their slope jumps.
    reach = NODE_STEP / torch.maximum(normal_x.abs(), normal_z.abs())
    ahead, behind = (
        _linear_between(squared_times, sample, column + way * normal_z, interface - way * normal_x, nodes)
        for way in (reach, -reach)
    )
    along = (ahead - behind) @ to_columns.T / (2.0 * CELL_M * reach[:, None])
    tangential = (0.5 * along / time_s * v_above[:, None]).clamp(-0.999, 0.999)
    facing = (1.0 - tangential.square()).sqrt()
    sine = facing * normal_x[:, None] + tangential * normal_z[:, None]
    cosine = facing * normal_z[:, None] - tangential * normal_x[:, None]

    # Where the way is clear, the straight ray; by degrees, so that no leg jumps where a map changes by a trifle.
    depth = interface + 0.5
    mean_slowness, spread = straight_ways(speed, sample, column, depth, surface)
    offset_m, depth_m = CELL_M * (column[:, None] - surface), CELL_M * depth[:, None]
    length_m = torch.hypot(offset_m, depth_m)
    clear = ((CLEAR[1] - spread) / (CLEAR[1] - CLEAR[0])).clamp(0.0, 1.0)
    shortcut = (1.0 - clear) * (1.0 - time_s / (mean_slowness * length_m))
    time_s = torch.lerp(time_s, mean_slowness * length_m, clear)
    sine, cosine = torch.lerp(sine, offset_m / length_m, clear), torch.lerp(cosine, depth_m / length_m, clear)
    size = torch.hypot(sine, cosine).clamp(min=1e-6)
    sine, cosine = sine / size, cosine / size
    squared = time_s.square()
    normal_cosine = normal_x[:, None] * sine + normal_z[:, None] * cosine

    top = speed[sample, SURFACE_ROW, MARGIN:-MARGIN] if MARGIN else speed[sample, SURFACE_ROW]
    emergence = (
        0.5 * torch.gradient(squared, spacing=CELL_M, dim=1)[0] / time_s * top
    )  # sine of the angle at the surface
    # 1 in a homogeneous medium, above 1 where rays converge.
    focus = -torch.gradient(time_s * sine, spacing=CELL_M, dim=1)[0] / v_above[:, None]
    focus = (focus * (offset_m.square() + depth_m.square()) / squared).clamp(-1.0, 3.0)
    features = (
        sine,
        cosine,
        normal_cosine,
        normal_cosine.abs(),
        normal_x[:, None].expand_as(sine),
        normal_z[:, None].expand_as(sine),
        5.0 * time_s - 1.0,
        (depth_m / 350.0 - 1.0).expand_as(sine),
        (v_above / 1500.0 - 2.0)[:, None].expand_as(sine),
        (v_below / 1500.0 - 2.0)[:, None].expand_as(sine),
        top / 1500.0 - 2.0,
        focus - 1.0,
        emergence.clamp(-1.0, 1.0),
        clear,
        (4.0 * shortcut).clamp(-1.0, 2.0),
    )
    weight = share * _let_through(speed, sample, column, interface) * _fading(column, n_columns)
    leg_features = torch.stack(features, dim=-1)
    where = (sample, column, depth, normal_x, normal_z)
    return Legs(*where, weight, v_above, v_below, time_s, sine, cosine, normal_cosine, leg_features)


def _nodes(speed: Tensor) -> tuple[Tensor, Tensor]:
    """Columns at which times are known, and which of them are sources: those around the map."""
    nodes = torch.arange((MARGIN + 1) % NODE_STEP, speed.shape[2], NODE_STEP, device=speed.device)
    return nodes, nodes[(nodes >= MARGIN - NODE_STEP) & (nodes <= speed.shape[2] - 1 - MARGIN + NODE_STEP)]


def _downward(medium: Medium, least_reflection: float) -> _Points:
    """Points in every third column at which the speed changes downwards."""
    nodes, _ = _nodes(medium.speed)
    columns = medium.speed[:, SURFACE_ROW:, nodes].transpose(1, 2)
    (sample, node, row), shift, v_above, v_below = _changes(columns, least_reflection)
    column, above = nodes[node], row + SURFACE_ROW
    normal_x, normal_z = _normal(medium, sample, above, column, above + 1, column)
    # `row` is the interface below that row.
    return _Points(sample, column.float(), row + shift, v_above, v_below, normal_x, normal_z, normal_z.abs())


def _sideward(medium: Medium, least_reflection: float) -> _Points:
    """Points in every third row at which the speed changes to the right."""
    rows = torch.arange(1, medium.speed.shape[1] - SURFACE_ROW - 1, NODE_STEP, device=medium.speed.device)
    (sample, which, column), shift, left, right = _changes(medium.speed[:, SURFACE_ROW + rows], least_reflection)
    row = rows[which] + SURFACE_ROW
    normal_x, normal_z = _normal(medium, sample, row, column, row, column + 1)
    from_left = normal_x > 0
    v_above, v_below = torch.where(from_left, left, right), torch.where(from_left, right, left)
    position, interface = column + 0.5 + shift, rows[which] - 0.5
    return _Points(sample, position, interface, v_above, v_below, normal_x, normal_z, normal_x.abs())


def _changes(lines: Tensor, least: float) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor, Tensor]:
    """Changes of speed along lines `(map, line, cell)`; a gradual one over two or three steps is one change.

    Returns:
        Where: map, line and the cell before the largest step; from there to the change's middle, in cells; speed before
        and after the change.
    """
    before, after = lines[..., :-1], lines[..., 1:]
    step = nn.functional.pad((after - before) / (after + before), (1, 1))
    size = step.abs()
    # Along the last dimension: [..., 1:-1] are the steps, with one of size 0 before and after them.
    peak = nn.functional.pad(
        (size[..., 1:-1] > least) & (size[..., 1:-1] >= size[..., :-2]) & (size[..., 1:-1] > size[..., 2:]), (1, 1)
    )
    joins_before = peak[..., :-1] & ~peak[..., 1:] & (step[..., :-1] * step[..., 1:] > 0)  # step k + 1 to peak k
    joins_after = peak[..., 1:] & ~peak[..., :-1] & (step[..., :-1] * step[..., 1:] > 0)  # step k to peak k + 1
    # A step between two peaks joins the larger.
    nearer = size[..., :-2] >= size[..., 2:]
    takes_next = joins_before[..., 1:].clone()
    takes_next[..., :-1] &= ~joins_after[..., 2:] | nearer[..., 1:]
    takes_last = joins_after[..., :-1].clone()
    takes_last[..., 1:] &= ~joins_before[..., :-2] | ~nearer[..., :-1]
    taken = nn.functional.pad(takes_next, (1, 0))[..., :-1] | nn.functional.pad(takes_last, (0, 1))[..., 1:]
    sample, line, cell = ((size[..., 1:-1] > least) & ~taken).nonzero(as_tuple=True)

    last, after_it = takes_last[sample, line, cell].long(), takes_next[sample, line, cell].long()
    sizes = [size[sample, line, cell + k] for k in range(3)]
    shift = (after_it * sizes[2] - last * sizes[0]) / (sizes[1] + after_it * sizes[2] + last * sizes[0])
    return (sample, line, cell), shift, lines[sample, line, cell - last], lines[sample, line, cell + 1 + after_it]


def _normal(medium: Medium, sample: Tensor, *cells: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normal of an interface between two cells (row, column, row, column), pointing down."""
    row, column, other_row, other_column = cells
    x = medium.slope_x[sample, row, column] + medium.slope_x[sample, other_row, other_column]
    z = medium.slope_z[sample, row, column] + medium.slope_z[sample, other_row, other_column]
    length = torch.hypot(x, z).clamp(min=1e-6) * torch.where(z < 0, -1.0, 1.0)
    return x / length, z / length


def _smoothed_slopes(speed: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the speed, smoothed by a Gaussian, to the right and downwards, a cell."""
    reach = math.ceil(2.5 * SMOOTHING_CELLS)
    x = torch.arange(-reach, reach + 1, device=speed.device, dtype=speed.dtype)
    bell = torch.exp(-0.5 * (x / SMOOTHING_CELLS).square())
    slope = x * bell / (x.square() * bell).sum()
    bell = bell / bell.sum()
    padded = nn.functional.pad(speed[:, None], (reach,) * 4, mode="replicate")

    def filtered(down: Tensor, right: Tensor) -> Tensor:
        columns = nn.functional.conv2d(padded, down[None, None, :, None])
        return nn.functional.conv2d(columns, right[None, None, None])[:, 0]

    return filtered(bell, slope), filtered(slope, bell)


def _let_through(speed: Tensor, sample: Tensor, column: Tensor, interface: Tensor) -> Tensor:
    """What the interfaces straight above a point let through, down and up again, at normal incidence."""
    above, below = speed[:, SURFACE_ROW:-1], speed[:, SURFACE_ROW + 1 :]
    passed = 1.0 - ((below - above) / (below + above)).square()
    passed = nn.functional.pad(passed, (0, 0, 1, 0), value=1.0).cumprod(dim=1)  # [:, i]: above interface i
    last = passed.shape[1] - 1
    return passed[sample, interface.ceil().long().clamp(0, last), column.floor().long().clamp(max=speed.shape[2] - 1)]


def _fading(column: Tensor, n_columns: int) -> Tensor:
    beyond = (MARGIN - column).clamp(min=0.0) + (column - MARGIN - n_columns + 1).clamp(min=0.0)
    return torch.cos((0.5 * math.pi * beyond / (MARGIN + 1)).clamp(max=0.5 * math.pi)).square()


def _cubic_between(squared_times: Tensor, sample: Tensor, column: Tensor, interface: Tensor, nodes: Tensor) -> Tensor:
    """Squared times at points, cubic from node to node and linear from interface to interface, `(point, source)`."""
    high, share_low = _interfaces_around(squared_times, interface)
    at = ((column - nodes[0]) / NODE_STEP).clamp(1.0, len(nodes) - 2.0)
    first = at.floor().long().clamp(max=len(nodes) - 3)
    weights = _cubic(at - first)
    rows = []
    for row in (high, high + 1):
        parts = [squared_times[sample, row, first + k - 1] * weights[:, k, None] for k in range(4)]
        rows.append(torch.stack(parts).sum(dim=0))
    return torch.lerp(rows[0], rows[1], share_low)


def _linear_between(squared_times: Tensor, sample: Tensor, column: Tensor, interface: Tensor, nodes: Tensor) -> Tensor:
    """The same, linear from node to node: for places at some of which the times have a kink."""
    high, share_low = _interfaces_around(squared_times, interface)
    at = ((column - nodes[0]) / NODE_STEP).clamp(0.0, len(nodes) - 1.0)
    first = at.floor().long().clamp(max=len(nodes) - 2)
    share = (at - first)[:, None]
    rows = [
        torch.lerp(squared_times[sample, row, first], squared_times[sample, row, first + 1], share)
        for row in (high, high + 1)
    ]
    return torch.lerp(rows[0], rows[1], share_low)


def _interfaces_around(squared_times: Tensor, interface: Tensor) -> tuple[Tensor, Tensor]:
    high = interface.clamp(min=0.0).floor().long().clamp(max=squared_times.shape[1] - 2)
    return high, (interface - high).clamp(0.0, 1.0)[:, None]


def _cubic(at: Tensor) -> Tensor:
    """Lagrange's weights of the nodes -1, 0, 1 and 2 for a value at a place, `(place, 4)`."""
    x = at[:, None]
    value = (
        -x * (x - 1) * (x - 2) / 6,
        (x + 1) * (x - 1) * (x - 2) / 2,
        -(x + 1) * x * (x - 2) / 2,
        (x + 1) * x * (x - 1) / 6,
    )
    return torch.cat(value, dim=1)


def _interpolation(nodes: Tensor, columns: Tensor) -> Tensor:
    """Matrix from values at nodes to values at columns, `(column, node)`."""
    at = (columns - nodes[0]) / NODE_STEP
    first = at.floor().long().clamp(1, len(nodes) - 3)
    weights = _cubic(at - first)
    matrix = weights.new_zeros(len(columns), len(nodes))
    return matrix.scatter_add(1, first[:, None] + torch.arange(-1, 3, device=nodes.device), weights)
