"""A volcano's events from a folder: Llaima's published layout, or a user's own.

    <folder>/
      volcano.yaml          optional: sampling_rate_hz, kind (real or synthetic), description
      lp.hdf5  vt.hdf5      a file a class, and unlabelled.hdf5 for events of unknown class
      lp/  vt/  unlabelled/ or a folder a class with a file an event: .csv, .npz, .npy (see `waveform_files`)
      events.csv            or a list: file,label[,group]; label LP, VT, or empty where unknown

Names are read whatever their case, HDF5 files also under a folder `Seimic Events` [sic] as in Llaima's archive. Files
and rows of other classes (TC, TR ...) are left out, and the description says so. Every record is one vertical
component; a constant tail is padding.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import DataError
from datamodules.volcano_records import CLASS_NAMES, UNKNOWN, BadTraces, VolcanoEvents, make_events
from datamodules.waveform_files import HDF5_ENDINGS, RECORD_ENDINGS, Waveform, read_records

SETTINGS_FILE = "volcano.yaml"
LIST_FILE = "events.csv"
ARCHIVE_FOLDER = "Seimic Events"
PUBLISHED_RATES_HZ = {"Llaima": 100.0, "Deception": 50.0}  # Cubism, Table 1
LABELS = {"lp": 0, "vt": 1, "unlabelled": UNKNOWN, "unlabeled": UNKNOWN, "unknown": UNKNOWN, "": UNKNOWN}


@dataclass
class _Found:
    """Records gathered so far."""

    waveforms: list[Waveform] = field(default_factory=list)
    rates_hz: list[float | None] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def add(self, path: Path, label: int, prefix: str, group: str | None = None) -> None:
        records = read_records(path)
        if records.note:
            self.notes.append(records.note)
        if not records.waveforms:
            self.empty.append(path.name)
        for row, waveform in enumerate(records.waveforms):
            name = (
                prefix if len(records.waveforms) == 1 and path.suffix.lower() not in HDF5_ENDINGS else f"{prefix}:{row}"
            )
            self.waveforms.append(waveform)
            self.rates_hz.append(records.sampling_rate_hz)
            self.labels.append(label)
            self.ids.append(name)
            self.groups.append(group or name)
            self.paths.append(str(path))


def is_volcano_folder(folder: Path) -> bool:
    """Whether a folder holds events in one of the layouts."""
    return folder.is_dir() and (_list_file(folder) is not None or bool(_class_entries(_events_folder(folder))))


def read_folder(
    folder: Path, name: str, *, sampling_rate_hz: float | None = None, bad_traces: BadTraces = "refuse"
) -> VolcanoEvents:
    """Events of a folder.

    Args:
        folder: See the module's docstring.
        name: The volcano; for Llaima and Deception the sampling rate is known (Table 1).
        sampling_rate_hz: Where no file says it.
        bad_traces: See `make_events`.

    Raises:
        DataError: The folder, a file in it or a record is not as described.
    """
    found, settings = _Found(), _settings(folder)
    events = _events_folder(folder)
    if (listing := _list_file(folder)) is not None:
        _read_list(listing, found)
    else:
        entries = _class_entries(events)
        if not entries:
            raise DataError(
                f"{folder} holds no events: lp.hdf5 and vt.hdf5, folders lp and vt, or an {LIST_FILE} are wanted."
            )
        for path, label in entries:
            _read_entry(path, label, found)
        known = {path for path, _ in entries}
        others = [
            path.name
            for path in sorted(events.iterdir())
            if path not in known and (path.is_dir() or path.suffix.lower() in HDF5_ENDINGS)
        ]
        found.left_out += others
    rate_hz = _rate(folder, name, sampling_rate_hz, settings, found)
    kind = settings.get("kind", "real")
    counts = ", ".join(f"{found.labels.count(i)} {each}" for i, each in enumerate(CLASS_NAMES))
    unknown = found.labels.count(UNKNOWN)
    sentence = f"{kind} {name} events: {counts}{f', {unknown} unlabelled' if unknown else ''} at {rate_hz:g} Hz"
    sentence += f" from {folder}" if kind == "real" else ""
    for more in (settings.get("description"), *found.notes):
        sentence += f"; {more}" if more else ""
    if found.left_out:
        sentence += f"; left out: {', '.join(sorted(set(found.left_out)))}"
    if found.empty:
        sentence += f"; empty: {', '.join(found.empty)}"
    return make_events(
        name,
        found.waveforms,
        rate_hz,
        found.labels,
        ids=found.ids,
        groups=found.groups,
        paths=found.paths,
        sentence=sentence,
        kind=kind,
        bad_traces=bad_traces,
    )


def read_waveforms(path: Path, sampling_rate_hz: float | None = None) -> tuple[list[str], list[Waveform], list[float]]:
    """Records of any files, for a catalogue without labels.

    Args:
        path: A file of records, or a folder: all of its files that hold records, those in folders below it too.
        sampling_rate_hz: Of records whose file does not say it.

    Returns:
        Names, records `(sample,)`, and their sampling rates in Hz.

    Raises:
        DataError: No record, an unknown sampling rate, or an unreadable file.
    """
    endings = HDF5_ENDINGS + RECORD_ENDINGS
    if path.is_dir():
        files = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in endings and p.name.lower() != LIST_FILE]
        default_hz = _settings(path).get("sampling_rate_hz", sampling_rate_hz)
    else:
        files, default_hz = [path], sampling_rate_hz
    found = _Found()
    for file in files:
        found.add(file, UNKNOWN, str(file.relative_to(path)) if path.is_dir() else file.name)
    if not found.waveforms:
        raise DataError(f"{path} holds no record: files ending in {', '.join(endings)} are read.")
    rates = [default_hz if rate is None else rate for rate in found.rates_hz]
    for rate, name in zip(rates, found.ids, strict=True):
        if rate is None or not rate > 0:
            raise DataError(f"{path}: the sampling rate of {name} is not known: give sampling_rate_hz.")
    return found.ids, found.waveforms, [float(rate) for rate in rates if rate is not None]


# ---- what is in a folder -----------------------------------------------------------------------------------------


def _events_folder(folder: Path) -> Path:
    return folder / ARCHIVE_FOLDER if (folder / ARCHIVE_FOLDER).is_dir() else folder


def _list_file(folder: Path) -> Path | None:
    return folder / LIST_FILE if (folder / LIST_FILE).is_file() else None


def _class_entries(folder: Path) -> list[tuple[Path, int]]:
    """Files and folders named after a class, LP first."""
    found: list[tuple[Path, int]] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        stem = path.name.lower() if path.is_dir() else path.stem.lower()
        if stem in LABELS and (path.is_dir() or path.suffix.lower() in HDF5_ENDINGS):
            found.append((path, LABELS[stem]))
    return sorted(found, key=lambda entry: (entry[1] == UNKNOWN, entry[1], str(entry[0])))


def _read_entry(path: Path, label: int, found: _Found) -> None:
    files = [path]
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in HDF5_ENDINGS + RECORD_ENDINGS]
        if not files:
            found.empty.append(path.name)
    for file in files:
        found.add(file, label, f"{path.name}/{file.stem}" if path.is_dir() else path.stem)


def _read_list(path: Path, found: _Found) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        if not {"file", "label"} <= set(columns):
            raise DataError(f"{path} has the columns {', '.join(columns) or 'none'}: file and label are wanted.")
        for row in rows:
            label = (row["label"] or "").strip()
            if label.lower() not in LABELS:
                found.left_out.append(f"events of class {label}")
                continue
            found.add(path.parent / row["file"], LABELS[label.lower()], row["file"], row.get("group") or None)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): write `sampling_rate_hz: 50`."
        ) from None
    wanted = {"sampling_rate_hz", "kind", "description"}
    if not isinstance(settings, dict) or not set(settings) <= wanted:
        raise DataError(f"{path} may hold {', '.join(sorted(wanted))} and nothing else: mend it.")
    if settings.get("kind", "real") not in ("real", "synthetic"):
        raise DataError(f"{path}: kind is {settings['kind']!r}, wanted real or synthetic.")
    rate = settings.get("sampling_rate_hz")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0):
        raise DataError(f"{path}: sampling_rate_hz is {rate!r}, wanted a positive number.")
    return settings


def _rate(folder: Path, name: str, given: float | None, settings: dict[str, Any], found: _Found) -> float:
    """The one sampling rate on which all that is said about it agrees."""
    said: dict[str, float] = {}
    if given is not None:
        said["the argument"] = float(given)
    if settings.get("sampling_rate_hz") is not None:
        said[SETTINGS_FILE] = float(settings["sampling_rate_hz"])
    for path, rate in zip(found.paths, found.rates_hz, strict=True):
        if rate is not None:
            said.setdefault(f"{Path(path).name} ({rate:g} Hz)", rate)
    if name in PUBLISHED_RATES_HZ:
        said["the publication"] = PUBLISHED_RATES_HZ[name]
    if not said:
        raise DataError(
            f"the sampling rate of {folder} is not known: write `sampling_rate_hz: 50` (say) into {SETTINGS_FILE}."
        )
    (first, rate), *others = said.items()
    for other, another in others:
        if abs(another - rate) > 1e-3 * rate:
            raise DataError(
                f"{folder}: the sampling rate is {rate:g} Hz by {first} but {another:g} Hz by {other}: mend the wrong "
                "one, or resample so that all records have one rate."
            )
    return rate
