"""Waves that are reflected more than once before they come up: from flank to flank of a valley.

A Kirchhoff sum over points knows one reflection. In a valley whose flanks stand at some 45 degrees, a wave that one
flank throws across hits the other, often beyond the critical angle at both, and comes up as the strongest arrival of
all. Here each piece of an interface is taken as a mirror: from each source its wave is followed, as a ray with its tube
(dynamic ray tracing: Cerveny 2001, Seismic Ray Theory, Chapter 4), to where it is reflected next, there again, and so
on. What is thrown on to the surface from there is the last reflection, which the sum over points can do again.

Rays run straight in the layer they are in, through changes of speed too small to turn them. No weights, no gradient;
compiled, on the CPU.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_modules.ubdiff.geometry import CELL_M, SHOT_COLUMNS, SURFACE_ROW
from lightning_modules.ubdiff.one_way_times import NODE_STEP
from lightning_modules.ubdiff.rays import Legs, Medium

N_BOUNCE_FEATURES = 6
RAYS_A_PIECE = 3
"""A piece is three cells long, and where rays part its one ray would stand for too much."""
SAME_LAYER = 0.1
"""Relative change of speed through which a ray runs on."""
WIDEST = 5.0
"""Times that a tube may have widened: a few rays far apart would not add up to a wave."""
LEAST_COSINE = 0.05
LEAST_REFLECTION = 0.04
"""Size of the reflection coefficient at normal incidence of a piece that throws waves far enough to be followed."""
_STEP = 0.5  # cells
_NEAR = 3.0  # cells from a reflecting point, within which a ray hits its interface
_BEND = 3.0  # cells to either side, between which the turn of the normal is taken

_LEAST_WEIGHT = 1e-3
_COLUMNS = 16

Array = npt.NDArray[np.float64]
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
_compiled = numba.njit(**_OPTIONS)


class Bounces(NamedTuple):
    """Waves of the sources at their second or a later reflection.

    Attributes:
        first: Reflecting point at which a wave was reflected first, int64 `(wave,)`.
        shot: Of which source it is, int64 `(wave,)`.
        last: Reflecting point near which it is reflected now, int64 `(wave,)`.
        time_s: From the first reflection until now, less what it was ahead of its leg there, `(wave,)`.
        weight: Of the first point's piece, times the root of how much the tube has widened, times what the piece has
            grown to, `(wave,)`.
        real: Real part of the product of the reflection coefficients before the last reflection; turned by a quarter
            of a period for each caustic, `(wave,)`.
        imaginary: Imaginary part of the same.
        at_normal_incidence: The product of the coefficients at normal incidence, `(wave,)`.
        sine: Of the angle with the vertical at which the wave arrives, positive to the right, `(wave,)`.
        cosine: Of the same, positive downwards.
        normal_cosine: Cosine of its angle with the normal there.
        beside_x_m: How far to the right of the last point it is reflected, m, `(wave,)`.
        beside_z_m: How far below it.
        features: What a response may depend on, about -1 to 1, `(wave, N_BOUNCE_FEATURES)`.
    """

    first: Tensor
    shot: Tensor
    last: Tensor
    time_s: Tensor
    weight: Tensor
    real: Tensor
    imaginary: Tensor
    at_normal_incidence: Tensor
    sine: Tensor
    cosine: Tensor
    normal_cosine: Tensor
    beside_x_m: Tensor
    beside_z_m: Tensor
    features: Tensor


@torch.no_grad()
def bounces_of(medium: Medium, legs: Legs, most: int) -> Bounces:
    """Follow the waves that go on from the reflecting points.

    Args:
        medium: Of the maps.
        legs: Of their points.
        most: Reflections of a wave before its last, at most.
    """
    device, dtype = medium.speed.device, medium.speed.dtype
    shots = torch.tensor(SHOT_COLUMNS, device=device)
    of_points = (legs.column, legs.depth, legs.normal_x, legs.normal_z, legs.v_above, legs.v_below, legs.weight)
    of_legs = (legs.sine[:, shots], legs.cosine[:, shots], legs.time_s[:, shots])
    points, ways = _numbers(torch.stack(of_points, dim=1)), _numbers(torch.stack(of_legs, dim=2))
    speed = _numbers(medium.speed[:, SURFACE_ROW:])
    slopes = _numbers(torch.stack((medium.slope_x, medium.slope_z), dim=1)[:, :, SURFACE_ROW:])
    sample = legs.sample.numpy(force=True)
    found = [np.zeros((0, _COLUMNS))]
    for one in range(len(speed)):
        its = np.flatnonzero(sample == one)
        room = np.empty((len(its) * len(SHOT_COLUMNS) * RAYS_A_PIECE * most, _COLUMNS))
        waves = room[: _follow(speed[one], slopes[one], points[its], ways[its], most, room)]
        waves[:, 0], waves[:, 2] = its[waves[:, 0].astype(np.int64)], its[waves[:, 2].astype(np.int64)]
        found.append(waves)
    values = torch.from_numpy(np.concatenate(found)).to(device)
    first, shot, last = values[:, :3].long().unbind(1)
    others = values[:, 3:].to(dtype)
    time_s, spread, *fields = others[:, :10].unbind(1)
    leaving, caustics, number = others[:, 10:].unbind(1)
    features = (spread.clamp(max=4.0) - 1.0, 5.0 * time_s - 1.0, leaving, fields[5], caustics - 0.5, number - 0.5)
    weight = legs.weight[first] * spread / RAYS_A_PIECE
    return Bounces._make((first, shot, last, time_s, weight, *fields, torch.stack(features, dim=1)))


def _numbers(values: Tensor) -> Array:
    return values.double().contiguous().numpy(force=True)


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _follow(speed: Array, slopes: Array, points: Array, ways: Array, most: int, waves: Array) -> int:
    """Fill in the waves of one map, and return how many there are.

    Args:
        speed: m/s, `(row, column)`, from the surface's row down.
        slopes: Smoothed derivatives of the speed, `(x or z, row, column)`.
        points: Column, depth in cells, normal, speeds above and below, and weight, `(point, 7)`.
        ways: Sine, cosine and time of the legs from the sources, `(point, shot, 3)`.
        most: Reflections before the last.
        waves: Room for them, `(wave, _COLUMNS)`: the first point, the shot, the last point, then as in `Bounces`.
    """
    n_waves = 0
    for point in range(len(points)):
        _, _, normal_x, normal_z, v, v_below, weight = points[point]
        if weight < _LEAST_WEIGHT or abs(v_below - v) < LEAST_REFLECTION * (v_below + v):
            continue
        piece = NODE_STEP / max(abs(normal_x), abs(normal_z))
        for shot in range(ways.shape[1]):
            sine, cosine, _ = ways[point, shot]
            if sine * normal_x + cosine * normal_z < LEAST_COSINE:
                continue
            for ray in range(RAYS_A_PIECE):
                along = ((ray + 0.5) / RAYS_A_PIECE - 0.5) * piece
                n_found = _follow_ray(speed, slopes, points, point, ways[point, shot], along, most, waves[n_waves:])
                waves[n_waves : n_waves + n_found, 1] = shot
                n_waves += n_found
    return n_waves


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _follow_ray(
    speed: Array, slopes: Array, points: Array, point: int, leg: Array, along: float, most: int, waves: Array
) -> int:
    """Follow one ray of a piece, so many cells along it from its middle; the rest as in `_follow`.

    With the ray goes its tube: how its place (`wide`) and direction (`turn`) change with where on the piece it began.
    """
    at_x, at_z, normal_x, normal_z, v, v_below, _ = points[point]
    sine, cosine, time = leg
    # As if it came straight from where a wave front so curved has its centre.
    radius = v * time / CELL_M
    x, z = at_x + along * normal_z, at_z - along * normal_x
    from_x, from_z = x - at_x + radius * sine, z - at_z + radius * cosine
    length = math.hypot(from_x, from_z)
    go_x, go_z = from_x / length, from_z / length
    wide_x, wide_z = normal_z, -normal_x
    across = wide_x * go_x + wide_z * go_z
    turn_x, turn_z = (wide_x - across * go_x) / length, (wide_z - across * go_z) / length
    width = wide_x * go_z - wide_z * go_x
    ahead, real, imaginary, at_normal, caustics, first_cosine = length - radius, 1.0, 0.0, 1.0, 0, 0.0
    for number in range(most):
        # The mirror, and how much it turns where the tube is one wide.
        face_x, face_z, bend_x, bend_z = _facing(slopes, x, z, normal_x, normal_z)
        inwards = go_x * face_x + go_z * face_z
        if inwards < LEAST_COSINE:
            return number
        first_cosine = first_cosine if number else inwards
        moved = wide_x * face_z - wide_z * face_x
        bend_x, bend_z = moved * bend_x, moved * bend_z
        turned = turn_x * face_x + turn_z * face_z + go_x * bend_x + go_z * bend_z
        turn_x -= 2.0 * (turned * face_x + inwards * bend_x)
        turn_z -= 2.0 * (turned * face_z + inwards * bend_z)
        go_x, go_z, width = go_x - 2.0 * inwards * face_x, go_z - 2.0 * inwards * face_z, -width
        here_real, here_imaginary = _reflection(inwards, v, v_below)
        before = real
        real = before * here_real - imaginary * here_imaginary
        imaginary = before * here_imaginary + imaginary * here_real
        at_normal *= (v_below - v) / (v_below + v)

        # On to where it hits: first by cells, then to the interface's tangent at the nearest point.
        away = face_x * go_x + face_z * go_z  # it starts a cell above the interface, negative cells from it
        hit, far, way = _run(speed, x - face_x, z - face_z, go_x, go_z, v)
        near = _nearest(points, x + (far - away) * go_x, z + (far - away) * go_z, v) if hit else -1
        if near < 0:
            return number
        near_x, near_z, normal_x, normal_z = points[near, :4]
        arriving = go_x * normal_x + go_z * normal_z
        if arriving < LEAST_COSINE:
            return number
        beyond = (near_x - x - (far - away) * go_x) * normal_x + (near_z - z - (far - away) * go_z) * normal_z
        more = min(max(beyond / arriving, -_NEAR), _NEAR) - away
        far, ahead = far + more, ahead + way * v + more
        x, z = x + far * go_x, z + far * go_z
        wide_x, wide_z = wide_x + far * turn_x, wide_z + far * turn_z
        width_before, width = width, wide_x * go_z - wide_z * go_x
        if abs(width) > WIDEST:
            return number
        caustics += width * width_before < 0.0
        slide = (wide_x * normal_x + wide_z * normal_z) / arriving
        wide_x, wide_z, v_below = wide_x - slide * go_x, wide_z - slide * go_z, points[near, 5]

        wave = waves[number]
        wave[0], wave[2] = point, near
        wave[3], wave[4] = ahead * CELL_M / v, math.sqrt(abs(width) * first_cosine) / arriving
        wave[5], wave[6] = _turned(real, imaginary, caustics)
        wave[7], wave[8], wave[9], wave[10] = at_normal, go_x, go_z, arriving
        wave[11], wave[12] = CELL_M * (x - near_x), CELL_M * (z - near_z)
        wave[13], wave[14], wave[15] = first_cosine, caustics, number
    return most


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _facing(slopes: Array, x: float, z: float, like_x: float, like_z: float) -> tuple[float, float, float, float]:
    """Unit normal at a place, on the side of the one given, and by how much it changes a cell along the interface."""
    here_x, here_z = _normal(slopes, x, z, like_x, like_z)
    step_x, step_z = _BEND * here_z, -_BEND * here_x
    ahead_x, ahead_z = _normal(slopes, x + step_x, z + step_z, here_x, here_z)
    behind_x, behind_z = _normal(slopes, x - step_x, z - step_z, here_x, here_z)
    return here_x, here_z, (ahead_x - behind_x) / (2.0 * _BEND), (ahead_z - behind_z) / (2.0 * _BEND)


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _normal(slopes: Array, x: float, z: float, like_x: float, like_z: float) -> tuple[float, float]:
    """Unit vector along the smoothed slope of the speed; the one given where there is none."""
    _, n_rows, n_columns = slopes.shape
    x, z = min(max(x, 0.0), n_columns - 1.001), min(max(z, 0.0), n_rows - 1.001)
    column, row = int(x), int(z)
    right, below = x - column, z - row
    above_left, above_right = (1.0 - below) * (1.0 - right), (1.0 - below) * right
    below_left, below_right = below * (1.0 - right), below * right
    cells = slopes[:, row : row + 2, column : column + 2]
    found_x = above_left * cells[0, 0, 0] + above_right * cells[0, 0, 1]
    found_x += below_left * cells[0, 1, 0] + below_right * cells[0, 1, 1]
    found_z = above_left * cells[1, 0, 0] + above_right * cells[1, 0, 1]
    found_z += below_left * cells[1, 1, 0] + below_right * cells[1, 1, 1]
    size = math.hypot(found_x, found_z)
    if size < 1e-6:
        return like_x, like_z
    if found_x * like_x + found_z * like_z < 0.0:
        size = -size
    return found_x / size, found_z / size


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _reflection(cosine: float, v: float, v_below: float) -> tuple[float, float]:
    """Reflection coefficient of a plane wave, as `reflection_coefficient`."""
    below_squared = 1.0 - (v_below / v) ** 2 * (1.0 - cosine**2)
    incident, refracted = v_below * cosine, v * math.sqrt(abs(below_squared))
    if below_squared >= 0.0:
        return (incident - refracted) / (incident + refracted), 0.0
    energy = incident**2 + refracted**2
    return (incident**2 - refracted**2) / energy, -2.0 * incident * refracted / energy


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _run(speed: Array, x: float, z: float, go_x: float, go_z: float, v: float) -> tuple[bool, float, float]:
    """Run until the speed is no longer the layer's.

    Returns:
        Whether that happens within the map; after how many cells; the time it took, in cells over m/s.
    """
    n_rows, n_columns = speed.shape
    far, way, inside = 0.0, 0.0, False
    while True:
        far += _STEP
        here_x, here_z = x + far * go_x, z + far * go_z
        column, row = int(here_x + 0.5), int(here_z + 0.5)
        if here_z < -0.5 or row >= n_rows or here_x < 0.0 or column >= n_columns:
            return False, far, way
        here = speed[row, column]
        if abs(here - v) <= SAME_LAYER * v:
            inside = True
        elif inside:
            return True, far - 0.5 * _STEP, way + 0.5 * _STEP / v
        elif far > _NEAR + 1.0:  # it never came away
            return False, far, way
        way += _STEP / here


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _nearest(points: Array, x: float, z: float, v: float) -> int:
    """The nearest point below the layer, -1 where none is near."""
    nearest, least = -1, _NEAR**2
    for point in range(len(points)):
        distance = (points[point, 0] - x) ** 2 + (points[point, 1] - z) ** 2
        if distance < least and abs(points[point, 4] - v) <= 2.0 * SAME_LAYER * v:
            nearest, least = point, distance
    return nearest


@_compiled  # type: ignore[untyped-decorator, unused-ignore]
def _turned(real: float, imaginary: float, caustics: int) -> tuple[float, float]:
    """Times -i for each caustic, in the convention of `reflection_coefficient`."""
    for _ in range(caustics % 4):
        real, imaginary = imaginary, -real
    return real, imaginary
