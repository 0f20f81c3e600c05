"""OpenFWI as a Lightning data module: wiring only.

Batches reach a module normalised (`OpenFWINormalization`, applied on the device). The paper's unbalanced setting:
m velocity maps (`content: velocity`) and n << m pairs (`content: pairs`), the n among the m. Finding and simulating
is `openfwi_source`, splitting `openfwi_splits`, reading `openfwi_dataset`, the order of samples `sampling`.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.direct_wave_cache import cached_direct_wave
from datamodules.errors import DataError
from datamodules.normalization import OpenFWINormalization
from datamodules.openfwi_dataset import OpenFWIBatch, OpenFWIDataset, SampleNumbers, as_is
from datamodules.openfwi_families import GATHER_SHAPE, TIME_STEP_S, family_named
from datamodules.openfwi_source import DataSource, OpenFWISource
from datamodules.openfwi_splits import Part, Rows
from datamodules.openfwi_summary import verified_summary
from datamodules.shared_batches import SharedBatchDataModule
from datamodules.simulate.direct_wave import DirectWaveSeries

PartName = Literal["train", "validation", "test"]


class PhysicalPairs(NamedTuple):
    """Pairs in physical units.

    Attributes:
        velocity_m_s: `(n, 70, 70)` float32.
        seismic: `(n, 5, time, 70)` float32, OpenFWI's raw amplitude.
    """

    velocity_m_s: npt.NDArray[np.float32]
    seismic: npt.NDArray[np.float32]


class OpenFWIDataModule(SharedBatchDataModule):
    """Velocity maps and seismic gathers of one OpenFWI family: real, simulated from real maps, or synthetic.

    Args:
        dataset: one of the ten families, e.g. `FlatVel-A`.
        data_root: folder that holds the family's folder (or that folder); None: synthetic maps.
        cache_root: where simulated gathers and synthetic maps are kept; never beside the data.
        content: `velocity` (maps alone; seismic files are never opened), `pairs`, or `maps_of_pairs` (the maps of the
            n training pairs alone, for what must not see more).
        n_maps: number m of training maps; None for all.
        n_pairs: number n of training pairs, among the m maps.
        n_validation_maps: maps cut from the end of the training part.
        n_validation_pairs: how many of them form pairs.
        n_test_maps: number of held-out maps; None for all.
        n_test_pairs: how many of them form pairs.
        n_synthetic_maps: how many maps to generate where there are none.
        n_generated: number of samples to generate in `predict`.
        time_stride: keep every so-many-th sample of 1 ms, sample 0 kept.
        batch_size: global batch, shared by all processes.
        num_workers: worker processes for reading.
        pair_seed: seed of the permutations that choose maps and pairs.
        synthetic_seed: seed of the generated maps.
        seed: seed of the order of samples in each epoch.

    Raises:
        DataError: an argument is out of its range (here), or the data are not as they should be (on first use).
    """

    def __init__(
        self,
        dataset: str = "FlatVel-A",
        data_root: str | None = None,
        cache_root: str = "cache",
        content: Literal["velocity", "pairs", "maps_of_pairs"] = "pairs",
        n_maps: int | None = None,
        n_pairs: int = 500,
        n_validation_maps: int = 200,
        n_validation_pairs: int = 32,
        n_test_maps: int | None = None,
        n_test_pairs: int = 64,
        n_synthetic_maps: int = 5000,
        n_generated: int = 500,
        time_stride: int = 1,
        batch_size: int = 64,
        num_workers: int = 0,
        pair_seed: int = 0,
        synthetic_seed: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive = {
            "n_maps": n_maps, "n_pairs": n_pairs, "n_validation_maps": n_validation_maps,
            "n_validation_pairs": n_validation_pairs, "n_test_maps": n_test_maps, "n_test_pairs": n_test_pairs,
            "n_synthetic_maps": n_synthetic_maps, "n_generated": n_generated, "time_stride": time_stride,
            "batch_size": batch_size,
        }  # fmt: skip
        for name, value in positive.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise DataError(f"{name} is {value!r}: it must be a whole number of at least 1.")
        seeds = {"pair_seed": pair_seed, "synthetic_seed": synthetic_seed, "seed": seed}
        for name, value in {"num_workers": num_workers, **seeds}.items():
            if value < 0:
                raise DataError(f"{name} is {value}: it must not be negative.")
        if time_stride > GATHER_SHAPE[1] // 2:
            raise DataError(f"time_stride is {time_stride}: a gather has {GATHER_SHAPE[1]} samples, so at most 500.")
        if n_maps is not None and content != "velocity" and n_pairs > n_maps:
            raise DataError(f"n_pairs is {n_pairs} but n_maps is {n_maps}: pairs are among the maps, so lower n_pairs.")
        self.cache_root = Path(cache_root).expanduser()
        self.family = family_named(dataset)
        self.normalization = OpenFWINormalization.of(self.family)
        self.content: Literal["velocity", "pairs", "maps_of_pairs"] = content
        self.n_generated, self.time_stride = n_generated, time_stride
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self._n_maps = {"train": n_maps, "validation": n_validation_maps, "test": n_test_maps}
        self._n_pairs = {"train": n_pairs, "validation": n_validation_pairs, "test": n_test_pairs}
        self._data = OpenFWISource(
            self.family,
            data_root=Path(data_root).expanduser() if data_root else None,
            cache_root=self.cache_root,
            n_validation_maps=n_validation_maps,
            pair_seed=pair_seed,
            n_synthetic_maps=n_synthetic_maps,
            synthetic_seed=synthetic_seed,
        )

    # ---- Lightning's hooks, in its order -----------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Verify the files and make what is missing: synthetic maps, simulated gathers. Rank 0 only."""
        _ = self._data.map_facts
        for name in self._n_maps:
            self._map_rows(name)  # raises if there are too few, before an hour of simulation
        if self.content == "pairs":
            rows = {name: self._pair_rows(name) for name in self._n_pairs}
            for name in rows:
                self._data.prepare_gathers(self._part(name), rows[name])

    def train_dataloader(self) -> DataLoader[OpenFWIBatch]:
        """The m maps or the n pairs, in an order that depends on seed and epoch alone.

        An incomplete last batch is left out (each epoch another one), so that any number of processes takes the same
        steps and no batch norm meets a batch of one; fewer samples than a batch make one batch.
        """
        dataset = self._dataset("train")
        batches = self._training_batches(dataset)
        return self._loader(dataset, collate_fn=as_is, batch_sampler=batches)

    def val_dataloader(self) -> DataLoader[OpenFWIBatch]:
        """The validation part: maps or pairs."""
        return self._evaluation_loader("validation")

    def test_dataloader(self) -> DataLoader[OpenFWIBatch]:
        """The held-out part, which no stage trains on: maps or pairs."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> DataLoader[Tensor]:
        """Batches of sample numbers 0 .. n_generated - 1, int64 `(batch,)`; each sample has its number's own seed."""
        rank, world_size = self._ranks
        numbers = list(range(rank, self.n_generated, world_size))
        return self._loader(SampleNumbers(self.n_generated), sampler=numbers, batch_size=self._rank_batch_size)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalise on the device; makes new tensors."""
        if not isinstance(batch, OpenFWIBatch):
            return batch
        seismic = None if batch.seismic is None else self.normalization.normalize_seismic(batch.seismic)
        return OpenFWIBatch(batch.index, self.normalization.normalize_velocity(batch.velocity), seismic)

    # ---- for figures, provenance and `make data` ---------------------------------------------------------------

    @property
    def source(self) -> DataSource:
        """Real, simulated or synthetic, in words and in plain values."""
        source = self._data.describe()
        counts = {f"{name}_maps": len(self._map_rows(name)) for name in self._n_maps}
        if self.content == "pairs":
            counts |= {f"{name}_pairs": len(self._pair_rows(name)) for name in self._n_pairs}
        return DataSource(source.kind, source.sentence, {**source.provenance, **counts})

    @property
    def time_step_s(self) -> float:
        """Time between two samples of a batch's gathers."""
        return TIME_STEP_S * self.time_stride

    @property
    def n_time_samples(self) -> int:
        """Length T of a batch's gathers: ceil(1000 / time_stride)."""
        return -(-GATHER_SHAPE[1] // self.time_stride)

    def input_hashes(self) -> dict[str, str]:
        """SHA-256 of each input by name; seismic inputs only where `content` is `pairs`."""
        if self.content != "pairs":
            return self._data.input_hashes(None)
        return self._data.input_hashes(np.concatenate([self._pair_rows(name) for name in self._n_pairs]))

    def physical_maps(self, part: PartName, limit: int | None = None) -> npt.NDArray[np.float32]:
        """The first maps of a part, `(n, 70, 70)`, m/s."""
        return self._data.maps.take(self._map_rows(part)[:limit])[:, 0]

    def physical_pairs(self, part: PartName, limit: int | None = None, *, full_rate: bool = False) -> PhysicalPairs:
        """The first pairs of a part, in physical units; only these are read.

        Args:
            part: which part.
            limit: at most so many; None for all of the part's pairs (1.4 MB each at full rate).
            full_rate: every sample of 1 ms, whatever `time_stride` is.
        """
        rows = self._pair_rows(part)
        stack, gather_rows = self._data.gathers(self._part(part), rows)
        stride = 1 if full_rate else self.time_stride
        velocity = self._data.maps.take(rows[:limit])[:, 0]
        return PhysicalPairs(velocity, stack.take(gather_rows[:limit], time_stride=stride))

    def direct_wave_table(self) -> DirectWaveSeries:
        """Gathers of media without reflectors, at this sampling: a short series in slowness, made once."""
        return cached_direct_wave(self.cache_root, self.time_stride)

    def verify(self) -> str:
        """Prepare everything, check every value of every file, and say what was found (for `make data`).

        Raises:
            DataError: the first fault found.
        """
        self.prepare_data()
        counts = {
            name: (len(self._map_rows(name)), len(self._pair_rows(name)) if self.content == "pairs" else 0)
            for name in self._n_maps
        }
        return verified_summary(self._data, counts)

    # ---- what the above share ----------------------------------------------------------------------------------

    def _part(self, name: str) -> Part:
        split = self._data.split
        return {"train": split.train, "validation": split.validation, "test": split.test}[name]

    def _map_rows(self, name: str) -> Rows:
        return self._part(name).maps(self._n_maps[name], _argument(name, "maps"))

    def _pair_rows(self, name: str) -> Rows:
        return self._part(name).pairs(self._n_pairs[name], _argument(name, "pairs"))

    def _dataset(self, name: PartName) -> OpenFWIDataset:
        if self.content != "pairs":
            of_pairs = self.content == "maps_of_pairs" and name == "train"
            return OpenFWIDataset(self._data.maps, self._pair_rows(name) if of_pairs else self._map_rows(name))
        rows = self._pair_rows(name)
        stack, gather_rows = self._data.gathers(self._part(name), rows)
        return OpenFWIDataset(self._data.maps, rows, stack, gather_rows, time_stride=self.time_stride)

    def _evaluation_loader(self, name: PartName) -> DataLoader[OpenFWIBatch]:
        dataset = self._dataset(name)
        return self._loader(dataset, collate_fn=as_is, batch_sampler=self._evaluation_batches(dataset))


def _argument(part: str, what: str) -> str:
    return {"train": f"n_{what}"}.get(part, f"n_{part}_{what}")
