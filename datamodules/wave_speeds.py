"""Wave speeds as a Lightning data module, for the autoencoder (paper, Section 5.1): wiring only."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.openfwi_source import DataSource
from datamodules.shared_batches import SharedBatchDataModule
from datamodules.wave_speed_source import SplitName, WaveSpeedName, WaveSpeedSource, require_at_least


class WaveSpeedBatch(NamedTuple):
    """Wave speeds and their numbers.

    Attributes:
        wave_speed_km_s: `(batch, 1, 32, 32, 32)` km/s; `(batch, 0)` where they are not asked for.
        index: `(batch,)` int64, rows of the data module's `wave_speeds_km_s`.
    """

    wave_speed_km_s: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs


class WaveSpeedDataset(Dataset[WaveSpeedBatch]):
    """Batches of wave speeds: an item is a list of positions within a part.

    Args:
        speeds_km_s: `(w, 32, 32, 32)`, all wave speeds.
        indices: `(n,)`, which of them form the part.
        with_wave_speed: False: items hold numbers only.
    """

    def __init__(
        self, speeds_km_s: npt.NDArray[np.float32], indices: npt.NDArray[np.int64], with_wave_speed: bool = True
    ) -> None:
        self.speeds_km_s, self.indices, self.with_wave_speed = speeds_km_s, indices, with_wave_speed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, positions: list[int]) -> WaveSpeedBatch:
        index = self.indices[positions]
        if not self.with_wave_speed:
            return WaveSpeedBatch(torch.empty(len(index), 0), torch.from_numpy(index))
        return WaveSpeedBatch(torch.from_numpy(self.speeds_km_s[index])[:, None], torch.from_numpy(index))


class WaveSpeedDataModule(SharedBatchDataModule):
    """Wave speeds from 5 to 25 km/s on 32 x 32 x 32 nodes over 100 x 100 x 100 km.

    Args:
        wave_speed: `grf` (random fields, Section 5.5), `gaussian` (perturbations, Section 5.6) or `overthrust`.
        data_root: Where the overthrust's file is; None: a synthetic stand-in.
        cache_root: Where generated wave speeds are kept (131 kB each).
        n_wave_speeds: Wave speeds to train on.
        n_validation: Further ones, for validation.
        n_test: Further ones, which no stage trains on.
        n_modes: Patterns of `grf`.
        max_fields: Most patterns in one wave speed of `grf`.
        min_fields: Fewest; 3 is what the paper's program does, 1 what its text says.
        with_wave_speed: False: training batches hold the numbers alone, for modules that keep the wave speeds.
        batch_size: Global batch, shared by all processes.
        num_workers: Worker processes for reading.
        mode_seed: Seed of the patterns.
        wave_speed_seed: Seed of the wave speeds.
        seed: Seed of the order of samples in each epoch.

    Raises:
        DataError: An argument is out of its range (here), or the data are not as they should be (on first use).
    """

    def __init__(
        self,
        wave_speed: WaveSpeedName = "grf",
        data_root: str | None = None,
        cache_root: str = "cache",
        n_wave_speeds: int = 10000,
        n_validation: int = 50,
        n_test: int = 20,
        n_modes: int = 20,
        max_fields: int = 3,
        min_fields: int = 1,
        with_wave_speed: bool = True,
        batch_size: int = 128,
        num_workers: int = 0,
        mode_seed: int = 0,
        wave_speed_seed: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(1, {"batch_size": batch_size})
        require_at_least(0, {"num_workers": num_workers, "seed": seed})
        self.with_wave_speed, self.batch_size, self.num_workers, self.seed = (
            with_wave_speed, batch_size, num_workers, seed
        )  # fmt: skip
        self._source = WaveSpeedSource(
            wave_speed,
            data_root=Path(data_root).expanduser() if data_root else None,
            cache_root=Path(cache_root).expanduser(),
            n_train=n_wave_speeds,
            n_validation=n_validation,
            n_test=n_test,
            n_modes=n_modes,
            max_fields=max_fields,
            min_fields=min_fields,
            mode_seed=mode_seed,
            seed=wave_speed_seed,
        )

    # ---- Lightning's hooks, in its order -----------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Make the wave speeds that are missing. Rank 0 only."""
        _ = self._source.speeds_km_s

    def train_dataloader(self) -> DataLoader[WaveSpeedBatch]:
        """Training wave speeds in an order that depends on seed and epoch alone; an incomplete last batch is left out.

        Fewer samples than a batch make one batch.
        """
        dataset = self._dataset("train", self.with_wave_speed)
        return self._loader(dataset, batch_size=None, sampler=self._training_batches(dataset))

    def val_dataloader(self) -> DataLoader[WaveSpeedBatch]:
        """Validation wave speeds."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> DataLoader[WaveSpeedBatch]:
        """Held-out wave speeds."""
        return self._evaluation_loader("test")

    # ---- for modules, figures, provenance and `make data` --------------------------------------------------------

    @property
    def wave_speeds_km_s(self) -> npt.NDArray[np.float32]:
        """All wave speeds, `(w, 32, 32, 32)` km/s, read only; a batch's `index` counts in it."""
        return self._source.speeds_km_s

    def wave_speed_indices(self, split: SplitName) -> npt.NDArray[np.int64]:
        """Rows of `wave_speeds_km_s` that belong to a part."""
        return self._source.indices(split)

    @property
    def test_indices(self) -> npt.NDArray[np.int64]:
        """Rows of `wave_speeds_km_s` on which nothing is trained (of an unknown wave speed)."""
        return self._source.indices("test")

    @property
    def source(self) -> DataSource:
        """Real or synthetic, in words and in plain values."""
        return self._source.describe()

    def input_hashes(self) -> dict[str, str]:
        """Content hash of each input by name."""
        return self._source.input_hashes()

    def verify(self) -> str:
        """Prepare everything and say what was found (for `make data`).

        Raises:
            DataError: The first fault found.
        """
        self.prepare_data()
        speeds = self.wave_speeds_km_s
        return f"{self.source.sentence}; {len(speeds)} wave speeds, {speeds.min():.2f} to {speeds.max():.2f} km/s"

    # ---- what the above share ------------------------------------------------------------------------------------

    def _dataset(self, split: SplitName, with_wave_speed: bool = True) -> WaveSpeedDataset:
        return WaveSpeedDataset(self.wave_speeds_km_s, self.wave_speed_indices(split), with_wave_speed)

    def _evaluation_loader(self, split: SplitName) -> DataLoader[WaveSpeedBatch]:
        dataset = self._dataset(split)
        return self._loader(dataset, batch_size=None, sampler=self._evaluation_batches(dataset))
