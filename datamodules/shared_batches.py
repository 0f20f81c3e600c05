"""What the data modules share: one global batch for all processes, and loaders that draw nothing themselves."""

from collections.abc import Sized
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset

from datamodules.errors import DataError
from datamodules.sampling import EpochSampler, EvaluationBatches


class SharedBatchDataModule(pl.LightningDataModule):
    """Data in global batches, in an order that seed and epoch decide.

    Attributes:
        batch_size: Global batch, shared by all processes.
        num_workers: Worker processes for reading.
        seed: Of the order of samples in each epoch.
    """

    batch_size: int
    num_workers: int
    seed: int

    def setup(self, stage: str) -> None:
        """Check that the batch can be shared by the processes."""
        self._check_batch_size()

    def _check_batch_size(self, together: int = 1, why: str = "") -> None:
        """Refuse a batch that is no multiple of the processes.

        Args:
            together: Samples that a process takes together.
            why: What these are, for the message.

        Raises:
            DataError: If it is none.
        """
        world_size = self._ranks[1]
        if self.batch_size % (world_size * together):
            raise DataError(
                f"batch_size is {self.batch_size}, the global batch, and cannot be shared evenly by {world_size} "
                f"processes{why}: choose a multiple of {world_size * together}."
            )

    @property
    def _ranks(self) -> tuple[int, int]:
        """This process's number, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    @property
    def _rank_batch_size(self) -> int:
        return self.batch_size // self._ranks[1]

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer is not None else 0

    def _training_batches(self, dataset: Sized) -> BatchSampler:
        """All samples in an order that seed and epoch decide; an incomplete last batch is left out.

        Fewer samples than a batch make one batch.
        """
        rank, world_size = self._ranks
        enough = len(dataset) >= self.batch_size
        sampler = EpochSampler(
            len(dataset), seed=self.seed, epoch=self._epoch, rank=rank, world_size=world_size,
            tail="drop" if enough else "wrap",
        )  # fmt: skip
        return BatchSampler(sampler, self._rank_batch_size, drop_last=enough)

    def _evaluation_batches(self, dataset: Sized) -> EvaluationBatches:
        rank, world_size = self._ranks
        return EvaluationBatches(len(dataset), batch_size=self._rank_batch_size, rank=rank, world_size=world_size)

    def _loader(self, dataset: Dataset[Any], **order: Any) -> DataLoader[Any]:
        """A loader; `order` says in DataLoader's words how samples become batches."""
        return DataLoader(
            dataset,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            generator=torch.Generator().manual_seed(self.seed),  # else an iterator draws from the global generator
            **order,
        )
