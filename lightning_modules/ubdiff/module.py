"""UB-Diff's three training stages and its evaluation, wired into Lightning (paper: method, Eqs. 1-4).

`autoencoder` trains the encoder and the velocity decoder on all m velocity maps (Eq. 2); `paired` trains the seismic
decoder on n << m pairs with the rest frozen (Eq. 3) or everything together (Eq. 4); `diffusion` trains the denoiser on
the co-latents of all m maps; `evaluate` reconstructs held-out pairs and generates new ones. All networks exist in every
stage, so that each stage starts from the checkpoint of the one before. Everything here is normalised, about -1 to 1.
"""

from collections.abc import Mapping, Sized
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchmetrics import MeanAbsoluteError
from torchmetrics.image import StructuralSimilarityIndexMeasure

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.amplitude import to_amplitude, to_normalised
from lightning_modules.ubdiff.build import build_networks
from lightning_modules.ubdiff.checkpoint import load_initial_weights
from lightning_modules.ubdiff.direct_wave import direct_wave_table
from lightning_modules.ubdiff.epoch_draws import EpochDraws, draw_epoch
from lightning_modules.ubdiff.freezing import FROZEN_PARTS, frozen_parts
from lightning_modules.ubdiff.latents import IndexedNoise
from lightning_modules.ubdiff.learning_rate import scheduled_adamw
from lightning_modules.ubdiff.losses import (
    amplitude_energy,
    amplitude_loss,
    reconstruction_loss,
    residual_energy,
    residual_loss,
)
from lightning_modules.ubdiff.pair_generator import PairGenerator
from lightning_modules.ubdiff.pairs import GeneratedPairs, PairBatch, seismic_of
from lightning_modules.ubdiff.settings import check_settings


class UBDiffModule(LightningModule):
    """UB-Diff.

    Args:
        stage: What is trained or, for `evaluate`, that nothing is.
        latent_dim: Length of the co-latent z (paper: 128).
        n_time: Time samples of a gather.
        velocity_widths: Channels of encoder and velocity decoder, finest resolution first.
        velocity_strides: Factors between the resolutions; their product divides 70.
        velocity_blocks: Residual blocks at each resolution.
        velocity_fine_width: Channels of the velocity decoder at full resolution.
        seismic_decoder: `patch_transformer`, convolutions (`cnn`), the paper code's `single_token`, or `kirchhoff`,
            which reads the decoded map and needs the exact direct wave.
        seismic_patch: `patch_transformer`: time samples of a token.
        seismic_width: `patch_transformer`: channels of a token.
        seismic_depth: `patch_transformer`: transformer blocks.
        seismic_heads: Attention heads of both transformers (paper's code: 8).
        cnn_width: `cnn`: channels at full resolution, doubled at each of three coarser ones.
        single_token_width: `single_token`: channels of the token (paper's code: 640).
        single_token_depth: `single_token`: transformer blocks (paper's code: 2).
        kirchhoff_width: `kirchhoff`: hidden width of a reflecting point's response.
        kirchhoff_reflections: `kirchhoff`: reflections on a wave's way, at most; with more than one it may go from
            flank to flank of a valley.
        kirchhoff_least_reflection: `kirchhoff`: points that reflect no more than this share of an amplitude are left
            out. With more it is faster, most of all with rough maps.
        direct_wave: `learned`: the decoder gives the whole gather, as in the paper; `exact`: it gives the reflections,
            which are added to the exact direct wave of the decoded map's top velocity.
        denoiser: `adaln_mlp`, or the paper's `unet_1d`.
        denoiser_width: `adaln_mlp`: hidden width.
        denoiser_depth: `adaln_mlp`: adaptive blocks.
        unet_width: `unet_1d`: channels of the first level (paper's code: 128).
        unet_multipliers: `unet_1d`: channels after each level over `unet_width` (paper's code: 1, 2, 2, 4).
        prediction: What the denoiser predicts (paper: v).
        n_diffusion_steps: T (paper: 256).
        sampler: `ddpm` takes all T steps; `ddim` and `dpm_solver_2m` take `n_sampling_steps`.
        n_sampling_steps: Steps of the fast samplers.
        n_refinements: Passes through the velocity autoencoder that bring a drawn latent nearer to those of maps.
        sampling_seed: With a sample's number, all that a generated pair depends on; with the epoch, all chance in
            training.
        freeze: Stage `paired`: what stays as it was, `both` encoder and velocity decoder (Eq. 3), one of them, or
            `none` (Eq. 4). `none`, without `initial_weights`, is the paper's UB-Diff w/o opt: joint training from
            scratch on the n pairs alone.
        thaw_after: Stage `paired`: epochs after which what is frozen is trained too; None for never.
        flip: Stages `autoencoder` and `diffusion`: mirror half of the maps left to right, drawn anew each time.
        squared_weight: Weight of the squared beside the absolute error.
        amplitude_weight: Stage `paired`: weight of the amplitude's relative squared error (0 in the paper's code); with
            an exact direct wave, of the error of the reflections relative to the reflections.
        seismic_log_range: Smallest and largest log amplitude of the data set, for `amplitude_weight`.
        ema_decay: Decay of the denoiser's moving average (the paper's code: 0.995 every 10 updates).
        learning_rate: Base rate of AdamW.
        weight_decay: AdamW's.
        adam_betas: AdamW's.
        schedule: `cosine` to zero over the whole training, the paper code's `step` (0.98 every 10 epochs), `constant`.
        warmup_steps: Steps over which the rate first rises.
        initial_weights: Checkpoint of the stage before.

    Raises:
        ModuleError: If a setting is impossible, or `initial_weights` does not fit.
    """

    def __init__(
        self,
        stage: Literal["autoencoder", "paired", "diffusion", "evaluate"] = "autoencoder",
        latent_dim: int = 128,
        n_time: int = 1000,
        velocity_widths: tuple[int, ...] = (64, 128),
        velocity_strides: tuple[int, ...] = (2, 5),
        velocity_blocks: int = 2,
        velocity_fine_width: int = 32,
        seismic_decoder: Literal["patch_transformer", "cnn", "single_token", "kirchhoff"] = "patch_transformer",
        seismic_patch: int = 20,
        seismic_width: int = 256,
        seismic_depth: int = 4,
        seismic_heads: int = 8,
        cnn_width: int = 16,
        single_token_width: int = 640,
        single_token_depth: int = 2,
        kirchhoff_width: int = 16,
        kirchhoff_reflections: int = 2,
        kirchhoff_least_reflection: float = 8e-3,
        direct_wave: Literal["learned", "exact"] = "learned",
        denoiser: Literal["adaln_mlp", "unet_1d"] = "adaln_mlp",
        denoiser_width: int = 384,
        denoiser_depth: int = 4,
        unet_width: int = 128,
        unet_multipliers: tuple[int, ...] = (1, 2, 2, 4),
        prediction: Literal["v", "epsilon", "sample"] = "v",
        n_diffusion_steps: int = 256,
        sampler: Literal["ddpm", "ddim", "dpm_solver_2m"] = "dpm_solver_2m",
        n_sampling_steps: int = 20,
        n_refinements: int = 0,
        sampling_seed: int = 0,
        freeze: Literal["none", "encoder", "velocity_decoder", "both"] = "both",
        thaw_after: int | None = None,
        flip: bool = False,
        squared_weight: float = 1.0,
        amplitude_weight: float = 0.0,
        seismic_log_range: tuple[float, float] = (-3.33, 3.985),
        ema_decay: float = 0.999,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-4,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        schedule: Literal["cosine", "step", "constant"] = "cosine",
        warmup_steps: int = 0,
        initial_weights: str | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_settings(self.hparams)
        self.stage = stage
        self.networks = self._build_networks()
        self.velocity_mae = MeanAbsoluteError()
        self.velocity_ssim = StructuralSimilarityIndexMeasure(data_range=2.0)
        self.seismic_mae = MeanAbsoluteError()
        self._has_weights = False
        self._training_latents: Tensor | None = None
        self._draws: EpochDraws
        self.requires_grad_(False)
        for network in self.trained:
            network.requires_grad_(True)

    def _build_networks(self) -> PairGenerator:
        return build_networks(self.hparams)

    def forward(self, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct `(velocity, seismic)` from velocity maps `(batch, 1, 70, 70)`, all normalised."""
        return self.decode(self.networks.encode(velocity))

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Decode co-latents `(batch, latent_dim)` into normalised velocity and seismic."""
        velocity = self.networks.decode_velocity(latent)
        return velocity, self.networks.decode_seismic(latent, velocity)

    @property
    def parts(self) -> dict[str, int]:
        """Number of parameters of each part."""
        return {
            name: sum(weight.numel() for network in networks for weight in network.parameters())
            for name, networks in self.networks.parts().items()
        }

    @property
    def trained(self) -> list[nn.Module]:
        """The networks that this stage trains."""
        parts = self.networks.parts()
        if self.stage == "autoencoder":
            return parts["encoder"] + parts["velocity_decoder"]
        if self.stage == "paired":
            frozen = (*frozen_parts(self.hparams), "denoiser")
            return [network for name, networks in parts.items() if name not in frozen for network in networks]
        return parts["denoiser"] if self.stage == "diffusion" else []

    def train(self, mode: bool = True) -> "UBDiffModule":
        """Put what this stage trains into training mode, and the rest into evaluation mode."""
        super().train(False)
        self.training = mode
        for network in self.trained:
            network.train(mode)
        return self

    # -- starting weights and the latents of the training maps

    def setup(self, stage: str) -> None:
        """Load `initial_weights` and the direct wave's table; a checkpoint to resume from comes afterwards and wins."""
        path = self.hparams["initial_weights"]
        if path is not None and not self._has_weights:
            load_initial_weights(self, path, self.hparams)
            self._has_weights = True
        direct_wave = self.networks.direct_wave
        if direct_wave is not None and self.stage in ("paired", "evaluate") and not direct_wave.is_filled:
            direct_wave.fill(direct_wave_table(self.trainer))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note that trained weights arrive."""
        self._has_weights = True

    def _refuse_untrained(self) -> None:
        if not self._has_weights:
            raise ModuleError(
                f"initial_weights: stage '{self.stage}' builds on trained networks and got none; give the path of the "
                f"earlier stage's checkpoint."
            )

    def on_fit_start(self) -> None:
        """Refuse to build on networks that nobody trained."""
        if self.stage == "diffusion" or (self.stage == "paired" and self.hparams["freeze"] != "none"):
            self._refuse_untrained()

    def on_test_start(self) -> None:
        """Refuse to judge networks that nobody trained."""
        if self.stage == "evaluate":
            self._refuse_untrained()

    def on_predict_start(self) -> None:
        """Refuse to sample from networks that nobody trained."""
        self.on_test_start()

    def on_train_start(self) -> None:
        """Stage `diffusion`: encode all training maps once, and standardise."""
        if self.stage == "diffusion":
            latents = self._encode_training_maps()
            self.networks.latent_scaler.fit(latents.flatten(0, -2))
            self._training_latents = self.networks.latent_scaler.standardise(latents)

    def on_train_epoch_start(self) -> None:
        """Draw what chance decides about each training sample in this epoch."""
        dataset = cast(Sized, cast(DataLoader[Any], self.trainer.train_dataloader).dataset)
        draws = draw_epoch(
            self.hparams["sampling_seed"],
            self.current_epoch,
            len(dataset),
            latent_dim=self.networks.latent_dim,
            n_steps=self.networks.diffusion.n_steps,
            diffusion=self.stage == "diffusion",
        )
        self._draws = EpochDraws(*(each.to(self.device) for each in draws))

    @torch.no_grad()
    def _encode_training_maps(self) -> Tensor:
        """Co-latents of all training maps in their own order `(1 or 2 with flip, n, latent_dim)`.

        Every process encodes every map, in the same order and in blocks of the same size: that needs no communication,
        and a resumed training finds the same bits.
        """
        trainer = self.trainer
        loader = cast(DataLoader[Any], trainer.train_dataloader)
        n_maps = len(cast(Sized, loader.dataset))
        blocks = DataLoader(loader.dataset, batch_size=256, collate_fn=loader.collate_fn, generator=torch.Generator())
        versions = 2 if self.hparams["flip"] else 1
        latents = torch.zeros(versions, n_maps, self.hparams["latent_dim"], device=self.device)
        for block in blocks:
            batch = cast(PairBatch, trainer.strategy.batch_to_device(block, self.device))
            latents[0, batch.index] = self.networks.encode(batch.velocity)
            if versions == 2:
                latents[1, batch.index] = self.networks.encode(batch.velocity.flip(-1))
        return latents

    # -- steps

    def _reconstruction_step(self, batch: PairBatch, split: str) -> Tensor:
        settings = self.hparams
        velocity = batch.velocity
        if split == "train" and self.stage == "autoencoder" and settings["flip"]:
            mirrored = self._draws.mirrored[batch.index].view(-1, 1, 1, 1)
            velocity = torch.where(mirrored, velocity.flip(-1), velocity)
        latent = self.networks.encode(velocity)
        loss = torch.zeros((), device=self.device)
        # Where something has yet to thaw, its gradients are there, as several processes want, and then dropped.
        trains_velocity = self.stage == "autoencoder" or len(frozen_parts(settings)) < len(FROZEN_PARTS["both"])
        if trains_velocity or split == "val":
            velocity_back = self.networks.decode_velocity(latent)
            self._log(f"{split}/velocity_mae", (velocity_back - velocity).abs().mean(), batch)
            if trains_velocity:
                loss = loss + reconstruction_loss(velocity_back, velocity, settings["squared_weight"])
        if self.stage == "paired":
            loss = loss + self._seismic_loss(latent, batch, split)
        return loss

    def _seismic_loss(self, latent: Tensor, batch: PairBatch, split: str) -> Tensor:
        networks, settings, log_range = self.networks, self.hparams, self.hparams["seismic_log_range"]
        seismic = seismic_of(batch)
        if networks.direct_wave is None:
            seismic_back = networks.decode_seismic(latent)
            amplitude = amplitude_loss(seismic_back, seismic, *log_range)
            energy = amplitude_energy(seismic, *log_range)
        else:
            # In training the true map stands for the decoded one: its gather is known, that of the decoded map is not.
            velocity = batch.velocity if split == "train" else networks.decode_velocity(latent)
            direct, reflections = networks.direct_wave(velocity), networks.decode_reflections(latent, velocity)
            seismic_back, truth = to_normalised(direct + reflections, *log_range), to_amplitude(seismic, *log_range)
            reference = truth - networks.direct_wave.of_one_velocity(batch.velocity)
            amplitude, energy = residual_loss(reflections, truth - direct, reference), residual_energy(reference)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            amplitude = amplitude * energy / cast(Tensor, self.all_gather(energy)).mean()  # of the global batch
        self._log(f"{split}/seismic_mae", (seismic_back - seismic).abs().mean(), batch)
        self._log(f"{split}/seismic_amplitude_loss", amplitude, batch)
        weighted: Tensor = settings["amplitude_weight"] * amplitude
        return reconstruction_loss(seismic_back, seismic, settings["squared_weight"]) + weighted

    def _diffusion_step(self, batch: PairBatch, split: str) -> Tensor:
        if split == "train":
            assert self._training_latents is not None
            mirrored = self._draws.mirrored[batch.index].long() * (len(self._training_latents) - 1)
            clean = self._training_latents[mirrored, batch.index]
            noise, step = self._draws.noise[batch.index], self._draws.step[batch.index]
            return self.networks.diffusion.loss(self.networks.denoiser, clean, noise, step)
        clean = self.networks.latent_scaler.standardise(self.networks.encode(batch.velocity))
        # Validation asks the same question each time: noise by sample number, times spread evenly over the batch.
        noise = IndexedNoise(batch.index.tolist(), 0, clean.shape[1]).draw().to(self.device)
        step = (batch.index * 97) % self.networks.diffusion.n_steps
        return self.networks.diffusion.loss(self.networks.averaged_denoiser, clean, noise, step)

    def _step(self, batch: PairBatch, split: Literal["train", "val"]) -> Tensor:
        step = self._diffusion_step if self.stage == "diffusion" else self._reconstruction_step
        loss = step(batch, split)
        self._log(f"{split}/loss", loss, batch, prog_bar=True)
        return loss

    def _log(self, name: str, value: Tensor, batch: PairBatch, prog_bar: bool = False) -> None:
        size = len(batch.velocity)
        self.log(name, value.detach(), batch_size=size, on_step=False, on_epoch=True, sync_dist=True, prog_bar=prog_bar)

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Return this stage's loss."""
        return self._step(batch, "train")

    def validation_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Log this stage's loss on held-back training samples."""
        return self._step(batch, "val")

    def test_step(self, batch: PairBatch, batch_idx: int) -> Mapping[str, Tensor]:
        """Log normalised errors of held-out pairs, and return their reconstructions.

        Returns:
            `velocity` and `seismic` as reconstructed from the true velocity map, and the samples' `index`.
        """
        velocity, seismic = self(batch.velocity)
        truth = seismic_of(batch)
        self.velocity_mae(velocity, batch.velocity)
        self.velocity_ssim(velocity, batch.velocity)
        self.seismic_mae(seismic, truth)
        self.log("test/velocity_mae", self.velocity_mae)
        self.log("test/velocity_ssim", self.velocity_ssim)
        self.log("test/seismic_mae", self.seismic_mae)
        return {"index": batch.index, "velocity": velocity, "seismic": seismic}

    def predict_step(self, batch: Tensor, batch_idx: int) -> GeneratedPairs:
        """Generate the pairs of these sample numbers `(batch,)`, each from its own seed."""
        names = ("sampling_seed", "sampler", "n_sampling_steps", "n_refinements")
        latent = self.networks.sample_latents(batch, *(self.hparams[name] for name in names))
        return GeneratedPairs(batch, latent, *self.decode(latent))

    # -- optimisation

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW on what the stage trains, its rate scheduled by optimiser step."""
        n_steps, max_epochs = self.trainer.estimated_stepping_batches, self.trainer.max_epochs or 1
        optimizer, scheduler = scheduled_adamw(self.parameters(), self.hparams, n_steps, max_epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Stage `paired`: what has not thawed yet has no gradient, and so no step."""
        if self.stage == "paired":
            parts = self.networks.parts()
            for name in frozen_parts(self.hparams, self.current_epoch):
                for network in parts[name]:
                    network.zero_grad(set_to_none=True)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Optimizer | LightningOptimizer, optimizer_closure: Any = None
    ) -> None:
        """Step, then let the averaged denoiser follow."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self.stage == "diffusion":
            self.networks.averaged_denoiser.update(self.networks.denoiser)
