"""A small data module of smooth wave speeds with closed-form times: slowness constant within each wave speed."""

from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.epoch_seed import EpochSeed

STATIONS_KM = np.array([[20.0, 30.0, 0.0], [80.0, 40.0, 0.0], [50.0, 90.0, 0.0]])
BOUNDS_KM = np.array([[0.0] * 3, [100.0] * 3])


class Times(NamedTuple):
    position_km: Tensor
    wave_speed_index: Tensor
    time_s: Tensor


class Speeds(NamedTuple):
    wave_speed_km_s: Tensor
    index: Tensor


class FakeData(pl.LightningDataModule):
    """Constant wave speeds of 8 to 16 km/s, and straight rays through them.

    Args:
        content: `times` or `speeds`.
        n: Wave speeds; one is a known one.
        size: Samples in an epoch.
        with_wave_speed: Whether training batches of `speeds` hold more than numbers.
        n_stations: The first so many stations.
    """

    def __init__(
        self, content: str = "times", n: int = 1, size: int = 96, with_wave_speed: bool = True, n_stations: int = 3
    ) -> None:
        super().__init__()
        self.content, self.size, self.with_wave_speed = content, size, with_wave_speed
        rng = np.random.default_rng(0)
        level = rng.uniform(8.0, 16.0, n)
        tilt = rng.uniform(-2.0, 2.0, n)
        ramp = np.linspace(-1.0, 1.0, 32)
        self.wave_speeds_km_s = np.broadcast_to(
            (level[:, None] + (tilt[:, None] if content == "speeds" else 0.0) * ramp)[:, None, None, :], (n, 32, 32, 32)
        ).astype(np.float32)
        self.station_positions_km, self.bounds_km = STATIONS_KM[:n_stations], BOUNDS_KM

    def wave_speed_indices(self, split: str) -> np.ndarray:
        n = len(self.wave_speeds_km_s)
        return np.arange(n)

    def _sample(self, numbers: list[int]) -> Times | Speeds:
        n = len(self.wave_speeds_km_s)
        index = torch.tensor(numbers) % n
        if self.content == "speeds":
            speeds = torch.from_numpy(self.wave_speeds_km_s[index.numpy()])[:, None]
            return Speeds(speeds, index)
        generator = torch.Generator().manual_seed(7)
        points = 100.0 * torch.rand(self.size, 3, generator=generator)[numbers]
        distance = torch.cdist(points, torch.from_numpy(self.station_positions_km).float())
        return Times(points, index, distance / torch.from_numpy(self.wave_speeds_km_s[:, 0, 0, 0])[index][:, None])

    def _train_sample(self, numbers: list[int]) -> Times | Speeds:
        sample = self._sample(numbers)
        if isinstance(sample, Speeds) and not self.with_wave_speed:
            return Speeds(torch.empty(len(numbers), 0), sample.index)
        return sample

    def train_dataloader(self) -> DataLoader:
        # Always in the same order: which samples an epoch sees is the real data modules' business.
        return DataLoader(range(self.size), batch_size=32, collate_fn=self._train_sample, generator=torch.Generator())

    def val_dataloader(self) -> DataLoader:
        return DataLoader(range(self.size), batch_size=40, collate_fn=self._sample)

    test_dataloader = predict_dataloader = val_dataloader


class StopAfterOneEpoch(Callback):
    def on_train_epoch_end(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = True


def quiet_trainer(folder, max_epochs: int = 1, callbacks: tuple[Callback, ...] = ()) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=max_epochs,
        callbacks=[EpochSeed(0), *callbacks],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
    )
