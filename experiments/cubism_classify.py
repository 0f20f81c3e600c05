"""A user's own catalogue, classified by a trained run: LP or VT, with probabilities.

python -m experiments.cubism classify --checkpoint runs/cubism/<run>/transfer/final.ckpt --waveforms FOLDER \
    --out catalogue.csv

The checkpoint knows how its spectrograms were made: the same is done to every record, whatever its sampling rate. The
classifier knows LP and VT and nothing else: a tremor or a burst of noise is called one of the two. A checkpoint with
`batch_statistics: per_volcano` reads records as the target's, or with --volcano source as the source's.
"""

import argparse
import csv
import inspect
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import SettingsError

if TYPE_CHECKING:
    from lightning_modules.cubism.module import CubismModule
    from lightning_modules.cubism.volcano_norm import Volcano

BATCH = 256


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.cubism classify",
        description="Classify records of volcano-seismic events as LP or VT with a trained run.",
        epilog="Records come from .csv, .npz, .npy and HDF5 files; the sampling rate from the file, from volcano.yaml "
        "(sampling_rate_hz: 50) in the folder, or from --sampling_rate_hz. The classifier knows LP and VT alone: an "
        "event of another kind is called one of the two.",
        allow_abbrev=False,
    )
    made.add_argument("--checkpoint", type=Path, required=True, help="such as runs/cubism/<run>/transfer/final.ckpt")
    made.add_argument("--waveforms", type=Path, required=True, help="a folder of records, or one file")
    made.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    made.add_argument("--sampling_rate_hz", type=float, help="of records whose file does not say it")
    made.add_argument(
        "--volcano",
        choices=("source", "target"),
        default="target",
        help="whose records these are, for a checkpoint with batch statistics per volcano (default: target)",
    )
    made.add_argument(
        "--bad_records",
        choices=("refuse", "leave_out"),
        default="refuse",
        help="constant, too short or non-finite records: refuse them all, or list them without a class",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Classify and write; the exit code, and errors in one sentence on standard error."""
    options = parser().parse_args(arguments)
    from datamodules.errors import DataError
    from lightning_modules.errors import ModuleError

    try:
        n = classify(
            options.checkpoint,
            options.waveforms,
            options.out,
            sampling_rate_hz=options.sampling_rate_hz,
            volcano=options.volcano,
            refuse_bad=options.bad_records == "refuse",
        )
    except (SettingsError, DataError, ModuleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or options.out}: {error.strerror}; choose another folder.", file=sys.stderr)
        return 1
    print(f"{n} records classified: {options.out}", file=sys.stderr)
    return 0


def classify(
    checkpoint: Path,
    waveforms: Path,
    out: Path,
    *,
    sampling_rate_hz: float | None = None,
    volcano: "Volcano" = "target",
    refuse_bad: bool = True,
) -> int:
    """Classify records and write the catalogue: whole, or not at all.

    Args:
        checkpoint: Of a finished run.
        waveforms: A folder of records, or one file.
        out: The CSV file: `record, predicted_class, probability_lp, probability_vt, note`.
        sampling_rate_hz: Of records whose file does not say it.
        volcano: Whose batch statistics to use, where the checkpoint has both volcanoes'.
        refuse_bad: Refuse everything where one record is bad; else the note says what is wrong with it.

    Returns:
        How many records got a class.

    Raises:
        SettingsError: If the place of `out` is not there.
        DataError: If the records are not as they should be.
        ModuleError: If the checkpoint cannot be used.
    """
    import torch
    from tqdm import tqdm

    from datamodules.volcano_folder import read_waveforms
    from datamodules.waveform_preprocessing import Preprocessing
    from experiments.run_folder import write_text

    if not out.resolve().parent.is_dir():
        raise SettingsError(f"--out {out}: the folder {out.resolve().parent} is not there; make it first.")
    if not waveforms.exists():
        raise SettingsError(f"--waveforms {waveforms}: there is no such file or folder.")
    module = load(checkpoint)
    preprocessing = Preprocessing.from_dict(module.preprocessing)
    names, records, rates_hz = read_waveforms(waveforms, sampling_rate_hz)
    notes = _bad(names, records, refuse_bad)
    good = [row for row in range(len(records)) if row not in notes]
    found: dict[int, list[float]] = {}
    with tqdm(total=len(good), desc="classify", unit="record") as bar, torch.inference_mode():
        for first in range(0, len(good), BATCH):
            rows = good[first : first + BATCH]
            images = [torch.from_numpy(preprocessing.image(records[row], rates_hz[row])) for row in rows]
            probability = module(torch.stack(images), volcano).softmax(dim=1)
            found |= dict(zip(rows, probability.tolist(), strict=True))
            bar.update(len(rows))
    write_text(out, _catalogue(names, found, notes, module.class_names))
    return len(found)


def load(checkpoint: Path) -> "CubismModule":
    """A trained module in evaluation mode on the CPU, with `preprocessing` and `class_names` from its checkpoint.

    Raises:
        ModuleError: If the file is missing, damaged, another module's, or does not say how its images were made.
    """
    from lightning_modules.checkpoint import read_checkpoint
    from lightning_modules.cubism.checkpoint import MAKER
    from lightning_modules.cubism.module import CubismModule
    from lightning_modules.cubism.settings import ARCHITECTURE
    from lightning_modules.errors import ModuleError

    settings = read_checkpoint(checkpoint, "checkpoint", MAKER, ARCHITECTURE)["hyper_parameters"]
    known = inspect.signature(CubismModule).parameters
    chosen: dict[str, Any] = {name: value for name, value in settings.items() if name in known}
    chosen |= {"pretrained": None, "pretrained_sha256": None, "initial_weights": str(checkpoint)}
    module = CubismModule(**chosen)
    module.setup("predict")
    if not module.preprocessing:
        raise ModuleError(f"checkpoint: {checkpoint} does not say how its spectrograms were made; give a run's own.")
    return module.eval()


def _bad(names: Sequence[str], records: Sequence[Any], refuse: bool) -> dict[int, str]:
    """Row -> what is wrong with the record."""
    from datamodules.errors import DataError
    from datamodules.waveform_files import check_traces

    bad = check_traces(list(records), list(names))
    if bad and refuse:
        more = f", and {len(bad) - 1} more records are bad" if len(bad) > 1 else ""
        raise DataError(f"{bad[0][1]}{more}; remove such records, or give --bad_records leave_out.")
    return dict(bad)


def _catalogue(
    names: Sequence[str], found: dict[int, list[float]], notes: dict[int, str], class_names: Sequence[str]
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["record", "predicted_class", *(f"probability_{name.lower()}" for name in class_names), "note"])
    for row, name in enumerate(names):
        if row in found:
            chosen = class_names[max(range(len(class_names)), key=found[row].__getitem__)]
            writer.writerow([name, chosen, *(f"{value:.6f}" for value in found[row]), ""])
        else:
            writer.writerow([name, "", *("" for _ in class_names), notes[row]])
    return text.getvalue()
