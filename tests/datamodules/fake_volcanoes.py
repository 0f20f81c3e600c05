"""Small folders of events in the formats that are read."""

from pathlib import Path

import h5py
import numpy as np
import yaml


def events(n: int, label: int, *, seed: int = 0, n_samples: int = 1500, rate_hz: float = 100.0) -> np.ndarray:
    """`(n, n_samples)` float32: low (LP) or high (VT) noisy bursts."""
    rng = np.random.default_rng([seed, label])
    time_s = np.arange(n_samples) / rate_hz
    burst = np.sin(2 * np.pi * (1.5 + 5 * label) * time_s) * np.exp(-np.abs(time_s - 4) / (3 - 2 * label))
    return (burst + 0.05 * rng.standard_normal((n, n_samples))).astype(np.float32)


def write_hdf5(path: Path, table: np.ndarray, name: str = "data", **attributes: object) -> Path:
    """One data set, as Llaima's files have it: `(event, sample, 1)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(name, data=table[..., None])
        dataset.attrs.update(attributes)
    return path


def write_volcano(folder: Path, n_lp: int = 12, n_vt: int = 6, *, seed: int = 0, rate_hz: float = 100.0) -> Path:
    """A folder with lp.hdf5, vt.hdf5 and volcano.yaml."""
    write_hdf5(folder / "lp.hdf5", events(n_lp, 0, seed=seed, rate_hz=rate_hz))
    write_hdf5(folder / "vt.hdf5", events(n_vt, 1, seed=seed, rate_hz=rate_hz))
    (folder / "volcano.yaml").write_text(yaml.safe_dump({"sampling_rate_hz": rate_hz}))
    return folder
