"""What validation predicts, scored by true labels: the source's held-out events, and, as an oracle, the target's.

The oracle is no result. Nobody who transfers to an unlabelled volcano has these labels, so this score is kept apart and
no training, schedule or choice of weights reads it. The callbacks look at probabilities that validation has computed
anyway; they draw no random number, log nothing and touch neither network nor optimiser: with them, without them and
with labels shuffled the weights come out the same to the bit (tested).
"""

import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.class_scores import class_scores
from callbacks.validator_choice import SCORE

SOURCE_LOADER, TARGET_LOADER = 0, 1  # of validation; the target's batches hide the labels
SCORE_NAME = "unsupervised_score"


class _ValidationScores(Callback):
    """Collects what one loader's events are taken for.

    Args:
        domain: `source` or `target`.
        loader: Number of its loader.
    """

    def __init__(self, domain: str, loader: int) -> None:
        self._domain, self._loader = domain, loader
        self._found: dict[int, int] = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the epoch before."""
        self._found = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what was predicted of each event."""
        if dataloader_idx == self._loader and isinstance(outputs, Tensor):
            predicted = outputs.detach().argmax(1)
            self._found |= dict(zip(batch.index.tolist(), predicted.tolist(), strict=True))

    def _scores(self, trainer: Trainer) -> dict[str, float]:
        """Gather the ranks' shares and score the events whose class is known."""
        found = self._found
        if trainer.world_size > 1:
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, found)
            found = {index: value for share in shares for index, value in share.items()}
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        labels = np.asarray(data.events(self._domain).label)
        known = np.array([index for index in sorted(found) if labels[index] >= 0], np.int64)
        predicted = np.array([found[index] for index in known], np.int64)
        return class_scores(labels[known], predicted, data.class_names)


class HeldOutSource(_ValidationScores):
    """Score the source's held-out events after the last epoch.

    Attributes:
        metrics: `held_out/...` as `class_scores` names it.
    """

    def __init__(self) -> None:
        super().__init__("source", SOURCE_LOADER)
        self.metrics: dict[str, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score."""
        self.metrics = {f"held_out/{name}": value for name, value in self._scores(trainer).items()}

    def state_dict(self) -> dict[str, Any]:
        """The scores: a run that is resumed after its last epoch keeps them."""
        return {"metrics": self.metrics}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self.metrics = dict(state_dict["metrics"])


class TargetOracle(_ValidationScores):
    """Score the target events of each validation by their true labels, which stay in here.

    Beside it stands what the unsupervised score would have chosen, judged in the same way.

    Attributes:
        epochs: One entry a validation: `epoch`, what `class_scores` gives, and `unsupervised_score` where it counts,
            which is when the pre-training of a generator is over.
        metrics: `oracle/f1` of the best epoch, its `oracle/accuracy` and `oracle/epoch`, `oracle/last_f1`, and
            `validator/f1` and `validator/epoch` of the epoch with the highest unsupervised score; empty where the
            target has no labels.
    """

    def __init__(self) -> None:
        super().__init__("target", TARGET_LOADER)
        self.epochs: list[dict[str, float]] = []

    @property
    def metrics(self) -> dict[str, float]:
        """The best epoch by target labels, the last, and the one that the unsupervised score would choose."""
        if not self.epochs:
            return {}
        best = max(self.epochs, key=lambda entry: entry["f1"])
        found = {
            "oracle/f1": best["f1"],
            "oracle/accuracy": best["accuracy"],
            "oracle/epoch": best["epoch"],
            "oracle/last_f1": self.epochs[-1]["f1"],
        }
        scored = [entry for entry in self.epochs if math.isfinite(entry.get(SCORE_NAME, math.nan))]
        if scored:
            chosen = max(scored, key=lambda entry: entry[SCORE_NAME])
            found |= {"validator/f1": chosen["f1"], "validator/epoch": chosen["epoch"]}
        return found

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score, and note the epoch."""
        scores = self._scores(trainer)
        if not scores or trainer.sanity_checking:
            return
        entry = {"epoch": float(trainer.current_epoch), **scores}
        unsupervised = trainer.callback_metrics.get(SCORE)
        if unsupervised is not None and trainer.current_epoch >= pl_module.hparams.get("pretrain_epochs", 0):
            entry[SCORE_NAME] = float(unsupervised)
        self.epochs.append(entry)

    def state_dict(self) -> dict[str, Any]:
        """The epochs so far: a resumed run keeps them."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self.epochs = [dict(entry) for entry in state_dict["epochs"]]
