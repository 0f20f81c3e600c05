"""A small copy of OpenFWI's own file tree, with the real names, shapes and ranges but fewer samples a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datamodules.openfwi_families import FAMILIES

if TYPE_CHECKING:
    from datamodules.openfwi import OpenFWIDataModule


def fake_maps(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Layered maps `(n, 70, 70)`; the velocity of the top left cell tells the map from all others."""
    rng = np.random.default_rng([n, seed])
    maps = np.sort(rng.uniform(1500, 4500, (n, 70, 1)), axis=1).repeat(70, axis=2).astype(np.float32)
    maps[:, 0, 0] = 1500 + np.arange(n) / 16 + seed
    return maps


def fake_simulate(
    velocity_m_s: npt.NDArray[np.float32], *, workers: int = 1, progress: bool = False
) -> npt.NDArray[np.float32]:
    """Stands for the exact operator: a smooth function of each map alone, in raw units, -10..30."""
    time = np.linspace(0, 1, 1000, dtype=np.float32)[None, None, :, None]
    shot = np.arange(5, dtype=np.float32)[None, :, None, None]
    receiver = velocity_m_s.mean(axis=1)[:, None, None, :] / 200
    gathers = receiver * (1 - time) + shot - 10
    gathers[:, 0, 0, 0] = velocity_m_s[:, 0, 0] / 200  # tells the gather's map
    return gathers.astype(np.float32)


def write_family(
    root: Path, name: str, n_files: int, per_file: int = 5, seismic: bool | list[int] = False, folder: str | None = None
) -> Path:
    """Write the first files of a family below `root` and return the family's folder.

    Args:
        root: becomes `data_root`.
        name: family.
        n_files: number of map files.
        per_file: samples a file.
        seismic: whether to write gathers too, or which files (from 0) get them.
        folder: name of the family's folder, if another.
    """
    base = root / (folder or name)
    with_gathers = range(n_files) if seismic is True else seismic or []
    for k, (map_name, seismic_name) in enumerate(FAMILIES[name].files[:n_files]):
        maps = fake_maps(per_file, seed=k)
        (base / map_name).parent.mkdir(parents=True, exist_ok=True)
        np.save(base / map_name, maps[:, None])
        if k in with_gathers:
            (base / seismic_name).parent.mkdir(parents=True, exist_ok=True)
            np.save(base / seismic_name, fake_simulate(maps))
    return base


def make_data_module(tmp_path: Path, **options: Any) -> "OpenFWIDataModule":
    """A data module for 10 files of 5 maps below tmp_path/data: 37 training, 3 validation and 10 held-out maps."""
    from datamodules.openfwi import OpenFWIDataModule  # seconds, which a killed subprocess need not wait for

    settings: dict[str, Any] = {
        "data_root": str(tmp_path / "data"), "cache_root": str(tmp_path / "cache"), "n_pairs": 12,
        "n_validation_maps": 3, "n_validation_pairs": 2, "n_test_pairs": 4, "batch_size": 4, "time_stride": 4,
    }  # fmt: skip
    return OpenFWIDataModule(**{**settings, **options})
