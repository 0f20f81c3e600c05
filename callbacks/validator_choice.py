"""Model selection without target labels: keep the weights of the epoch that an unsupervised score likes best.

Off by default: weights are those of the last epoch. To switch it on:
`--transfer.trainer.callbacks "[{class_path: callbacks.validator_choice.ValidatorChoice}]"`.
"""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

SCORE = "val/unsupervised_score"


class ValidatorChoice(Callback):
    """Put the best epoch's weights back when a fit ends; the training itself goes on as without it.

    Args:
        metric: Name of the logged score; the highest wins, the earliest of equals.
        from_epoch: First epoch that may be chosen, for methods whose first epochs only train on the source.
    """

    def __init__(self, metric: str = SCORE, from_epoch: int = 0) -> None:
        self.metric, self.from_epoch = metric, from_epoch
        self.best_epoch = -1
        self._best = float("-inf")
        self._weights: dict[str, Tensor] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """Which epoch was chosen."""
        return {"validator/chosen_epoch": float(self.best_epoch)} if self._weights else {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the weights where they are better than before."""
        score = trainer.callback_metrics.get(self.metric)
        if trainer.sanity_checking or score is None or trainer.current_epoch < self.from_epoch:
            return
        if float(score) > self._best:
            self._best, self.best_epoch = float(score), trainer.current_epoch
            self._weights = {name: value.detach().cpu().clone() for name, value in pl_module.state_dict().items()}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the best weights back."""
        if self._weights:
            pl_module.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """The best so far: a resumed run goes on with it."""
        return {"best": self._best, "best_epoch": self.best_epoch, "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the checkpoint was written."""
        self._best, self.best_epoch = float(state_dict["best"]), int(state_dict["best_epoch"])
        self._weights = dict(state_dict["weights"])
