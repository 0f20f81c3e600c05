"""Are generated maps and gathers distributed like the real ones, and are they new?

Frechet and kernel distances to held-out real samples with their floor and controls (`lightning_modules.metrics.
distribution`), in up to three feature spaces for each modality: principal components of the training samples, a judge
trained on the family's real training samples, and ImageNet's EfficientNet-Lite0; and the distance to the nearest
training sample. Nothing but features is kept of a generated gather.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.feature_networks import (
    efficientnet,
    features_in_blocks,
    kept_features,
    seismic_judge,
    velocity_judge,
)
from lightning_modules.metrics.distribution import MANY_FEATURES, FeatureSets, distribution_metrics
from lightning_modules.metrics.features import FeatureExtractor, PCAFeatures
from lightning_modules.metrics.nearest import NearestTrainingRatio, nearest_distances

BLOCK = 128
MINIMUM = 2  # samples that have a covariance
PCA_GATHERS = 512  # that components are fitted on: what more of them add is not worth their time
SLOW_SAMPLES = 500  # that a slow network (15 ms a sample) is shown of each set


class FrechetEvaluation(Callback):
    """Judge the generated samples' distribution during `predict`.

    Args:
        n_components: Principal components, of maps and of gathers.
        max_gathers: Gathers of training pairs, and held-out gathers, at most: they lie in memory at once, 350 kB each
            at a stride of 4, 1.4 MB at full rate.
        n_splits: Random partings of the held-out samples that distances are averaged over.
        family_encoder: Whether to judge by encoders trained on the family too; 30 CPU-s a modality, the first time.
        use_efficientnet: Whether to judge by the ImageNet network too; where it is not installed it is left out.
        cache_root: Where judges and the features of real samples are kept; None: nowhere.
        further: More feature networks by `velocity/<name>` or `seismic/<name>`.

    Attributes:
        metrics: After the prediction, what `distribution_metrics` says, as `velocity/...`, `seismic/...` for principal
            components, as `velocity/<name>/...`, `seismic/<name>/...` with the name `family_encoder` or `efficientnet`
            for the others; `..._of_training_samples` is `..._of_training_maps` or `..._gathers`. Further
            `velocity/nearest_training_map_ratio`, `seismic/nearest_training_gather_ratio`,
            `velocity/frechet_fitted_maps`, `seismic/frechet_fitted_gathers`. Figures for which there are too few
            samples are left out.
        features: Name and digest of the feature networks by figure, for captions.
    """

    def __init__(
        self,
        n_components: int = 64,
        max_gathers: int = 1024,
        n_splits: int = 20,
        family_encoder: bool = False,
        use_efficientnet: bool = False,
        cache_root: str | None = None,
        further: Mapping[str, FeatureExtractor] | None = None,
    ) -> None:
        self.n_components, self.max_gathers, self.n_splits = n_components, max_gathers, n_splits
        self.family_encoder, self.use_efficientnet = family_encoder, use_efficientnet
        self.cache_root = Path(cache_root).expanduser() if cache_root else None
        self.further = dict(further or {})
        self.metrics: dict[str, float] = {}
        self.features: dict[str, str] = {}
        self._networks: dict[str, FeatureExtractor] = {}
        self._real: dict[str, dict[str, Tensor]] = {}
        self._generated: dict[str, list[Tensor]] = {}
        self._held_out_maps = torch.zeros(0)
        self._nearest: NearestTrainingRatio | None = None

    @torch.no_grad()
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit the components, and note the features of the real samples."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        device = pl_module.device
        self.metrics, self.features, self._networks, self._real = {}, {}, {}, {}
        physical = {part: torch.from_numpy(data.physical_maps(part)) for part in ("train", "test")}
        maps = {
            part: data.normalization.normalize_velocity(block[:, None].to(device)) for part, block in physical.items()
        }
        if min(len(block) for block in maps.values()) < MINIMUM:
            return
        self._networks["velocity"] = PCAFeatures.fit(maps["train"], self.n_components)
        if self.family_encoder:
            self._add(
                "velocity/family_encoder",
                velocity_judge(maps["train"], physical["train"], data.family.name, self.cache_root),
                device,
            )
        imagenet = efficientnet() if self.use_efficientnet else None
        for key, network in (
            *((f"{modality}/efficientnet", imagenet) for modality in ("velocity", "seismic")),
            *self.further.items(),
        ):
            if network is not None:
                self._add(key, network, device)
        self._nearest = NearestTrainingRatio(maps["train"], mirrored=True, block=BLOCK).to(device)
        self._nearest.update(maps["test"], real=True)
        self._held_out_maps = maps["test"]
        self._note_real("velocity", maps["train"], maps["test"])

        pairs = data.physical_pairs("train", self.max_gathers)
        gathers = self._normalised(data, pairs.seismic, device)
        if len(gathers) >= MINIMUM:
            self._networks["seismic"] = PCAFeatures.fit(gathers[:PCA_GATHERS], self.n_components)
            if self.family_encoder:
                its_maps = data.normalization.normalize_velocity(torch.from_numpy(pairs.velocity_m_s)[:, None])
                judge = seismic_judge(gathers, its_maps, data.family.name, self.cache_root)
                self._add("seismic/family_encoder", judge, device)
            held_out = self._normalised(data, data.physical_pairs("test", self.max_gathers).seismic, device)
            self._note_real("seismic", gathers, held_out)
        self._networks = {key: network for key, network in self._networks.items() if key in self._real}
        self._generated = {key: [] for key in self._networks}

    @torch.no_grad()
    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Reduce a batch to its features."""
        if self._nearest is None:
            return
        samples = {"velocity": outputs.velocity.float(), "seismic": outputs.seismic.float()}
        for key, network in self._networks.items():
            chosen = samples[_modality(key)]
            if _is_slow(network):
                # As many as are compared with half of the held-out samples.
                wanted = min(SLOW_SAMPLES, len(self._real[key]["held_out"]) // 2)
                chosen = chosen[: max(0, wanted - sum(len(part) for part in self._generated[key]))]
            if len(chosen):
                self._generated[key].append(features_in_blocks(network, chosen))
        self._nearest.update(samples["velocity"], real=False)

    @torch.no_grad()
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare, and let go of everything else."""
        if self._nearest is None:
            return
        self.metrics = {"velocity/nearest_training_map_ratio": float(self._nearest.compute())}
        back = _reconstructions(pl_module, self._held_out_maps)
        for key, network in self._networks.items():
            if not self._generated[key]:
                continue
            real = self._real[key]
            generated = torch.cat(self._generated[key])
            reconstruction = None
            if _modality(key) == "velocity":
                reconstruction = features_in_blocks(network, back[: len(real["held_out"])])
            sets = FeatureSets(generated, real["held_out"], reconstruction, real.get("training"))
            found = distribution_metrics(sets, network, self.n_splits)
            samples = "maps" if _modality(key) == "velocity" else "gathers"
            for name, value in found.items():
                self.metrics[f"{key}/{name.replace('training_samples', f'training_{samples}')}"] = value
            self.features[f"{key}/frechet"] = f"{network.name} ({network.digest})"
            if key == "velocity":
                self.metrics["velocity/frechet_fitted_maps"] = float(len(real["training"]))
            if key == "seismic":
                # In the components' space, which generated and held-out gathers are equally strange to.
                medians = [
                    float(nearest_distances(samples, real["training"]).median())
                    for samples in (generated, real["held_out"])
                ]
                self.metrics["seismic/nearest_training_gather_ratio"] = medians[0] / medians[1]
                self.metrics["seismic/frechet_fitted_gathers"] = float(min(len(real["training"]), PCA_GATHERS))
        self._networks, self._real, self._generated, self._nearest = {}, {}, {}, None
        self._held_out_maps = torch.zeros(0)

    def _add(self, key: str, network: FeatureExtractor, device: torch.device) -> None:
        self._networks[key] = network.to(device) if isinstance(network, torch.nn.Module) else network

    def _normalised(self, data: Any, seismic: Any, device: torch.device) -> Tensor:
        gathers = torch.from_numpy(seismic)
        for block in torch.split(gathers, BLOCK):
            block.copy_(data.normalization.normalize_seismic(block))  # ours alone; a second copy would double the peak
        return gathers.to(device)

    def _note_real(self, modality: str, training: Tensor, held_out: Tensor) -> None:
        """Features of real samples; a slow network is spared the training samples."""
        if len(held_out) < MINIMUM:
            return
        for key, network in self._networks.items():
            if _modality(key) != modality:
                continue
            if _is_slow(network):
                self._real[key] = {"held_out": kept_features(network, held_out[: 2 * SLOW_SAMPLES], self.cache_root)}
            else:
                self._real[key] = {
                    "held_out": features_in_blocks(network, held_out),
                    "training": features_in_blocks(network, training),
                }


def _modality(key: str) -> str:
    return key.split("/")[0]


def _is_slow(network: FeatureExtractor) -> bool:
    return network.n_features > MANY_FEATURES


def _reconstructions(pl_module: LightningModule, maps: Tensor) -> Tensor:
    networks: Any = pl_module.networks
    return torch.cat([networks.decode_velocity(networks.encode(block)) for block in torch.split(maps, BLOCK)])
