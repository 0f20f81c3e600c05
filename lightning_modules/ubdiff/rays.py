"""From a velocity map to its reflecting points, and to the legs that join each with the 70 columns of the surface.

Everything here is geometry and kinematics: no weights, no gradient.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.geometry import CELL_M, SURFACE_ROW, VELOCITY_CENTRE_M_S, VELOCITY_HALF_RANGE_M_S

SEGMENTS = 6
"""Pieces of a straight ray; within one, the medium is that of the piece's middle column."""
N_LEG_FEATURES = 13
SLOWEST_M_S, FASTEST_M_S = 500.0, 8000.0
MARGIN = 27
"""Columns beyond either side of the map that reflect too. The medium goes on there as it is at the side, and a sum that
ended with the map would add the diffraction of an edge that is not there; it is let fade out instead."""
DIP_REACH = 3
"""Columns to either side over which the dip of an interface is measured."""


class Legs(NamedTuple):
    """Legs between reflecting points and surface columns.

    Attributes:
        sample: Which map of the batch a point belongs to, int64 `(point,)`.
        reflection: (v_below - v_above) / (v_below + v_above), `(point,)`; beyond the map's sides it fades out.
        time_s: Travel time of a leg, `(point, column)`.
        features: What a response may depend on, about -1 to 1, `(point, column, N_LEG_FEATURES)`.
    """

    sample: Tensor
    reflection: Tensor
    time_s: Tensor
    features: Tensor


def legs_of(velocity: Tensor, least_reflection: float, column_step: int = 1) -> Legs:
    """Find the points at which velocity changes downwards, and the rays from them to the surface.

    Args:
        velocity: Normalised maps `(batch, 1, 70, 70)`.
        least_reflection: Points whose reflection coefficient is not above it in size are left out.
        column_step: Take the points of every so-many-th column.
    """
    inside = (VELOCITY_CENTRE_M_S + VELOCITY_HALF_RANGE_M_S * velocity[:, 0]).clamp(SLOWEST_M_S, FASTEST_M_S)
    speed = nn.functional.pad(inside, (MARGIN, MARGIN), mode="replicate")
    above, below = speed[:, SURFACE_ROW:-1], speed[:, SURFACE_ROW + 1 :]
    coefficient = (below - above) / (below + above)
    first = (MARGIN + column_step // 2) % column_step  # inside the map the same columns as without a margin
    sample, row, column = (coefficient[:, :, first::column_step].abs() > least_reflection).nonzero(as_tuple=True)
    column = first + column_step * column
    beyond = (MARGIN - column).clamp(min=0) + (column - MARGIN - inside.shape[2] + 1).clamp(min=0)
    fading = torch.cos(0.5 * math.pi * beyond / (MARGIN + 1)).square()
    reflection = coefficient[sample, row, column]
    row = row + SURFACE_ROW  # the last row above the interface
    depth_m = CELL_M * (row + 0.5 - SURFACE_ROW)
    surface = MARGIN + torch.arange(inside.shape[2], device=speed.device)
    time, quadratic, quartic = _integrals(speed, sample, row, column, surface).unbind(dim=-1)

    # A layered medium's travel time to fourth order in the offset (shifted hyperbola).
    offset_m = CELL_M * (column[:, None] - surface).float()
    mean_square = quadratic / time
    spread = quartic / time / mean_square.square()  # 1 in a homogeneous medium, above 1 otherwise
    root = ((time / spread).square() + offset_m.square() / (spread * mean_square)).sqrt()
    time_s = time * (1.0 - 1.0 / spread) + root
    ray_parameter = offset_m / (spread * mean_square * root)  # d time / d offset, s/m

    v_above, v_below = speed[sample, row, column][:, None], speed[sample, row + 1, column][:, None]
    sine, sine_below = ray_parameter * v_above, (ray_parameter * v_below).abs()
    dip = (_dip(speed, sample, row, column) * reflection.sign())[:, None].expand_as(sine)
    straight = offset_m / (offset_m.square() + depth_m[:, None].square()).sqrt()
    features = (
        sine,
        2.0 * sine.abs() - 1.0,
        2.0 * sine_below - 1.0,
        2.0 * (sine_below - 1.0).clamp(min=0.0),  # beyond the critical angle
        straight * dip,
        dip,
        dip.square(),
        5.0 * time_s - 1.0,
        (depth_m / 350.0 - 1.0)[:, None].expand_as(sine),
        (v_above / 1500.0 - 2.0).expand_as(sine),
        (v_below / 1500.0 - 2.0).expand_as(sine),
        inside[sample, SURFACE_ROW] / 1500.0 - 2.0,
        spread - 1.3,
    )
    return Legs(sample, reflection * fading, time_s, torch.stack(features, dim=-1))


def _integrals(speed: Tensor, sample: Tensor, row: Tensor, column: Tensor, surface: Tensor) -> Tensor:
    """Integrals of 1/v, v and v^3 over depth along each leg, from the surface's row, `(point, column, 3)`.

    Each piece of a ray adds what its own range of depths adds in the column of its middle, which is exact in a layered
    medium.
    """
    rows = speed[:, SURFACE_ROW:-1]
    step_m = torch.full((rows.shape[1], 1), CELL_M, device=speed.device)
    step_m[0] *= 0.5  # sources and receivers stand in the middle of their row
    densities = torch.stack((1.0 / rows, rows, rows**3), dim=-1) * step_m[..., None]
    # (map, interface, column, 3): from the surface down to below row SURFACE_ROW + interface - 1; first the surface.
    table = torch.cat((torch.zeros_like(densities[:, :1]), densities.cumsum(dim=1)), dim=1)
    n_interfaces, n_columns = table.shape[1:3]
    flat = table.flatten(0, 2)
    deep = row - SURFACE_ROW + 1
    total = flat.new_zeros(len(sample), len(surface), flat.shape[1])
    for piece in range(SEGMENTS):
        top, bottom = deep * piece // SEGMENTS, deep * (piece + 1) // SEGMENTS
        middle = (surface + (column[:, None] - surface) * ((piece + 0.5) / SEGMENTS)).round().long()
        start = (sample * n_interfaces * n_columns)[:, None] + middle
        total += flat[start + (bottom * n_columns)[:, None]] - flat[start + (top * n_columns)[:, None]]
    return total


def _dip(speed: Tensor, sample: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Slope of the interface at each point, `(point,)`: horizontal over vertical change of velocity around it."""
    last = speed.shape[1] - 1
    left, right = (column - DIP_REACH).clamp(min=0), (column + DIP_REACH).clamp(max=speed.shape[2] - 1)
    around = range(-DIP_REACH, DIP_REACH + 2)
    rows = [(row + shift).clamp(SURFACE_ROW, last) for shift in around]
    change = sum(speed[sample, each, right] - speed[sample, each, left] for each in rows) / (right - left)
    contrast = (speed[sample, rows[-1], column] - speed[sample, rows[0], column]).abs().clamp(min=50.0)
    return (change / contrast).clamp(-2.0, 2.0)
