"""Stop a fit whose loss is no number any more, before a checkpoint keeps it."""

import math

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.errors import ModuleError


class FiniteLoss(Callback):
    """Look at `train/loss` at each epoch's end; the last good checkpoint stays.

    Raises:
        ModuleError: If it is NaN or infinite.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checkpoints are written after this."""
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise ModuleError(
                f"train/loss is {float(loss)} after epoch {trainer.current_epoch}: lower the learning rate or set "
                "trainer.gradient_clip_val; the checkpoint of the epoch before is kept."
            )
