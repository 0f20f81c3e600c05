"""Training pairs for an inversion network from four sources, always judged on the same real pairs.

`real`: the n training pairs that the generator saw. `generated`: pairs of a `samples.npz`. `generated_and_real`: both,
a fixed share of each in every batch. `generated_maps_exact_simulator`: the generated maps with gathers from the exact
forward operator, the upper bound for any generator of gathers. Validation and held-out part are those of
`OpenFWIDataModule`, and so is everything else: this module only replaces the training set, and gives epochs of the same
length whatever its size, so that all four can train for the same number of steps.
"""

import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from datamodules.errors import DataError
from datamodules.gather_cache import fill_gather_cache, lock, write_npy, writing
from datamodules.mixed_sampling import MixedSampler
from datamodules.npy_stack import NpyStack
from datamodules.openfwi import OpenFWIDataModule
from datamodules.openfwi_dataset import OpenFWIBatch, OpenFWIDataset, as_is
from datamodules.openfwi_families import MAP_SHAPE, TIME_STEP_S
from datamodules.openfwi_source import DataSource, operator_hash
from datamodules.sample_file import GeneratedPairs, SampleFacts, sample_facts

TrainingSet = Literal["real", "generated", "generated_and_real", "generated_maps_exact_simulator"]
SIMULATED_RANGE_M_S = (1000.0, 5900.0)
"""To which generated maps are clipped before simulation: beyond it the operator's grid is too coarse, or unstable."""
_SENTENCES = {
    "real": "trained on {n_real:,} real pairs",
    "generated": "trained on {n_generated:,} generated pairs",
    "generated_and_real": "trained on {n_generated:,} generated and {n_real:,} real pairs",
    "generated_maps_exact_simulator": "trained on {n_generated:,} generated maps with exactly simulated gathers",
}


class _Joined(Dataset[OpenFWIBatch]):
    """Several sets under one running index, read a whole batch at a time."""

    def __init__(self, sets: list[OpenFWIDataset | GeneratedPairs]) -> None:
        self.sets = sets
        self._joined = ConcatDataset[OpenFWIBatch](sets)

    def __len__(self) -> int:
        return len(self._joined)

    def __getitem__(self, index: int) -> OpenFWIBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> OpenFWIBatch:
        starts = np.cumsum([0, *(len(each) for each in self.sets)])
        wanted = np.asarray(indices)
        parts, places = [], []
        for start, each in zip(starts, self.sets, strict=False):
            own = np.flatnonzero((wanted >= start) & (wanted < start + len(each)))
            if len(own):
                places.append(own)
                parts.append(each.__getitems__((wanted[own] - start).tolist()))
        back = torch.from_numpy(np.argsort(np.concatenate(places)))
        seismic = torch.cat([part.seismic for part in parts if part.seismic is not None])
        velocity = torch.cat([part.velocity for part in parts])
        return OpenFWIBatch(torch.tensor(indices, dtype=torch.int64), velocity[back], seismic[back])


class InversionDataModule(OpenFWIDataModule):
    """Pairs of one OpenFWI family, the training pairs real, generated, or both.

    Args:
        dataset: one of the ten families, e.g. `FlatVel-A`.
        data_root: folder that holds the family's folder (or that folder); None: synthetic maps.
        cache_root: where simulated gathers and synthetic maps are kept; never beside the data.
        training_set: what the network is trained on.
        samples: a `samples.npz` of generated pairs; needed by all training sets but `real`, on first use.
        n_generated: how many of its pairs are used, from the first; None for all.
        samples_per_epoch: training samples that make an epoch, the same for every training set; None for as many as
            the training set has. No sample comes again before all of its set were seen.
        real_share: `generated_and_real`: share of real pairs in each batch.
        mixed_epochs: `generated_and_real`: number of epochs with that share, after which all pairs are real; None for
            all epochs. An end on real pairs alone unlearns what is wrong with the generated ones.
        n_maps: number m of training maps; None for all.
        n_pairs: number n of real training pairs, among the m maps.
        n_validation_maps: maps cut from the end of the training part.
        n_validation_pairs: how many of them form pairs.
        n_test_maps: number of held-out maps; None for all.
        n_test_pairs: how many of them form pairs.
        n_synthetic_maps: how many maps to make where there are none.
        time_stride: keep every so-many-th sample of 1 ms, sample 0 kept.
        batch_size: global batch, shared by all processes.
        num_workers: worker processes for reading.
        pair_seed: seed of the permutations that choose maps and pairs.
        synthetic_seed: seed of the made maps.
        seed: seed of the order of samples.

    Raises:
        DataError: an argument is out of its range (here), or the data are not as they should be (on first use).
    """

    def __init__(
        self,
        dataset: str = "FlatVel-A",
        data_root: str | None = None,
        cache_root: str = "cache",
        training_set: TrainingSet = "real",
        samples: str | None = None,
        n_generated: int | None = None,
        samples_per_epoch: int | None = None,
        real_share: float = 0.5,
        mixed_epochs: int | None = None,
        n_maps: int | None = None,
        n_pairs: int = 500,
        n_validation_maps: int = 200,
        n_validation_pairs: int = 32,
        n_test_maps: int | None = None,
        n_test_pairs: int = 64,
        n_synthetic_maps: int = 5000,
        time_stride: int = 1,
        batch_size: int = 256,
        num_workers: int = 0,
        pair_seed: int = 0,
        synthetic_seed: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dataset=dataset, data_root=data_root, cache_root=cache_root, content="pairs", n_maps=n_maps,
            n_pairs=n_pairs, n_validation_maps=n_validation_maps, n_validation_pairs=n_validation_pairs,
            n_test_maps=n_test_maps, n_test_pairs=n_test_pairs, n_synthetic_maps=n_synthetic_maps,
            time_stride=time_stride, batch_size=batch_size, num_workers=num_workers, pair_seed=pair_seed,
            synthetic_seed=synthetic_seed, seed=seed,
        )  # fmt: skip
        if training_set not in _SENTENCES:
            raise DataError(f"training_set is {training_set!r}: choose one of {', '.join(_SENTENCES)}.")
        optional = {"n_generated": n_generated, "samples_per_epoch": samples_per_epoch, "mixed_epochs": mixed_epochs}
        for name, value in optional.items():
            if value is not None and value < 1:
                raise DataError(f"{name} is {value}: it must be a whole number of at least 1, or null.")
        if training_set == "generated_and_real" and not 0 < round(real_share * batch_size) < batch_size:
            raise DataError(
                f"real_share is {real_share}: of {batch_size} samples in a batch at least one must be real and one "
                "generated, so give a share between 0 and 1."
            )
        self.training_set: TrainingSet = training_set
        self.samples = Path(samples).expanduser() if samples else None
        self.n_used, self.samples_per_epoch = n_generated, samples_per_epoch
        self.real_share, self.mixed_epochs = real_share, mixed_epochs

    # ---- Lightning's hooks -------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Verify the files and make what is missing. Rank 0 only."""
        super().prepare_data()
        if self.training_set != "real":
            _ = self._n_used
        if self.training_set == "generated_maps_exact_simulator":
            self._simulated_generated_maps()

    def train_dataloader(self) -> DataLoader[OpenFWIBatch]:
        """The training set, in an order that depends on seed and epoch alone."""
        sets = self._training_sets()
        dataset = _Joined(sets)
        rank, world_size = self._ranks
        n_batches = max(1, (self.samples_per_epoch or len(dataset)) // self.batch_size)
        sampler = MixedSampler(
            [len(each) for each in sets], self._shares, n_batches, seed=self.seed, epoch=self._epoch, rank=rank,
            world_size=world_size,
        )  # fmt: skip
        return self._loader(dataset, collate_fn=as_is, sampler=sampler, batch_size=self._rank_batch_size)

    # ---- for provenance and `make data` ------------------------------------------------------------------------

    @property
    def source(self) -> DataSource:
        """Real, simulated or synthetic, and what the network is trained on."""
        source = super().source
        counts = {"n_real": len(self._pair_rows("train")), "n_generated": 0}
        provenance: dict[str, str | int | float] = {"training_set": self.training_set}
        if self.training_set != "real":
            counts["n_generated"] = self._n_used
            provenance |= {"generated_pairs": self._n_used, "samples": f"sha256 {self._sample_facts.sha256}"}
        sentence = f"{_SENTENCES[self.training_set].format(**counts)}; {source.sentence}"
        return DataSource(source.kind, sentence, {**source.provenance, **provenance})

    def input_hashes(self) -> dict[str, str]:
        """SHA-256 of each input by name."""
        hashes = super().input_hashes()
        if self.training_set != "real":
            hashes["generated pairs"] = self._sample_facts.sha256
        if self.training_set == "generated_maps_exact_simulator":
            hashes["forward operator"] = operator_hash()
        return hashes

    def verify(self) -> str:
        """Prepare everything, check every value of every file, and say what was found.

        Raises:
            DataError: the first fault found.
        """
        found = super().verify()
        return f"{found}\n{self.source.sentence}" if self.training_set != "real" else found

    # ---- what the above share ----------------------------------------------------------------------------------

    @property
    def _sample_facts(self) -> SampleFacts:
        if self.samples is None:
            raise DataError(
                f"samples is not set: training_set {self.training_set!r} needs the path of a samples.npz; give it, or "
                "choose training_set 'real'."
            )
        facts = sample_facts(self.samples)
        if facts.n_time != self.n_time_samples or abs(facts.time_step_s - self.time_step_s) > 1e-3 * TIME_STEP_S:
            raise DataError(
                f"samples: the gathers of {self.samples} have {facts.n_time} samples of {facts.time_step_s:g} s, but "
                f"time_stride {self.time_stride} wants {self.n_time_samples} of {self.time_step_s:g} s: generate them "
                "with the same time_stride."
            )
        return facts

    @property
    def _n_used(self) -> int:
        """How many generated pairs are used."""
        available = self._sample_facts.n
        if self.n_used is not None and self.n_used > available:
            raise DataError(
                f"n_generated is {self.n_used} but {self.samples} holds {available} pairs: set n_generated to "
                f"{available} or less, or generate more."
            )
        return self.n_used or available

    def _shares(self, epoch: int) -> tuple[int, ...]:
        """Samples of each training set in a global batch of an epoch."""
        if self.training_set != "generated_and_real":
            return (self.batch_size,)
        mixed = self.mixed_epochs is None or epoch < self.mixed_epochs
        n_real = round(self.real_share * self.batch_size) if mixed else self.batch_size
        return (n_real, self.batch_size - n_real)

    def _training_sets(self) -> list[OpenFWIDataset | GeneratedPairs]:
        if self.training_set == "real":
            return [self._dataset("train")]
        if self.training_set == "generated_maps_exact_simulator":
            maps, gathers = self._simulated_generated_maps()
            rows = np.arange(self._n_used, dtype=np.int64)
            return [OpenFWIDataset(maps, rows, gathers, rows, time_stride=self.time_stride)]
        n_used = self._n_used
        assert self.samples is not None
        generated = GeneratedPairs(self.samples, n_used)
        return [self._dataset("train"), generated] if self.training_set == "generated_and_real" else [generated]

    def _simulated_generated_maps(self) -> tuple[NpyStack, NpyStack]:
        """The generated maps and their exact gathers, made once and kept by content."""
        from datamodules.simulate.wave_equation import simulate_gathers

        n_used = self._n_used
        assert self.samples is not None
        maps = GeneratedPairs(self.samples, n_used).maps().clip(*SIMULATED_RANGE_M_S)
        key = hashlib.sha256(maps.tobytes() + operator_hash().encode()).hexdigest()[:12]
        folder = self._data.cache_root / f"{self.family.name}-generated-{key}"
        path = folder / "maps.npy"
        if not path.exists():
            with writing(folder), lock(folder / ".lock"):
                write_npy(path, maps[:, None])
        stack = NpyStack([path], [n_used], MAP_SHAPE)
        threads = os.cpu_count() or 1

        def simulate(velocity_m_s: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return simulate_gathers(velocity_m_s, workers=threads)

        rows = np.arange(n_used, dtype=np.int64)
        what = f"{self.family.name} generated maps'"
        return stack, fill_gather_cache(folder, stack, rows, simulate, block=4 * threads, what=what)
