"""The SEG/EAGE overthrust model, the paper's known wave speed (Sections 3.2 and 3.3), or a stand-in for it.

The model is SEG/EAGE's (Aminzadeh et al. 1996) and is read from a file. Where there is none, a synthetic wave speed of
the same kind is made: a layered sequence, folded, and shortened along two thrust faults, so that faster layers lie on
slower ones. It says so in its provenance, and is not the overthrust.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.errors import DataError
from datamodules.simulate.wave_speeds import (
    EXTENT_KM,
    FASTEST_KM_S,
    GRID_SIZE,
    SLOWEST_KM_S,
    FloatArray,
    node_positions_km,
)

FILE_NAME = "overthrust_32.npy"
STAND_IN = "synthetic thrust-like stand-in (the SEG/EAGE overthrust is not at hand)"


class WaveSpeedModel(NamedTuple):
    """A wave speed and where it comes from.

    Attributes:
        wave_speed_km_s: `(32, 32, 32)` km/s.
        provenance: In words.
    """

    wave_speed_km_s: FloatArray
    provenance: str


def overthrust(path: Path | None = None) -> WaveSpeedModel:
    """The overthrust model, min-max scaled to 5..25 km/s.

    Args:
        path: `.npy` file of `(32, 32, 32)` numbers, axis 2 depth, in any unit of speed; or a folder that holds
            `overthrust_32.npy` (or `wave_speed/overthrust_32.npy`). None: a stand-in.

    Returns:
        Wave speed and provenance.

    Raises:
        DataError: If the file is not there or does not hold such a model.
    """
    if path is None:
        return WaveSpeedModel(_stretched(_thrust_sheets()), STAND_IN)
    file = path
    if path.is_dir():
        found = [path / name for name in (FILE_NAME, f"wave_speed/{FILE_NAME}") if (path / name).is_file()]
        if not found:
            raise DataError(f"{path} holds no {FILE_NAME}: give its folder, the file, or nothing for a stand-in.")
        file = found[0]
    if not file.exists():
        raise DataError(f"{path}: no such file or folder; name that of {FILE_NAME}, or nothing for a stand-in.")
    try:
        model = np.load(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as a .npy file ({error}): give a model of 32 x 32 x 32.") from error
    if model.shape != (GRID_SIZE,) * 3 or not np.issubdtype(model.dtype, np.floating):
        raise DataError(f"{file} holds {model.dtype} of shape {model.shape}: wanted floats (32, 32, 32), axis 2 depth.")
    if not np.isfinite(model).all() or model.min() == model.max():
        raise DataError(f"{file} holds numbers that are not finite, or all the same: it is no wave speed.")
    scaled = f"min-max scaled to {SLOWEST_KM_S:g}-{FASTEST_KM_S:g} km/s"
    return WaveSpeedModel(_stretched(model), f"SEG/EAGE overthrust from {file.name}, {scaled}")


def _stretched(model: np.ndarray) -> FloatArray:
    low, high = float(model.min()), float(model.max())
    return (SLOWEST_KM_S + (model - low) * ((FASTEST_KM_S - SLOWEST_KM_S) / (high - low))).astype(np.float32)


def _thrust_sheets() -> np.ndarray:
    """A folded layer cake, moved up along two faults that dip towards +x and strike a little across y."""
    x, y, z = np.meshgrid(*(node_positions_km() / EXTENT_KM,) * 3, indexing="ij")
    depth = (
        z - 0.04 * np.sin(2 * np.pi * (1.3 * x + 0.35 * y)) * (1 - z) - 0.02 * np.cos(2 * np.pi * (0.8 * y - 0.4 * x))
    )
    for tip, slope, throw in ((0.2, 0.9, 0.2), (0.55, 1.1, 0.15)):
        fault = (x - tip - 0.15 * (y - 0.5)) * slope  # depth of the fault surface
        moved = throw * np.exp(-(((x - tip - 0.2) / 0.25) ** 2))  # the sheet climbs where it rides on the fault
        depth = np.where(z < fault, depth + moved * (1 - z) ** 0.5, depth)
    rng = np.random.default_rng(0)
    bounds = np.linspace(0.06, 0.94, 20)
    steps = rng.uniform(0.5, 1.0, len(bounds)) * np.where(np.arange(len(bounds)) % 3 == 1, -0.8, 1.0)
    layers = sum(step / (1 + np.exp(-(depth - bound) / 0.008)) for step, bound in zip(steps, bounds, strict=True))
    return np.asarray(layers + depth)
