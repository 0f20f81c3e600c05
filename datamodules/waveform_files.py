"""Records of events from one file: HDF5, NPZ, NPY or CSV.

- HDF5: one data set `(event, sample)`, also with an axis of length 1 as Llaima's files `(event, sample, 1)`, whatever
  its name. The attribute `sampling_rate_hz`, of the data set or the file, is read where it is there.
- NPZ: a record under `waveform` (or the only array), and `sampling_rate_hz`.
- NPY: a record.
- CSV: one column of samples, or two: time in s and sample. A line of names on top is skipped.
"""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

HDF5_ENDINGS = (".hdf5", ".h5", ".hdf")
RECORD_ENDINGS = (".npz", ".npy", ".csv", ".txt")
FEWEST_SAMPLES = 64
Waveform = npt.NDArray[np.float32]


class FileRecords(NamedTuple):
    """What one file holds.

    Attributes:
        waveforms: Records `(sample,)` float32, as stored.
        sampling_rate_hz: As the file says, or None.
        note: What had to be chosen, or an empty text.
    """

    waveforms: list[Waveform]
    sampling_rate_hz: float | None
    note: str = ""


def read_records(path: Path) -> FileRecords:
    """All records of a file.

    Raises:
        DataError: The file cannot be read, or holds no record.
    """
    if not path.is_file():
        raise DataError(f"{path} is not there: name an existing file.")
    ending = path.suffix.lower()
    try:
        if ending in HDF5_ENDINGS:
            return _read_hdf5(path)
        if ending == ".npz":
            return _read_npz(path)
        if ending == ".npy":
            return FileRecords([_record(np.load(path, allow_pickle=False), path)], None)
        if ending in RECORD_ENDINGS:
            return _read_csv(path)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read ({error}): fetch or write it again.") from None
    raise DataError(f"{path} has an unknown ending: {', '.join(HDF5_ENDINGS + RECORD_ENDINGS)} are read.")


def check_traces(waveforms: list[Waveform], where: list[str]) -> list[tuple[int, str]]:
    """Records of which no spectrogram can be made: their row, and what is wrong with it.

    Args:
        waveforms: Records `(sample,)`.
        where: Name of each, for the message.

    Returns:
        `(row, sentence part)` of each bad record.
    """
    bad: list[tuple[int, str]] = []
    for row, (waveform, name) in enumerate(zip(waveforms, where, strict=True)):
        if not np.isfinite(waveform).all():
            bad.append((row, f"{name} holds NaN or infinity"))
        elif len(waveform) < FEWEST_SAMPLES:
            bad.append((row, f"{name} has {len(waveform)} samples, fewer than {FEWEST_SAMPLES}"))
        elif waveform.min() == waveform.max():
            bad.append((row, f"{name} is constant"))
    return bad


def _read_hdf5(path: Path) -> FileRecords:
    import h5py

    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        if not found:
            raise DataError(f"{path} holds no data set: one of shape (event, sample) is wanted; fetch it again.")
        fitting = {name: item for name, item in found.items() if _is_table(item)}
        if not fitting:
            shapes = ", ".join(f"{name} {item.shape}" for name, item in found.items())
            raise DataError(
                f"{path} holds {shapes}, but numbers of shape (event, sample) or (event, sample, 1) are wanted, one "
                "vertical component an event: write such a data set."
            )
        if len(fitting) > 1:
            raise DataError(
                f"{path} holds several data sets of records, {', '.join(fitting)}: leave one of them in the file."
            )
        name, item = next(iter(fitting.items()))
        note = f"{path.name}: data set {name} of {', '.join(found)}" if len(found) > 1 else ""
        rate = item.attrs.get("sampling_rate_hz", file.attrs.get("sampling_rate_hz"))
        table = np.asarray(item[()], dtype=np.float32)
    table = table.reshape(len(table), max(table.shape[1:]))
    return FileRecords([row.copy() for row in table], None if rate is None else float(rate), note)


def _is_table(item: Any) -> bool:
    if item.dtype.kind not in "fiu" or item.ndim not in (2, 3):
        return False
    samples = [size for size in item.shape[1:] if size != 1]
    return len(samples) == 1 and samples[0] >= FEWEST_SAMPLES


def _read_npz(path: Path) -> FileRecords:
    with np.load(path, allow_pickle=False) as content:
        names = [name for name in content.files if name != "sampling_rate_hz"]
        name = "waveform" if "waveform" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise DataError(f"{path} holds {', '.join(names) or 'no array'}: a record named `waveform` is wanted.")
        rate = float(content["sampling_rate_hz"]) if "sampling_rate_hz" in content.files else None
        return FileRecords([_record(content[name], path)], rate)


def _read_csv(path: Path) -> FileRecords:
    with path.open(newline="", encoding="utf-8") as file:
        first = next(csv.reader(file), None)
    if first is None:
        raise DataError(f"{path} is empty: a column of samples is wanted.")
    named = not all(_is_number(cell) for cell in first)
    table = np.loadtxt(path, delimiter=",", skiprows=int(named), ndmin=2)
    if table.shape[1] == 1:
        return FileRecords([_record(table[:, 0], path)], None)
    if table.shape[1] != 2:
        raise DataError(f"{path} has {table.shape[1]} columns: one (samples) or two (time in s, samples) are wanted.")
    steps_s = np.diff(table[:, 0])
    if len(steps_s) == 0 or steps_s.min() <= 0 or steps_s.max() - steps_s.min() > 0.01 * steps_s.mean():
        raise DataError(f"{path}: the times in its first column are not evenly spaced and rising: resample the record.")
    return FileRecords([_record(table[:, 1], path)], float(np.round(1.0 / steps_s.mean(), 3)))


def _record(array: npt.NDArray[Any], path: Path) -> Waveform:
    if array.squeeze().ndim != 1 or array.dtype.kind not in "fiu":
        raise DataError(
            f"{path} holds an array of shape {array.shape}: a record of one component is wanted, (sample,)."
        )
    return array.squeeze().astype(np.float32)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
