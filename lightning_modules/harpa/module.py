"""HARPA's two training stages, wired into Lightning: the wave-speed autoencoder, then the travel-time field.

Stage `autoencoder` (paper, Section 5.1) is for an unknown wave speed only; stage `field` (Sections 2.5 and 5.2, Eq. 11)
learns travel times of one known wave speed, or of a family of them with the autoencoder frozen. Stage `refine` is not
in the paper: the field, frozen, teaches the autoencoder to keep what travel times depend on. `evaluate` trains nothing.
Chance in training is the noise on the code and, in `refine`, where times are compared. Units km, s and km/s.
"""

from collections.abc import Iterator
from typing import Literal, cast

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MaxMetric, MeanAbsoluteError, MeanSquaredError

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.batches import HarpaData, TravelTimeBatch, WaveSpeedBatch
from lightning_modules.harpa.checkpoint import load_initial_weights
from lightning_modules.harpa.clipped_components import MOST_SAMPLES as MOST_CLIPPED_SAMPLES
from lightning_modules.harpa.epoch_draws import EpochDraws, draw_epoch
from lightning_modules.harpa.losses import travel_time_loss, wave_speed_loss
from lightning_modules.harpa.optimiser import scheduled_optimiser
from lightning_modules.harpa.principal_components import MOST_SAMPLES
from lightning_modules.harpa.settings import build_autoencoder, build_field, check_settings, compose
from lightning_modules.harpa.travel_time_field import TravelTimeField

Split = Literal["train", "val", "test"]
_BLOCK = 256
"""Wave speeds that are handled at once: 34 MB."""


class HarpaTraveltimeModule(LightningModule):
    """Wave-speed autoencoder and travel-time field.

    Args:
        stage: What is trained or, for `evaluate`, that nothing is.
        n_stations: Stations that the field gives times to.
        latent_dim: Length L of the wave speed's latent code (paper: 3 to 6); 0 for a known wave speed.
        field: `factored`, T = |s - r| f, or the paper's `siren`, which gives T.
        width: Units of a sine layer of the field (paper: 512).
        depth: Sine layers of the field (paper: 5).
        w0: Highest angular frequency of its first layer, the domain being 0..1 (paper: 15).
        latent_use: What the field is told of an unknown wave speed: the `decoded` wave speed's components, the code
            itself as a modulation (`modulate`), or, as in the paper, beside the coordinates (`concat`).
        modulator_width: `decoded`, `modulate`: hidden units between that and the field's layers.
        autoencoder: `components`, or the paper's `convolutional`.
        autoencoder_width: `components`: hidden units; `convolutional`: channels of the finest level.
        autoencoder_depth: `components`: residual blocks each way.
        n_components: `components`: principal components of the wave speeds that it works on.
        code_noise: Noise on the code in training of the autoencoder, in units of the code's range 0..1.
        times_weight: Stage `refine`: weight of the squared error of times, s^2, beside that of wave speeds, km^2/s^2.
        times_points: Stage `refine`: random points of each wave speed at which times are compared.
        optimizer: `soap`, or `adamw` (paper: Adam).
        learning_rate: Base rate.
        weight_decay: AdamW's.
        adam_betas: Both optimisers'.
        schedule: `cosine` to zero over the whole training, `step` (0.98 every 10 epochs) or `constant` (the paper's).
        warmup_steps: Steps over which the rate first rises.
        stop_at_rmse: Training stops after the first validation with a smaller error, in s (field) or km/s
            (autoencoder); 0 for never. The paper's are .032 s (known), .1 s (unknown) and .7 km/s, of training.
        sampling_seed: With the epoch and a wave speed's number, all chance in training.
        initial_weights: Checkpoint of the stage before.

    Raises:
        ModuleError: If a setting is impossible, or `initial_weights` does not fit.
    """

    def __init__(
        self,
        stage: Literal["autoencoder", "field", "refine", "evaluate"] = "field",
        n_stations: int = 20,
        latent_dim: int = 0,
        field: Literal["factored", "siren"] = "factored",
        width: int = 128,
        depth: int = 4,
        w0: float = 24.0,
        latent_use: Literal["decoded", "modulate", "concat"] = "decoded",
        modulator_width: int = 128,
        autoencoder: Literal["components", "convolutional"] = "components",
        autoencoder_width: int = 192,
        autoencoder_depth: int = 2,
        n_components: int = 48,
        code_noise: float = 0.025,
        times_weight: float = 10.0,
        times_points: int = 8,
        optimizer: Literal["soap", "adamw"] = "soap",
        learning_rate: float = 1e-2,
        weight_decay: float = 0.0,
        adam_betas: tuple[float, float] = (0.95, 0.95),
        schedule: Literal["cosine", "step", "constant"] = "cosine",
        warmup_steps: int = 50,
        stop_at_rmse: float = 0.0,
        sampling_seed: int = 0,
        initial_weights: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_settings(self.hparams)
        self.stage = stage
        self.autoencoder = build_autoencoder(self.hparams)
        self.field = build_field(self.hparams)
        self.time_rmse, self.time_mae = MeanSquaredError(squared=False), MeanAbsoluteError()
        self.time_max = MaxMetric()
        self.speed_rmse = MeanSquaredError(squared=False)
        self._has_weights = False
        self._features: Tensor | None = None
        self._latents: Tensor | None = None
        self._draws: tuple[tuple[Split, int], EpochDraws] | None = None
        self.requires_grad_(False)
        for network in self.trained:
            network.requires_grad_(True)

    def forward(self, position_km: Tensor, latent: Tensor | None = None) -> Tensor:
        """Travel times `(..., station)` s of points `(..., 3)` km and latent codes `(..., latent_dim)`."""
        times_s: Tensor = self.travel_time_field(position_km, latent)
        return times_s

    @property
    def travel_time_field(self) -> TravelTimeField:
        """The field as the association uses it; it shares this module's weights."""
        return compose(self.field, self.autoencoder, self.hparams)

    @property
    def parts(self) -> dict[str, int]:
        """Number of parameters of each part."""
        networks = {"autoencoder": self.autoencoder, "field": self.field}
        return {
            name: sum(weight.numel() for weight in network.parameters())
            for name, network in networks.items()
            if network is not None
        }

    @property
    def trained(self) -> list[nn.Module]:
        """The networks that this stage trains."""
        if self.stage in ("autoencoder", "refine") and self.autoencoder is not None:
            return [self.autoencoder]
        return [self.field] if self.stage == "field" else []

    def train(self, mode: bool = True) -> "HarpaTraveltimeModule":
        """Put what this stage trains into training mode, and the rest into evaluation mode."""
        super().train(False)
        self.training = mode
        for network in self.trained:
            network.train(mode)
        return self

    # -- starting weights, and what is computed once about the data's wave speeds

    @property
    def _data(self) -> HarpaData:
        return cast(HarpaData, self.trainer.datamodule)  # type: ignore[attr-defined]  # known to Trainer, not its types

    def setup(self, stage: str) -> None:
        """Load `initial_weights` and place the stations; a checkpoint to resume from comes afterwards and wins."""
        path = self.hparams["initial_weights"]
        if path is not None and not self._has_weights:
            load_initial_weights(self.autoencoder, self.field, path, self.hparams)
            self._has_weights = True
        if self.stage in ("field", "evaluate"):
            data = self._data
            self.field.place(*(torch.from_numpy(each).float() for each in (data.station_positions_km, data.bounds_km)))

    def on_load_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Note that trained weights arrive."""
        self._has_weights = True

    def on_fit_start(self) -> None:
        """Stage `autoencoder`: find the components; stage `field`: describe all wave speeds."""
        if self.stage in ("field", "refine") and self.autoencoder is not None:
            self._refuse_untrained()
        if self.stage == "autoencoder" and self.autoencoder is not None:
            components, rows = self.autoencoder.components, self._data.wave_speed_indices("train")
            if components is not None and not self._has_weights:
                stride = -(-len(rows) // MOST_SAMPLES)
                components.fit(self._speeds(rows[::stride]))
            if not self._has_weights:
                stride = -(-len(rows) // MOST_CLIPPED_SAMPLES)
                self.autoencoder.clipped.fit(self._speeds(rows[::stride]))
        self._describe_wave_speeds()

    def on_train_end(self) -> None:
        """Note that there are trained weights."""
        self._has_weights = True

    def on_test_start(self) -> None:
        """Refuse to judge networks that nobody trained; describe all wave speeds."""
        self._refuse_untrained()
        self._describe_wave_speeds()

    def on_predict_start(self) -> None:
        """The same."""
        self.on_test_start()

    def _refuse_untrained(self) -> None:
        if not self._has_weights:
            raise ModuleError(
                f"initial_weights: stage '{self.stage}' builds on trained networks and got none; give the path of the "
                f"earlier stage's checkpoint."
            )

    def _speeds(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(self._data.wave_speeds_km_s[rows], dtype=np.float32)).to(self.device)

    def _blocks(self) -> Iterator[Tensor]:
        rows = np.arange(len(self._data.wave_speeds_km_s))
        return (self._speeds(rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK))

    @torch.no_grad()
    def _describe_wave_speeds(self) -> None:
        """Coefficients and codes of all wave speeds, by their number.

        Every process describes every wave speed, in the same order and in blocks of the same size: that needs no
        communication, and a resumed training finds the same bits.
        """
        autoencoder = self.autoencoder
        if autoencoder is None:
            return
        was_training = autoencoder.training
        autoencoder.eval()
        if autoencoder.components is not None:
            self._features = torch.cat([autoencoder.features(block) for block in self._blocks()])
        if self.stage in ("field", "evaluate"):
            self._latents = torch.cat([autoencoder.encode(block) for block in self._blocks()])
        autoencoder.train(was_training)

    # -- steps

    def _autoencoder_loss(self, batch: WaveSpeedBatch, split: Split) -> Tensor:
        autoencoder = self.autoencoder
        assert autoencoder is not None
        if self._features is not None:
            features = self._features[batch.index]
        else:
            features = autoencoder.features(batch.wave_speed_km_s.squeeze(1))
        draws = self._draws_of(batch.index, split)
        back = autoencoder.features_of(autoencoder.code(features, draws.code_noise if split == "train" else None))
        if split != "train":
            self.speed_rmse(autoencoder.speeds(back).contiguous(), batch.wave_speed_km_s.squeeze(1).contiguous())
            self.log(f"{split}/wave_speed_rmse_km_s", self.speed_rmse, prog_bar=True, batch_size=len(batch.index))
        span_km_s = autoencoder.fastest_km_s - autoencoder.slowest_km_s
        loss = wave_speed_loss(autoencoder.mean_square_error(back, features), span_km_s)
        if self.stage == "refine":
            squared_s = self._times_apart(back, features, draws.points)
            self.log(
                f"{split}/code_time_mse", squared_s.detach(), batch_size=len(features), on_step=False, on_epoch=True,
                sync_dist=True,
            )  # fmt: skip
            loss = loss + self.hparams["times_weight"] * squared_s / span_km_s**2
        return loss

    def _draws_of(self, index: Tensor, split: Split) -> EpochDraws:
        """Draws of these wave speeds in this epoch; where nothing is learnt they are always the same."""
        epoch = self.current_epoch if split == "train" else 0
        if self._draws is None or self._draws[0] != (split, epoch):
            n_points = self.hparams["times_points"] if self.stage == "refine" else 0
            drawn = draw_epoch(self.hparams["sampling_seed"], epoch, len(self._data.wave_speeds_km_s),
                               self.hparams["latent_dim"], n_points)  # fmt: skip
            self._draws = ((split, epoch), EpochDraws(*(each.to(self.device) for each in drawn)))
        return EpochDraws(*(each[index] for each in self._draws[1]))

    def _times_apart(self, features: Tensor, truth: Tensor, cube: Tensor) -> Tensor:
        """Mean square difference of two wave speeds' times, s^2, at `(batch, point, 3)` of the domain, as 0..1."""
        low, high = self.field.bounds_km
        points = low + (high - low) * cube
        with torch.no_grad():
            wanted_s = self.field(points, truth.unsqueeze(1))
        return travel_time_loss(self.field(points, features.unsqueeze(1)), wanted_s)

    def predicted_times_s(self, batch: TravelTimeBatch, split: Split) -> Tensor:
        """Travel times of a batch's points, `(batch, station)` s.

        A field that is told the decoded wave speed learns from the wave speed itself, and is judged with the code's.
        """
        if self.autoencoder is None:
            return cast(Tensor, self.field(batch.position_km))
        numbers, row = torch.unique(batch.wave_speed_index, return_inverse=True)
        assert self._latents is not None
        condition = self._latents[numbers]
        if self.hparams["latent_use"] == "decoded":
            assert self._features is not None
            condition = self._features[numbers] if split == "train" else self.autoencoder.features_of(condition)
        return cast(Tensor, self.field(batch.position_km, condition, row))

    def _field_loss(self, batch: TravelTimeBatch, split: Split) -> Tensor:
        predicted = self.predicted_times_s(batch, split)
        if split != "train":
            self._measure(predicted, batch.time_s, split, len(batch.time_s))
        return travel_time_loss(predicted, batch.time_s)

    def _measure(self, predicted_s: Tensor, true_s: Tensor, split: Split, size: int) -> None:
        # Contiguous: metrics flatten what they get.
        predicted_s, true_s = predicted_s.contiguous(), true_s.contiguous()
        self.time_rmse(predicted_s, true_s)
        self.time_mae(predicted_s, true_s)
        self.time_max((predicted_s - true_s).abs())
        for name, metric in (("rmse_s", self.time_rmse), ("mae_s", self.time_mae), ("max_s", self.time_max)):
            self.log(
                f"{split}/{name}", metric, prog_bar=name == "rmse_s", on_epoch=True, on_step=False, batch_size=size
            )

    def _step(self, batch: WaveSpeedBatch | TravelTimeBatch, split: Split) -> Tensor:
        if self.stage in ("autoencoder", "refine"):
            loss, size = self._autoencoder_loss(cast(WaveSpeedBatch, batch), split), len(batch[-1])  # type: ignore[index]
        else:
            loss, size = self._field_loss(cast(TravelTimeBatch, batch), split), len(batch[-1])  # type: ignore[index]
        self.log(f"{split}/loss", loss.detach(), batch_size=size, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def training_step(self, batch: WaveSpeedBatch | TravelTimeBatch, batch_idx: int) -> Tensor:
        """Return this stage's loss."""
        return self._step(batch, "train")

    def validation_step(self, batch: WaveSpeedBatch | TravelTimeBatch, batch_idx: int) -> None:
        """Log this stage's loss and errors on data it is not trained on."""
        self._step(batch, "val")

    def on_validation_epoch_end(self) -> None:
        """Keep the field's error, or the spread of codes, with the weights; stop where the error is small enough."""
        metric = self.speed_rmse if self.stage in ("autoencoder", "refine") else self.time_rmse
        rmse = metric.compute()
        if self.stage == "field":
            self.field.validation_rmse_s.copy_(rmse)
        elif self._features is not None and self.autoencoder is not None:
            self.autoencoder.remember(self._features[torch.from_numpy(self._data.wave_speed_indices("train"))])
        if not self.trainer.sanity_checking and float(rmse) < self.hparams["stop_at_rmse"]:
            self.trainer.should_stop = True

    def test_step(self, batch: WaveSpeedBatch | TravelTimeBatch, batch_idx: int) -> None:
        """Log errors on held-out data."""
        self._step(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Log how well latent codes remember held-out wave speeds, beside the field's errors."""
        if self.autoencoder is None or self.stage in ("autoencoder", "refine"):
            return
        squared = torch.cat(
            [
                (self.autoencoder(speeds) - speeds).square().flatten(1).mean(dim=1)
                for speeds in torch.split(self._speeds(self._data.wave_speed_indices("test")), _BLOCK)
            ]
        )
        self.log("test/wave_speed_rmse_km_s", squared.mean().sqrt())

    def predict_step(self, batch: TravelTimeBatch, batch_idx: int) -> Tensor:
        """Return travel times of a batch's points."""
        return self.predicted_times_s(batch, "test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """SOAP or AdamW on what the stage trains, its rate scheduled by optimiser step."""
        n_steps, max_epochs = self.trainer.estimated_stepping_batches, self.trainer.max_epochs or 1
        optimizer, scheduler = scheduled_optimiser(self.parameters(), self.hparams, n_steps, max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
