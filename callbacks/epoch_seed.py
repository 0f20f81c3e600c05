"""Exact resume, piece one of three: every epoch starts from its own seed.

A resumed run starts at an epoch's beginning, but with the random state of a fresh process. Reseeding at each epoch's
start from (seed, epoch, rank) makes the rest of the run the same whether or not it was interrupted. The other two
pieces are the sampler that reads the epoch from the trainer, and the loader's own generator (`datamodules.sampling`).
"""

import random

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class EpochSeed(Callback):
    """Reseed python, numpy and torch at the start of each training epoch.

    Args:
        seed: The run's seed, >= 0.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Derive independent seeds from (seed, epoch, rank)."""
        words = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(4)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))  # noqa: NPY002 - libraries may still draw from the global state
        torch.manual_seed((int(words[2]) << 32) | int(words[3]))
