"""A small pair of volcanoes: low or high stripes, shifted and blurred between the two."""

from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.epoch_seed import EpochSeed

SIZE = 16
N_SOURCE, N_TARGET = 96, 64


class Transfer(NamedTuple):
    source_image: Tensor
    source_label: Tensor
    target_image: Tensor


class Labelled(NamedTuple):
    image: Tensor
    label: Tensor
    index: Tensor


def events(n: int, seed: int, shift: int, share: float = 0.25, size: int = SIZE) -> tuple[Tensor, Tensor]:
    """Images `(n, 1, size, size)` in [0, 1] and labels `(n,)`."""
    rng = np.random.default_rng(seed)
    label = (np.arange(n) % round(1 / share) == 0).astype(np.int64)
    rows, columns = np.arange(size)[:, None], np.arange(size)
    centre = np.where(label, 0.65, 0.25)[:, None, None] * size + shift + rng.normal(0.0, 0.5, (n, 1, 1))
    decay = np.where(label, 0.25, 0.6)[:, None, None] * size
    image = np.exp(-(((rows - centre) / 2.5) ** 2) - columns / decay) + 0.1 * rng.random((n, size, size))
    return torch.from_numpy(image[:, None] / 1.1).float(), torch.from_numpy(label)


class FakeVolcanoes(pl.LightningDataModule):
    """Source and target.

    Args:
        batch_size: Of the global batch, of each volcano.
        target_seed: Of the target's events.
    """

    class_names = ("LP", "VT")
    preprocessing = {"version": 1, "floor_db": 60.0}  # noqa: RUF012  # as the real one has it

    def __init__(self, batch_size: int = 16, target_seed: int = 2) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.source_image, self.source_label = events(N_SOURCE, 1, 0)
        self.target_image, self.target_label = events(N_TARGET, target_seed, 2)

    @property
    def source_class_frequencies(self) -> list[float]:
        share = float(self.source_label.float().mean())
        return [1.0 - share, share]

    def training_images(self, domain: str) -> Tensor:
        return self.source_image if domain == "source" else self.target_image

    def _rank(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)

    def _batch(self, numbers: list[int]) -> Transfer:
        # The order is the same in every epoch: which events an epoch sees is the real data module's business.
        order = np.random.default_rng(5).permutation(N_SOURCE)[numbers]
        return Transfer(self.source_image[order], self.source_label[order], self.target_image[order % N_TARGET])

    def train_dataloader(self) -> DataLoader:
        rank, n = self._rank()
        numbers = list(range(N_SOURCE))[rank::n]
        return DataLoader(numbers, batch_size=self.batch_size // n, collate_fn=self._batch, generator=torch.Generator())

    def _labelled(self, image: Tensor, label: Tensor) -> DataLoader:
        def collate(rows: list[int]) -> Labelled:
            return Labelled(image[rows], label[rows], torch.tensor(rows))

        rank, n = self._rank()
        return DataLoader(list(range(len(image)))[rank::n], batch_size=32, collate_fn=collate)

    def val_dataloader(self) -> list[DataLoader]:
        unknown = torch.full_like(self.target_label, -1)
        return [self._labelled(self.source_image, self.source_label), self._labelled(self.target_image, unknown)]

    def test_dataloader(self) -> list[DataLoader]:
        return [
            self._labelled(self.target_image, self.target_label),
            self._labelled(self.source_image, self.source_label),
        ]

    def predict_dataloader(self) -> DataLoader:
        return self._labelled(self.target_image, self.target_label)


class StopAfterEpoch(Callback):
    """Ask the trainer to stop after so many epochs."""

    def __init__(self, n_epochs: int = 1) -> None:
        self.n_epochs = n_epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch + 1 >= self.n_epochs:
            trainer.should_stop = True


def quiet_trainer(folder, max_epochs: int = 1, callbacks: tuple[Callback, ...] = (), **settings) -> Trainer:
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
        use_distributed_sampler=False,
        **settings,
    )
