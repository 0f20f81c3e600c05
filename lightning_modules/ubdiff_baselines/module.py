"""Two generators that UB-Diff is compared with, wired into Lightning: `joint` and `unpaired`.

Both see the n pairs alone, and give each modality an autoencoder and a latent of its own. `joint` runs ONE diffusion
over the two latents together: our reading of the multi-modal diffusion that the paper compares itself with
(MT-Diffusion), a reading and no reproduction. `unpaired` runs two diffusions, one for each latent: a control that can
be right about each modality and knows nothing of pairs, because a generated map and its gather are independent draws.

The stages have UB-Diff's names, so that the same presets apply: `autoencoder` trains the velocity autoencoder on the n
maps; `paired` the seismic autoencoder on the n gathers, and encodes the pairs at its end; `diffusion` the denoiser on
those latents; `evaluate` reconstructs held-out pairs and generates new ones. Everything is normalised, about -1 to 1.
"""

from collections.abc import Mapping, Sized
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lightning_modules.checkpoint import read_checkpoint
from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.checkpoint import MAKER
from lightning_modules.ubdiff.latents import IndexedNoise
from lightning_modules.ubdiff.module import UBDiffModule
from lightning_modules.ubdiff.pairs import PairBatch, seismic_of
from lightning_modules.ubdiff_baselines.networks import SeparateLatents, build_separate_latents

ENCODING_BLOCK = 64


class SeparateLatentsModule(UBDiffModule):
    """A baseline generator with a latent for each modality.

    Its settings are `UBDiffModule`'s, with these differences. The seismic encoder has the sizes `seismic_patch`,
    `seismic_width`, `seismic_depth` and `seismic_heads`, whatever the decoder. Each of `unpaired`'s two denoisers has
    the whole size that the settings give.

    Args:
        baseline: `joint` or `unpaired`.
        stage: What is trained or, for `evaluate`, that nothing is.
        latent_dim: Length of z_v and of z_s each.
        seismic_decoder: As there, but `kirchhoff` is refused: it reads the map, and a gather made from its map would be
            paired with it by construction, which is what a baseline has to learn.
        direct_wave: `learned`; `exact` is refused for the same reason.
        freeze: Taken so that UB-Diff's presets apply, as is `thaw_after`: stage `paired` trains nothing of the velocity
            side.
        flip: Stage `autoencoder` alone: mirror half of the maps left to right. A mirrored gather is another gather, so
            that the latents of pairs are not mirrored.

    Raises:
        ModuleError: If a setting is impossible, or `initial_weights` does not fit.
    """

    networks: SeparateLatents

    def __init__(
        self,
        baseline: Literal["joint", "unpaired"] = "joint",
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
        super().__init__(
            stage=stage,
            latent_dim=latent_dim,
            n_time=n_time,
            velocity_widths=velocity_widths,
            velocity_strides=velocity_strides,
            velocity_blocks=velocity_blocks,
            velocity_fine_width=velocity_fine_width,
            seismic_decoder=seismic_decoder,
            seismic_patch=seismic_patch,
            seismic_width=seismic_width,
            seismic_depth=seismic_depth,
            seismic_heads=seismic_heads,
            cnn_width=cnn_width,
            single_token_width=single_token_width,
            single_token_depth=single_token_depth,
            denoiser=denoiser,
            denoiser_width=denoiser_width,
            denoiser_depth=denoiser_depth,
            unet_width=unet_width,
            unet_multipliers=unet_multipliers,
            prediction=prediction,
            n_diffusion_steps=n_diffusion_steps,
            sampler=sampler,
            n_sampling_steps=n_sampling_steps,
            n_refinements=n_refinements,
            sampling_seed=sampling_seed,
            flip=flip,
            squared_weight=squared_weight,
            amplitude_weight=amplitude_weight,
            seismic_log_range=seismic_log_range,
            ema_decay=ema_decay,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            adam_betas=adam_betas,
            schedule=schedule,
            warmup_steps=warmup_steps,
            initial_weights=initial_weights,
        )

    def _build_networks(self) -> SeparateLatents:
        return build_separate_latents(self.hparams)

    def forward(self, velocity: Tensor, seismic: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Reconstruct velocity maps and gathers, normalised, each through its own autoencoder."""
        return self.decode(self.networks.encode_pair(velocity, seismic))

    @property
    def trained(self) -> list[nn.Module]:
        """The networks that this stage trains."""
        parts = self.networks.parts()
        names: dict[str, tuple[str, ...]] = {
            "autoencoder": ("encoder", "velocity_decoder"),
            "paired": ("seismic_encoder", "seismic_decoder"),
            "diffusion": ("denoiser",),
            "evaluate": (),
        }
        return [network for name in names[self.stage] for network in parts[name]]

    # -- starting weights and the latents of the pairs

    def setup(self, stage: str) -> None:
        """Load `initial_weights`, which must be of the same baseline."""
        path, wanted = self.hparams["initial_weights"], self.hparams["baseline"]
        if path is not None and not self._has_weights:
            found = read_checkpoint(path, "initial_weights", MAKER)["hyper_parameters"].get("baseline")
            if found != wanted:
                raise ModuleError(
                    f"initial_weights: {path} was made by {f'baseline {found}' if found else 'UB-Diff itself'}, but "
                    f"baseline {wanted} is wanted here; name the checkpoint of a run of that baseline."
                )
        super().setup(stage)

    def on_fit_start(self) -> None:
        """Refuse to build on networks that nobody trained."""
        if self.stage != "autoencoder":
            self._refuse_untrained()

    def on_train_start(self) -> None:
        """Stage `diffusion`: standardise the latents of the pairs that stage `paired` left."""
        if self.stage != "diffusion":
            return
        latents = self.networks.pair_latents.of_training
        n_samples = len(_dataset(self.trainer.train_dataloader))
        if len(latents) != n_samples:
            raise ModuleError(
                f"initial_weights: {self.hparams['initial_weights']} holds the latents of {len(latents)} pairs and the "
                f"data give {n_samples} training samples; start from stage 'paired', and give both stages the "
                f"same data.n_pairs, with data.content 'maps_of_pairs' or 'pairs' here."
            )
        self.networks.latent_scaler.fit(latents)
        self._training_latents = self.networks.latent_scaler.standardise(latents)[None]

    def on_train_end(self) -> None:
        """Stage `paired`: encode all pairs, for the stage to come."""
        if self.stage == "paired":
            self._keep_pair_latents()

    def on_fit_end(self) -> None:
        """Do what `on_train_end` does where a resumed training had no epoch left to train."""
        if self.stage == "paired" and not len(self.networks.pair_latents.of_training):
            self.trainer.fit_loop.epoch_loop.val_loop.setup_data()
            self._keep_pair_latents()

    def _keep_pair_latents(self) -> None:
        kept = self.networks.pair_latents
        kept.of_training = self._encode_pairs(self.trainer.train_dataloader)
        if self.trainer.val_dataloaders is not None:
            kept.of_validation = self._encode_pairs(self.trainer.val_dataloaders)

    @torch.no_grad()
    def _encode_pairs(self, loader: Any) -> Tensor:
        """Latents of all of a loader's pairs in their own order `(n, 2 * latent_dim)`; every process encodes all."""
        dataset, collate = _dataset(loader), cast(DataLoader[Any], loader).collate_fn
        latents = torch.zeros(len(dataset), self.networks.latent_dim, device=self.device)
        for block in DataLoader(cast(Any, dataset), ENCODING_BLOCK, collate_fn=collate, generator=torch.Generator()):
            batch = cast(PairBatch, self.trainer.strategy.batch_to_device(block, self.device))
            latents[batch.index] = self.networks.encode_pair(batch.velocity, seismic_of(batch))
        return latents

    # -- steps

    def _reconstruction_step(self, batch: PairBatch, split: str) -> Tensor:
        if self.stage == "autoencoder":
            return super()._reconstruction_step(batch, split)
        return self._seismic_loss(self.networks.encode_seismic(seismic_of(batch)), batch, split)

    def _step(self, batch: PairBatch, split: Literal["train", "val"]) -> Tensor:
        if self.stage != "diffusion" or split == "train":
            return super()._step(batch, split)
        loss, n_pairs = self._validation_loss(batch.index)
        self.log("val/loss", loss, batch_size=n_pairs, on_step=False, on_epoch=True, sync_dist=True, prog_bar=True)
        return loss

    def _validation_loss(self, index: Tensor) -> tuple[Tensor, int]:
        """Ask the same question each time, as `UBDiffModule` does; and of how many pairs."""
        networks, latents = self.networks, self.networks.pair_latents.of_validation
        index = index[index < len(latents)]  # of the validation maps, the first are the pairs
        if not len(index):
            return torch.zeros((), device=self.device), 0
        clean = networks.latent_scaler.standardise(latents[index])
        noise = IndexedNoise(index.tolist(), 0, clean.shape[1]).draw().to(self.device)
        step = (index * 97) % networks.diffusion.n_steps
        return networks.diffusion.loss(networks.averaged_denoiser, clean, noise, step), len(index)

    def test_step(self, batch: PairBatch, batch_idx: int) -> Mapping[str, Tensor]:
        """Log normalised errors of held-out pairs, and return their reconstructions.

        The seismic figures mean another thing than UB-Diff's of the same name: a gather is reconstructed from the
        gather itself, and not predicted from its map.

        Returns:
            `velocity` and `seismic` as each autoencoder gives them back, and the samples' `index`.
        """
        truth = seismic_of(batch)
        velocity, seismic = self(batch.velocity, truth)
        self.velocity_mae(velocity, batch.velocity)
        self.velocity_ssim(velocity, batch.velocity)
        self.seismic_mae(seismic, truth)
        self.log("test/velocity_mae", self.velocity_mae)
        self.log("test/velocity_ssim", self.velocity_ssim)
        self.log("test/seismic_mae", self.seismic_mae)
        return {"index": batch.index, "velocity": velocity, "seismic": seismic}


def _dataset(loader: Any) -> Sized:
    return cast(Sized, cast(DataLoader[Any], loader).dataset)
