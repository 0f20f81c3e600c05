"""A 1-D model: `depth_km, vp_km_s[, vs_km_s]`; rows are nodes, linear in between, two at one depth make a step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.table import read_table, want_columns

_METRES_A_SECOND = 100.0


@dataclass(frozen=True)
class VelocityModel:
    """Speeds over depth.

    Args:
        depths_km: `(node,)`, not descending, below sea level.
        p_speeds_km_s: `(node,)`.
        s_speeds_km_s: `(node,)`; None where the file has none.
    """

    depths_km: np.ndarray
    p_speeds_km_s: np.ndarray
    s_speeds_km_s: np.ndarray | None


def read_velocity_model(path: Path, columns: Mapping[str, str] | None = None) -> VelocityModel:
    """Read a 1-D model.

    Args:
        path: The file; further columns are ignored.
        columns: Our name -> the file's name, for columns that are called otherwise there.

    Raises:
        DataError: When something in the file is wrong.
    """
    table = read_table(path, columns)
    want_columns(table, (("depth_km", "vp_km_s"),), "--velocity_columns", "vs_km_s", "a 1-D model")
    if not table.rows:
        raise DataError(f"{path}: there are no nodes below the first line; at least one is wanted.")
    depths = table.numbers("depth_km")
    down = np.flatnonzero(np.diff(depths) < 0)
    if len(down):
        raise DataError(
            f"{table.where(int(down[0]) + 1)}: depth_km {depths[down[0] + 1]:g} lies above the row before "
            f"({depths[down[0]]:g}); sort the nodes by depth."
        )
    speeds: dict[str, np.ndarray | None] = {"vs_km_s": None}
    for name in ("vp_km_s", "vs_km_s"):
        if name not in table.header:
            continue
        values = table.numbers(name)
        for row in np.flatnonzero((values <= 0) | (values > _METRES_A_SECOND)).tolist():
            wanted = "km/s are wanted, and this looks like m/s" if values[row] > 0 else "a speed above 0 is wanted"
            raise DataError(f"{table.where(row)}: {name} is {values[row]:g}; {wanted}: mend it.")
        speeds[name] = values
    p_speeds, s_speeds = speeds["vp_km_s"], speeds["vs_km_s"]
    assert p_speeds is not None
    if s_speeds is not None and (s_speeds >= p_speeds).any():
        row = int(np.flatnonzero(s_speeds >= p_speeds)[0])
        raise DataError(
            f"{table.where(row)}: S is not slower than P ({s_speeds[row]:g} and {p_speeds[row]:g} km/s); mend the row."
        )
    return VelocityModel(depths, p_speeds, s_speeds)
