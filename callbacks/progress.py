"""Progress where no terminal draws a bar: a line now and then, for log files and CI."""

import sys
import time

from lightning.pytorch import Callback, LightningModule, Trainer


class StageProgress(Callback):
    """Print a line at most every `interval_s` seconds, and one at the end of a fit.

    On a terminal Lightning's own bar does this, and this callback is silent.

    Args:
        stage: Name of the stage.
        interval_s: Seconds between lines.
    """

    def __init__(self, stage: str, interval_s: float = 15.0) -> None:
        self.stage = stage
        self.interval_s = interval_s
        self._last = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how far the fit has come."""
        epochs, epoch = trainer.max_epochs or -1, trainer.current_epoch + 1
        due = time.perf_counter() - self._last > self.interval_s or epoch == epochs
        if not due or not trainer.is_global_zero or sys.stderr.isatty():
            return
        self._last = time.perf_counter()
        loss = trainer.callback_metrics.get("train/loss")
        shown = f", loss {float(loss):.4g}" if loss is not None else ""
        of = f"/{epochs}" if epochs > 0 else ""
        print(f"  {self.stage}: epoch {epoch}{of}, step {trainer.global_step}{shown}", file=sys.stderr, flush=True)
