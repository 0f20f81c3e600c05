"""A data module as one of several processes has it."""

from types import SimpleNamespace
from typing import TypeVar

import torch

from datamodules.shared_batches import SharedBatchDataModule

Data = TypeVar("Data", bound=SharedBatchDataModule)


def on_rank(data: Data, rank: int, world_size: int, epoch: int = 0) -> Data:
    data.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, current_epoch=epoch,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )  # fmt: skip
    return data
