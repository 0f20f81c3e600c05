"""Are generated maps and gathers distributed like the real ones, and are they new?

Frechet and kernel distances in the space of principal components that are fitted on the training samples, against
held-out real samples, always beside the same-n real-to-real floor (`frechet_against_held_out` says which sets), and
the distance to the nearest training sample. Nothing but features is kept of a generated gather.

Two controls stand beside the generated maps: training maps in their place (a perfect generator, with the spread that
chance gives it) and the autoencoder's reconstructions of held-out maps, which a generator behind it can hardly better.
"""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_modules.metrics.features import FeatureExtractor, PCAFeatures
from lightning_modules.metrics.frechet import frechet_against_held_out
from lightning_modules.metrics.kid import KernelDistance
from lightning_modules.metrics.nearest import NearestTrainingRatio, nearest_distances

BLOCK = 128
CONTROL_DRAWS, CONTROL_SPLITS = 10, 4
MINIMUM = 2  # samples that have a covariance
KINDS = ("generated", "held_out", "training", "reconstruction")


class FrechetEvaluation(Callback):
    """Judge the generated samples' distribution during `predict`.

    Args:
        n_components: Principal components, of maps and of gathers.
        max_gathers: Gathers of training pairs that the components are fitted on, and held-out gathers, at most: they
            lie in memory at once, 350 kB each at a stride of 4, 1.4 MB at full rate.
        n_splits: Random partings of the held-out samples that distances are averaged over.
        further: More feature networks for velocity maps; their figures are `velocity/<key>/frechet` and so on.

    Attributes:
        metrics: After the prediction, for `velocity` and for `seismic`: `frechet`, `frechet_floor`, `frechet_ratio`,
            `frechet_n`, `frechet_whitened_ratio`, `kid`, `kid_sd`; `velocity/nearest_training_map_ratio` and
            `seismic/nearest_training_gather_ratio`; `velocity/frechet[_whitened]_ratio_of_training_maps` and `_sd`;
            `velocity/reconstruction_frechet` and `velocity/reconstruction_frechet_ratio`. Figures for which there are
            too few samples are left out.
        features: Name and digest of the feature networks by figure, for captions.
    """

    def __init__(
        self,
        n_components: int = 64,
        max_gathers: int = 512,
        n_splits: int = 20,
        further: Mapping[str, FeatureExtractor] | None = None,
    ) -> None:
        self.n_components, self.max_gathers, self.n_splits = n_components, max_gathers, n_splits
        self.further = dict(further or {})
        self.metrics: dict[str, float] = {}
        self.features: dict[str, str] = {}
        self._networks: dict[str, FeatureExtractor] = {}
        self._kept: dict[str, dict[str, list[Tensor]]] = {}
        self._nearest: NearestTrainingRatio | None = None

    @torch.no_grad()
    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit the components, and note the features of the real samples."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        device = pl_module.device
        self.metrics, self._networks = {}, {}
        maps = {
            part: data.normalization.normalize_velocity(torch.from_numpy(data.physical_maps(part)[:, None]).to(device))
            for part in ("train", "test")
        }
        if min(len(block) for block in maps.values()) < MINIMUM:
            return
        self._networks["velocity"] = PCAFeatures.fit(maps["train"], self.n_components)
        for key, network in self.further.items():
            self._networks[f"velocity/{key}"] = network.to(device) if isinstance(network, torch.nn.Module) else network
        gathers = self._gathers(data, "train", device)
        if len(gathers) >= MINIMUM:
            self._networks["seismic"] = PCAFeatures.fit(gathers, self.n_components)
        self._kept = {key: {kind: [] for kind in KINDS} for key in self._networks}

        self._nearest = NearestTrainingRatio(maps["train"], mirrored=True, block=BLOCK).to(device)
        self._nearest.update(maps["test"], real=True)
        self._keep("velocity", "held_out", maps["test"])
        self._keep("velocity", "reconstruction", _reconstructions(pl_module, maps["test"]))
        self._keep("velocity", "training", maps["train"])
        self._keep("seismic", "training", gathers)
        del gathers
        self._keep("seismic", "held_out", self._gathers(data, "test", device))

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
        self._keep("velocity", "generated", outputs.velocity.float())
        self._keep("seismic", "generated", outputs.seismic.float())
        self._nearest.update(outputs.velocity.float(), real=False)

    @torch.no_grad()
    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare, and let go of everything else."""
        if self._nearest is None:
            return
        kept = {
            key: {kind: torch.cat(parts) for kind, parts in kinds.items() if parts} for key, kinds in self._kept.items()
        }
        self.metrics = {"velocity/nearest_training_map_ratio": float(self._nearest.compute())}
        for key, network in self._networks.items():
            self.metrics |= self._distances(key, kept[key], network)
        self.metrics["velocity/frechet_fitted_maps"] = float(len(kept["velocity"]["training"]))
        if "seismic" in kept:
            # In the components' space, which generated and held-out gathers are equally strange to.
            seismic = kept["seismic"]
            nearest = (nearest_distances(seismic[kind], seismic["training"]) for kind in ("generated", "held_out"))
            generated, held_out = (float(distances.median()) for distances in nearest)
            self.metrics["seismic/nearest_training_gather_ratio"] = generated / held_out
            self.metrics["seismic/frechet_fitted_gathers"] = float(len(seismic["training"]))
        self.features = {
            f"{key}/frechet": f"{network.name} ({network.digest})" for key, network in self._networks.items()
        }
        self._networks, self._kept, self._nearest = {}, {}, None

    def _gathers(self, data: Any, part: str, device: torch.device) -> Tensor:
        """The first gathers of a part, normalised."""
        gathers = torch.from_numpy(data.physical_pairs(part, self.max_gathers).seismic)
        for block in torch.split(gathers, BLOCK):
            block.copy_(data.normalization.normalize_seismic(block))  # ours alone; a second copy would double the peak
        return gathers.to(device)

    def _keep(self, modality: str, kind: str, samples: Tensor) -> None:
        for key, network in self._networks.items():
            # Training samples serve the principal components alone: a further network would take minutes for them.
            if key == modality or (key.startswith(f"{modality}/") and kind != "training"):
                self._kept[key][kind] += [network(block).cpu() for block in torch.split(samples, BLOCK)]

    def _distances(self, key: str, kept: Mapping[str, Tensor], network: FeatureExtractor) -> dict[str, float]:
        """Distances of one feature space, by full name."""
        generated, held_out = kept["generated"], kept["held_out"]
        # Large feature spaces cost seconds a distance, and average over more directions in each.
        n_splits = self.n_splits if network.n_features <= 256 else min(3, self.n_splits)
        result = frechet_against_held_out(generated, held_out, n_splits)
        if result is None:
            return {}
        metrics = {
            f"{key}/frechet": result.distance,
            f"{key}/frechet_floor": result.floor,
            f"{key}/frechet_ratio": result.ratio,
            f"{key}/frechet_n": float(result.n),
        }
        spaces: dict[str, Tensor | float] = {"": 1.0}
        if isinstance(network, PCAFeatures):
            spaces["_whitened"] = network.deviations.cpu()
            whitened = frechet_against_held_out(
                generated / spaces["_whitened"], held_out / spaces["_whitened"], n_splits
            )
            assert whitened is not None
            metrics[f"{key}/frechet_whitened_ratio"] = whitened.ratio
        unit = list(spaces.values())[-1]
        metrics[f"{key}/kid"], metrics[f"{key}/kid_sd"] = _kernel_distance(generated / unit, held_out / unit)
        if "reconstruction" in kept:
            back = frechet_against_held_out(kept["reconstruction"], held_out, n_splits, n=result.n, same_rows=True)
            assert back is not None
            metrics[f"{key}/reconstruction_frechet"] = back.distance
            metrics[f"{key}/reconstruction_frechet_ratio"] = back.ratio
        if key == "velocity" and len(kept["training"]) >= result.n:
            for space, unit in spaces.items():
                ratios = _ratios_of_training_samples(kept["training"] / unit, held_out / unit, result.n)
                metrics[f"velocity/frechet{space}_ratio_of_training_maps"] = float(ratios.mean())
                metrics[f"velocity/frechet{space}_ratio_of_training_maps_sd"] = float(ratios.std(unbiased=False))
        return metrics


def _kernel_distance(generated: Tensor, held_out: Tensor) -> tuple[float, float]:
    metric = KernelDistance(generated.shape[1])
    metric.update(generated, real=False)
    metric.update(held_out, real=True)
    mean, deviation = metric.compute()
    return float(mean), float(deviation)


def _reconstructions(pl_module: LightningModule, maps: Tensor) -> Tensor:
    networks: Any = pl_module.networks
    return torch.cat([networks.decode_velocity(networks.encode(block)) for block in torch.split(maps, BLOCK)])


def _ratios_of_training_samples(training: Tensor, held_out: Tensor, n: int) -> Tensor:
    """Ratios to the floor that random draws of n training samples score in the generated samples' place."""
    generator = torch.Generator().manual_seed(0)
    ratios = []
    for _ in range(CONTROL_DRAWS):
        drawn = training[torch.randperm(len(training), generator=generator)[:n]]
        result = frechet_against_held_out(drawn, held_out, CONTROL_SPLITS)
        ratios.append(result.ratio if result else float("nan"))
    return torch.tensor(ratios)
