"""The events of a volcano by its name or folder: published files, a user's own, or a synthetic twin.

Names: `Llaima`, `Deception` (twins where there is no `data_root`), `NVCh`, `CAU` (real, from `chile_vss_100hz.npz`), or
the path of a folder as `volcano_folder` describes it.
"""

from pathlib import Path

from datamodules.errors import DataError
from datamodules.simulate.volcano_parameters import TWINS
from datamodules.volcano_chile import FILE_NAME, VOLCANOES, find_chile, read_chile
from datamodules.volcano_folder import is_volcano_folder, read_folder, read_waveforms
from datamodules.volcano_records import CLASS_NAMES, UNKNOWN, BadTraces, EventTable, VolcanoEvents
from datamodules.volcano_twins import cached_twin, write_twins

__all__ = [
    "CLASS_NAMES",
    "UNKNOWN",
    "EventTable",
    "VolcanoEvents",
    "load_volcano",
    "read_waveforms",
    "write_twins",
]


def load_volcano(
    name: str,
    data_root: Path | None = None,
    cache_root: Path = Path("cache"),
    seed: int = 0,
    *,
    sampling_rate_hz: float | None = None,
    bad_traces: BadTraces = "refuse",
    synthetic_share: float = 1.0,
) -> VolcanoEvents:
    """All LP, VT and unlabelled events of a volcano.

    Args:
        name: See the module's docstring.
        data_root: Folder that holds the volcano's folder or file; None: a synthetic twin, where there is one.
        cache_root: Where twins are kept.
        seed: Seed of a twin's catalogue.
        sampling_rate_hz: Of a folder that does not say it.
        bad_traces: `refuse` constant, too short or non-finite records, or `leave_out`.
        synthetic_share: Share of the published number of events that a twin has.

    Raises:
        DataError: There is no such volcano, or its files are not as they should be.
    """
    if name in VOLCANOES:
        path = find_chile(data_root)
        if path is None:
            raise DataError(f"{name} is read from {FILE_NAME}, which is not in data_root {data_root}: name its folder.")
        return read_chile(path, name, bad_traces=bad_traces)
    folder = _folder(name, data_root, cache_root, seed, synthetic_share)
    return read_folder(folder, _shown(name), sampling_rate_hz=sampling_rate_hz, bad_traces=bad_traces)


def _folder(name: str, data_root: Path | None, cache_root: Path, seed: int, synthetic_share: float) -> Path:
    if name in TWINS and data_root is None:
        return cached_twin(name, cache_root, seed, synthetic_share)
    places = [Path(name).expanduser()] if name not in TWINS else []
    if data_root is not None:
        places += [data_root / name, data_root]
    for place in places:
        # data_root may be the volcano's own folder; a folder of any name is taken for Llaima's archive only.
        if is_volcano_folder(place) and (place != data_root or name in (place.name, "Llaima")):
            return place
    known = ", ".join((*TWINS, *VOLCANOES))
    mend = "leave data_root out for a synthetic twin, or `make data-volcano` writes one" if name in TWINS else known
    searched = ", ".join(map(str, places)) or "any data_root"
    raise DataError(f"there are no events of {name!r} in {searched}: lp.hdf5 and vt.hdf5 are wanted there ({mend}).")


def _shown(name: str) -> str:
    return name if "/" not in name else Path(name).expanduser().resolve().name
