"""Reading batches through the data module against bare reads of the same rows from the memory map."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from experiments.benchmark.timing import Section, Timing, cpu_seconds

N_MAPS, N_PAIRS, BATCH = 1000, 64, 32
FAMILY = "FlatVel-A"


def measure(repeats: int) -> Section:
    """An epoch of maps, and one of pairs, of files written as OpenFWI's."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder))
        timings, ratios = [], {}
        for content, n in (("velocity", N_MAPS), ("pairs", N_PAIRS)):
            loaded, bare, notes = epochs(Path(folder), content)
            ours = Timing.of(f"loading {content}, a sample", [t / n for t in cpu_seconds(loaded, repeats)], notes)
            raw = Timing.of(f"memory map, {content}, a sample", [t / n for t in cpu_seconds(bare, repeats)])
            timings += [ours, raw]
            ratios[f"loading {content} / memory map"] = ours.median_s / raw.median_s
    return Section(timings, ratios)


def write_files(folder: Path) -> None:
    """Two files of maps and of gathers in OpenFWI's layout; the gathers are noise, which reads as fast."""
    from datamodules.simulate.velocity_maps import SYNTHETIC_FAMILIES

    draw = np.random.default_rng(0)
    for number, n in ((1, N_MAPS), (2, N_PAIRS)):
        for kind in ("model", "data"):
            (folder / FAMILY / kind).mkdir(parents=True, exist_ok=True)
        maps = SYNTHETIC_FAMILIES[FAMILY](n, draw).astype(np.float32)
        np.save(folder / FAMILY / "model" / f"model{number}.npy", maps.reshape(n, 1, 70, 70))
        gathers = np.lib.format.open_memmap(
            folder / FAMILY / "data" / f"data{number}.npy", "w+", np.float32, (n, 5, 1000, 70)
        )
        for row in range(n):
            gathers[row] = draw.standard_normal((5, 1000, 70), np.float32)


def epochs(folder: Path, content: str) -> tuple[Callable[[], object], Callable[[], object], str]:
    """What goes through an epoch's batches, and what copies as many rows in a shuffled order from the file."""
    from datamodules.openfwi import OpenFWIDataModule

    n_validation = 8
    data = OpenFWIDataModule(
        FAMILY, data_root=str(folder), cache_root=str(folder / "cache"), content=content,  # type: ignore[arg-type]
        n_pairs=N_PAIRS, n_validation_maps=n_validation, n_validation_pairs=n_validation, n_test_maps=n_validation,
        n_test_pairs=n_validation, batch_size=BATCH,
    )  # fmt: skip
    data.prepare_data()
    data.setup("fit")
    n = N_PAIRS if content == "pairs" else N_MAPS - n_validation
    order = np.random.default_rng(0).permutation(n)
    files = [np.load(folder / FAMILY / "model" / "model1.npy", mmap_mode="r")]
    if content == "pairs":
        files.append(np.load(folder / FAMILY / "data" / "data1.npy", mmap_mode="r"))

    def loaded() -> int:
        return sum(len(batch.index) for batch in data.train_dataloader())

    def bare() -> float:
        total = 0.0
        for begin in range(0, n, BATCH):
            rows = order[begin : begin + BATCH]
            total += sum(float(np.stack([file[row] for row in rows])[0, 0, 0, 0]) for file in files)
        return total

    return loaded, bare, f"batches of {BATCH} of {n} samples in {data.source.kind} files"
