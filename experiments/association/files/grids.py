"""Speeds and travel times on grids of nodes, as `.npy` files, and what of them must fit together.

Axes are x, y, z (z down), after the station in a table of times. An estimated speed is written with a file beside it,
`<name>.json`, that holds its spacing and origin; where such a file is there they need not be given again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DataError

FACE_TOLERANCE = 0.01  # of a spacing
_METRES_A_SECOND = 100.0


@dataclass(frozen=True)
class Grid:
    """Where nodes are.

    Args:
        shape: Nodes along x, y, z.
        spacing_km: Between nodes, the same along all axes.
        origin_km: Of the first node.
    """

    shape: tuple[int, int, int]
    spacing_km: float
    origin_km: tuple[float, float, float]

    @property
    def bounds_km(self) -> np.ndarray:
        """`(2, 3)`, first and last node."""
        origin = np.asarray(self.origin_km, float)
        return np.stack([origin, origin + (np.asarray(self.shape) - 1) * self.spacing_km])

    def moved_to_faces(self, positions_km: np.ndarray, names: Sequence[str], mend: str) -> np.ndarray:
        """Positions with those that are outside by at most 1 % of a spacing moved to the face.

        Args:
            positions_km: `(point, 3)`.
            names: What each point is, for the message.
            mend: What to do about one outside.

        Raises:
            DataError: When a point is farther outside.
        """
        low, high = self.bounds_km
        outside = np.maximum(low - positions_km, positions_km - high)
        if (outside > FACE_TOLERANCE * self.spacing_km).any():
            point, axis = (int(i) for i in np.argwhere(outside > FACE_TOLERANCE * self.spacing_km)[0])
            raise DataError(
                f"{names[point]}: {'xyz'[axis]} is {positions_km[point, axis]:.6g} km, outside the grid, which runs "
                f"from {low[axis]:.6g} to {high[axis]:.6g} km; {mend}."
            )
        return np.asarray(np.clip(positions_km, low, high))


def read_grid(path: Path, option: str) -> np.ndarray:
    """A wave speed on nodes, `(nx, ny, nz)` float64, km/s.

    Args:
        path: A `.npy` file.
        option: The option that named it, for messages.

    Raises:
        DataError: When it is no such array.
    """
    speeds = _array(path, option, 3, "a wave speed with axes x, y, z")
    if (bad := ~(speeds > 0)).any():
        raise DataError(
            f"{path}: the speed at node {_node(bad)} is {speeds[bad][0]:g}; speeds above 0 km/s are wanted."
        )
    if speeds.max() > _METRES_A_SECOND:
        raise DataError(
            f"{path}: speeds reach {speeds.max():,.6g}, which looks like m/s; divide by 1000, km/s are wanted."
        )
    return np.asarray(speeds, np.float64)


def read_times_table(path: Path, option: str, n_stations: int) -> np.ndarray:
    """Travel times on nodes, `(station, nx, ny, nz)`, seconds; left in the file as a memory map.

    Args:
        path: A `.npy` file.
        option: The option that named it, for messages.
        n_stations: Stations in the file of stations.

    Raises:
        DataError: When it is no such array.
    """
    times = _array(path, option, 4, "travel times with axes station, x, y, z")
    if len(times) != n_stations:
        raise DataError(
            f"{path}: there are travel times of {len(times)} stations, and the file of stations has {n_stations}; "
            "they must be the same, in the same order."
        )
    for station, table in enumerate(times):
        if (bad := table < 0).any():
            raise DataError(
                f"{path}: the travel time of station {station} to node {_node(bad)} is {table[bad][0]:g} s; "
                "times of at least 0 are wanted."
            )
    return times


def grid_of(path: Path, shape: Sequence[int], spacing_km: float | None, origin_km: Sequence[float] | None) -> Grid:
    """The grid of an array: as options say, or as the file beside it says.

    Raises:
        DataError: When the spacing is not known, or the file beside it contradicts the options or the array.
    """
    beside = path.with_suffix(".json")
    known = _beside(beside) if beside.exists() else {}
    if known and tuple(known["shape"]) != tuple(shape):
        raise DataError(
            f"{beside}: this describes {known['shape']} nodes, and {path.name} has {list(shape)}; "
            "delete the file that is wrong."
        )
    if spacing_km is None and not known:
        raise DataError(f"{path}: how far apart its nodes are is not known; give --spacing_km.")
    x, y, z = origin_km if origin_km is not None else known.get("origin_km", (0.0, 0.0, 0.0))
    spacing = float(known["spacing_km"]) if spacing_km is None else spacing_km
    n_x, n_y, n_z = (int(n) for n in shape)
    return Grid((n_x, n_y, n_z), spacing, (float(x), float(y), float(z)))


def description(grid: Grid) -> dict[str, Any]:
    """What `grid_of` finds beside an array."""
    return {
        "axes": ["x", "y", "z"],
        "z": "down",
        "unit": "km/s",
        "shape": list(grid.shape),
        "spacing_km": grid.spacing_km,
        "origin_km": list(grid.origin_km),
    }


def _beside(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        shape, spacing, origin = known["shape"], float(known["spacing_km"]), [float(x) for x in known["origin_km"]]
        if len(origin) != 3 or len(shape) != 3 or not spacing > 0:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{path}: this is not the description of a grid (shape, spacing_km, origin_km); mend or move it, "
            "and give --spacing_km and --origin_km."
        ) from None
    return {"shape": shape, "spacing_km": spacing, "origin_km": origin}


def _array(path: Path, option: str, n_axes: int, what: str) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check {option}.") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: this is not a .npy file of numbers ({error}); save it with numpy.save.") from None
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise DataError(f"{path}: this is no array of numbers; {option} wants {what}, saved with numpy.save.")
    if array.ndim != n_axes or min(array.shape[n_axes - 3 :]) < 2:
        raise DataError(f"{path}: its shape is {array.shape}; {option} wants {what}, two nodes or more along each.")
    for number, part in enumerate(array):  # part by part: a table may be larger than memory
        if not np.isfinite(part).all():
            where = (number, *(int(i) for i in np.argwhere(~np.isfinite(part))[0]))
            raise DataError(f"{path}: the value at {where} is not a finite number; mend it.")
    return np.asarray(array)


def _node(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(bad)[0])
