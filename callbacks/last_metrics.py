"""What a fit has logged last, kept in its checkpoint."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class LastMetrics(Callback):
    """Keeps the logged values of the last epoch.

    A fit that was stopped between its last checkpoint and its end has nothing left to do when it is resumed, and so
    logs nothing; its figures are those that travel in the checkpoint.

    Attributes:
        values: Name -> value, as `Trainer.callback_metrics` has them.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them."""
        self.values = {name: float(value) for name, value in trainer.callback_metrics.items()}

    def state_dict(self) -> dict[str, Any]:
        """The values."""
        return {"values": self.values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take those of the checkpoint."""
        self.values = dict(state_dict["values"])
