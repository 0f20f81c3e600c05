"""Synthetic velocity maps of the OpenFWI families FlatVel-A and CurveVel-A, for when no real file is there.

OpenFWI (Deng et al. 2022, NeurIPS Datasets and Benchmarks, arXiv 2111.02926) publishes maps and not their generator.
The rules below were recovered from 5,000 real maps of each family:

- A map has L interfaces, L uniform on 3..7, with mean spacing h = 70 / L, and L + 1 layers.
- The first interface lies at h (1 + U(-1/2, 1/2)); each further one lies h + U(-1, 1) below the one above.
- FlatVel-A draws one such number an interface. CurveVel-A draws one at each of eight knots and joins them by a
  quadratic spline: one parabola through the first three knots, then a new curvature from each knot to the next, the
  slope always continuous. Such a spline overshoots more with every knot: real curves swing more on the right.
- Velocities are whole numbers, uniform on 1500..4500 m/s, sorted to increase downwards. A layer pushed out of the grid
  is lost.

The other eight families follow rules that are not known; they need real files.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

MAP_SIZE = 70
FEWEST_INTERFACES, MOST_INTERFACES = 3, 7
LOWEST_VELOCITY_M_S, HIGHEST_VELOCITY_M_S = 1500, 4500
SPACING_JITTER_CELLS = 1.0
KNOT_COLUMNS = (0, 10, 20, 30, 40, 50, 60, 78)
FIRST_COLUMN = 0.1  # place of the map's first column on the axis of the knots; fitted, with the last knot, to real maps

FloatArray = npt.NDArray[np.float32]


def flat_velocity_maps(n: int, rng: np.random.Generator) -> FloatArray:
    """Draw flat-layered maps like FlatVel-A's.

    Args:
        n: Number of maps. The first maps do not depend on how many follow.
        rng: Source of randomness.

    Returns:
        Velocity maps `(n, 70, 70)` in m/s, rows downwards.

    Raises:
        ValueError: If `n` is negative.
    """
    return _layered_maps(n, rng, np.ones((MAP_SIZE, 1)))


def curve_velocity_maps(n: int, rng: np.random.Generator) -> FloatArray:
    """Draw curved-layer maps like CurveVel-A's.

    Args:
        n: Number of maps. The first maps do not depend on how many follow.
        rng: Source of randomness.

    Returns:
        Velocity maps `(n, 70, 70)` in m/s, rows downwards.

    Raises:
        ValueError: If `n` is negative.
    """
    return _layered_maps(n, rng, _spline_matrix())


SYNTHETIC_FAMILIES: Mapping[str, Callable[[int, np.random.Generator], FloatArray]] = MappingProxyType(
    {"FlatVel-A": flat_velocity_maps, "CurveVel-A": curve_velocity_maps}
)


def _layered_maps(n: int, rng: np.random.Generator, spline: npt.NDArray[np.float64]) -> FloatArray:
    """Draw maps whose interfaces are `spline @ knots`, with `spline` `(column, knot)`."""
    if n < 0:
        raise ValueError(f"n must be 0 or more, found {n}.")
    maps = np.empty((n, MAP_SIZE, MAP_SIZE), np.float32)
    rows = np.arange(MAP_SIZE)[:, None]
    for velocity in maps:
        n_interfaces = int(rng.integers(FEWEST_INTERFACES, MOST_INTERFACES, endpoint=True))
        spacing = MAP_SIZE / n_interfaces
        thickness = spacing + rng.uniform(-SPACING_JITTER_CELLS, SPACING_JITTER_CELLS, (n_interfaces, spline.shape[1]))
        thickness[0] = spacing * rng.uniform(0.5, 1.5, spline.shape[1])
        depths = np.rint(np.cumsum(thickness, axis=0) @ spline.T)
        layers = rng.integers(LOWEST_VELOCITY_M_S, HIGHEST_VELOCITY_M_S, n_interfaces + 1, endpoint=True)
        velocity[:] = np.sort(layers)[(rows >= depths[:, None, :]).sum(axis=0)]
    return maps


def _spline_matrix() -> npt.NDArray[np.float64]:
    """Matrix `(column, knot)` from the depths at the knots to those in the map's columns, by the quadratic spline."""

    def basis(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        bends = [np.maximum(x - knot, 0.0) ** 2 for knot in KNOT_COLUMNS[2:-1]]
        return np.stack([np.ones_like(x), x, x**2, *bends], axis=1)

    knots = np.array(KNOT_COLUMNS, np.float64)
    columns = np.arange(MAP_SIZE, dtype=np.float64) + FIRST_COLUMN
    return np.asarray(basis(columns) @ np.linalg.inv(basis(knots)), np.float64)
