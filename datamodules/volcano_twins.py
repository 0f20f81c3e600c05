"""Synthetic twins of Llaima and Deception Island in the files of the published data.

Llaima's files hold `(event, 6000, 1)` float32 in [1, 2], each record stretched to that range, with a constant tail
(doi 10.17632/dv8nwdd36k); Deception's the same at 50 Hz, in counts, with a tail of zeros. A `volcano.yaml` beside them
says that they are synthetic, so that whatever reads them says so too.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from tqdm import tqdm

from datamodules.errors import DataError
from datamodules.gather_cache import lock, writing
from datamodules.row_cache import content_hash, source_hash
from datamodules.simulate import volcano_events, volcano_parameters
from datamodules.simulate.volcano_events import LP, RECORD_S, VT, volcano_event
from datamodules.simulate.volcano_parameters import TWINS, VolcanoParameters
from datamodules.volcano_folder import SETTINGS_FILE

FILES = {"lp": LP, "vt": VT}
MIN_EVENTS = 6


def write_twins(
    folder: Path, seed: int = 0, progress: bool = True, names: Iterable[str] = tuple(TWINS), share: float = 1.0
) -> list[Path]:
    """Write the twins, each volcano's folder as a whole or not at all.

    Args:
        folder: Gets a folder a volcano; an earlier twin there is replaced.
        seed: Seed of the catalogues.
        progress: Show a progress bar.
        names: Which twins.
        share: Share of the published number of events (Table 1), at least MIN_EVENTS a class.

    Returns:
        The folders written.

    Raises:
        DataError: A folder there holds something else than a twin, or cannot be written.
    """
    written = []
    for name in names:
        target = folder / name
        if target.exists() and not _is_twin(target):
            raise DataError(f"{target} holds data that are no synthetic twin: choose another folder.")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f".{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _write_twin(partial, TWINS[name], seed, progress, share)
                if target.exists():
                    shutil.rmtree(target)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        written.append(target)
    return written


def cached_twin(name: str, cache_root: Path, seed: int, share: float = 1.0) -> Path:
    """Folder of a twin, written on first use.

    Args:
        name: Llaima or Deception.
        cache_root: Twins stand under `volcano/` in it, named by what they depend on.
        seed: Seed of the catalogue.
        share: See `write_twins`.
    """
    key = content_hash((source_hash(volcano_events, volcano_parameters), seed, share))
    folder = cache_root / "volcano" / f"twins-{key}-seed{seed}"
    if not (folder / name).is_dir():
        with writing(folder), lock(folder / f"{name}.lock"):
            if not (folder / name).is_dir():
                write_twins(folder, seed, names=[name], share=share)
    return folder / name


def _is_twin(folder: Path) -> bool:
    try:
        settings = yaml.safe_load((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return not any(folder.iterdir())
    return isinstance(settings, dict) and settings.get("kind") == "synthetic"


def _write_twin(folder: Path, parameters: VolcanoParameters, seed: int, progress: bool, share: float) -> None:
    import h5py

    folder.mkdir(parents=True)
    rate_hz = parameters.acquisition.sampling_rate_hz
    published = {"lp": parameters.n_lp, "vt": parameters.n_vt}
    counts = {stem: min(n, max(MIN_EVENTS, round(share * n))) for stem, n in published.items()}
    description = f"synthetic twin of {parameters.name} (seed {seed}), not recorded there"
    if counts != published:
        description += f", thinned to {counts['lp']} of {published['lp']} LP and {counts['vt']} of {published['vt']} VT"
    with tqdm(
        total=sum(counts.values()), desc=f"synthetic {parameters.name}", unit="event", disable=not progress
    ) as bar:
        for stem, label in FILES.items():
            records = np.zeros((counts[stem], round(RECORD_S * rate_hz), 1), np.float32)
            for number in range(counts[stem]):
                record = volcano_event(parameters, label, number, seed)
                records[number, : len(record), 0] = record
                if parameters.acquisition.counts is None:
                    records[number, :, 0] = _from_one_to_two(records[number, :, 0])
                bar.update()
            with h5py.File(folder / f"{stem}.hdf5", "w") as file:
                dataset = file.create_dataset("waveforms", data=records)
                dataset.attrs["sampling_rate_hz"] = rate_hz
                dataset.attrs["description"] = description
    settings = {"sampling_rate_hz": rate_hz, "kind": "synthetic", "description": description}
    (folder / SETTINGS_FILE).write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _from_one_to_two(record: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Stretch to [1, 2], as Llaima's records are stored."""
    stretched: npt.NDArray[np.float32] = 1.0 + (record - record.min()) / (record.max() - record.min())
    return stretched
