"""InversionNet, wired into Lightning: trained on pairs, whatever made them, and tested on real ones.

The defaults are those of OpenFWI's benchmark (Deng et al. 2022): L1 + L2, AdamW with rate and weight decay 1e-4, batch
256, 120 epochs. Chance enters with the first weights and the order of the samples only: nothing is drawn in a step.
Everything here is normalised, about -1 to 1.
"""

from collections.abc import Mapping
from typing import Literal

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from lightning_modules.errors import ModuleError
from lightning_modules.inversion.checkpoint import load_inversion_net
from lightning_modules.inversion.network import InversionNet
from lightning_modules.inversion.quality import InversionErrors
from lightning_modules.ubdiff.learning_rate import scheduled_adamw
from lightning_modules.ubdiff.pairs import PairBatch, seismic_of


class InversionNetModule(LightningModule):
    """InversionNet.

    Args:
        n_time: Time samples of a gather.
        width: Factor on the published channel numbers.
        keep_every: Of the time samples the network sees every so-manieth.
        input_gain: Gain of small amplitudes beside the direct wave (see `InversionNet`); 0 for none.
        absolute_weight: Weight of the mean absolute error in the loss.
        squared_weight: Weight of the mean squared error in the loss.
        learning_rate: Base rate of AdamW.
        weight_decay: AdamW's.
        adam_betas: AdamW's.
        schedule: `constant` as in the benchmark, `cosine` to zero over the whole training, or `step`: 0.98 every 10
            epochs.
        warmup_steps: Steps over which the rate first rises.
        initial_weights: Checkpoint of an inversion network of the same size, to go on from or to be judged.

    Raises:
        ModuleError: If a setting is impossible, or `initial_weights` does not fit.
    """

    def __init__(
        self,
        n_time: int = 1000,
        width: float = 1.0,
        keep_every: int = 1,
        input_gain: float = 0.0,
        absolute_weight: float = 1.0,
        squared_weight: float = 1.0,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-4,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        schedule: Literal["cosine", "step", "constant"] = "constant",
        warmup_steps: int = 0,
        initial_weights: str | None = None,
    ) -> None:
        super().__init__()
        if min(absolute_weight, squared_weight) < 0.0 or absolute_weight + squared_weight == 0.0:
            raise ModuleError(
                f"absolute_weight, squared_weight: got {absolute_weight} and {squared_weight}; give two weights of at "
                f"least 0, not both 0."
            )
        self.save_hyperparameters()
        self.network = InversionNet(n_time, width, keep_every, input_gain)
        self.test_errors = InversionErrors()
        self._has_weights = False

    def setup(self, stage: str) -> None:
        """Load `initial_weights`; a checkpoint to resume from comes afterwards and wins."""
        path = self.hparams["initial_weights"]
        if path is None or self._has_weights:
            return
        try:
            self.network.load_state_dict(load_inversion_net(path).state_dict())
        except RuntimeError as error:
            raise ModuleError(
                f"initial_weights: the network in {path} has another size than n_time, width and keep_every make; give "
                f"the same settings as it was trained with."
            ) from error
        self._has_weights = True

    def forward(self, seismic: Tensor) -> Tensor:
        """Invert gathers `(batch, 5, n_time, 70)` into velocity maps `(batch, 1, 70, 70)`, all normalised."""
        velocity: Tensor = self.network(seismic)
        return velocity

    @property
    def parts(self) -> dict[str, int]:
        """Number of parameters of each part."""
        return {"inversion_net": sum(weight.numel() for weight in self.network.parameters())}

    def _step(self, batch: PairBatch, split: Literal["train", "val"]) -> Tensor:
        error = self(seismic_of(batch)) - batch.velocity
        absolute, squared = error.abs().mean(), error.square().mean()
        loss: Tensor = self.hparams["absolute_weight"] * absolute + self.hparams["squared_weight"] * squared
        size = len(batch.velocity)
        for name, value in (("loss", loss), ("velocity_mae", absolute), ("velocity_mse", squared)):
            self.log(
                f"{split}/{name}", value.detach(), batch_size=size, on_step=False, on_epoch=True, sync_dist=True,
                prog_bar=name == "loss",
            )  # fmt: skip
        return loss

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Return the loss."""
        return self._step(batch, "train")

    def validation_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Log the loss on held-back real pairs."""
        return self._step(batch, "val")

    def test_step(self, batch: PairBatch, batch_idx: int) -> Mapping[str, Tensor]:
        """Add to the errors of OpenFWI's tables, and return the inverted maps."""
        velocity = self(seismic_of(batch))
        self.test_errors.update(velocity, batch.velocity)
        return {"index": batch.index, "velocity": velocity}

    def on_test_epoch_end(self) -> None:
        """Log `test/mae`, `test/mse`, `test/rmse` and `test/ssim`."""
        self.log_dict({f"test/{name}": value.float() for name, value in self.test_errors.compute().items()})
        self.test_errors.reset()

    def predict_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Return the inverted maps of a batch."""
        velocity: Tensor = self(seismic_of(batch))
        return velocity

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, its rate scheduled by optimiser step."""
        n_steps, max_epochs = self.trainer.estimated_stepping_batches, self.trainer.max_epochs or 1
        optimizer, scheduler = scheduled_adamw(self.parameters(), self.hparams, n_steps, max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
