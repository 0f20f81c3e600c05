"""How well does the autoencoder give maps back, as a distribution? Told after step 1, before a seismic decoder exists.

A generator behind an autoencoder can hardly do better than the autoencoder's own reconstructions. If their Frechet
distance is far above the floor, steps 2 and 3 need not be waited for.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.metrics.distribution import reconstruction_metrics
from lightning_modules.metrics.features import PCAFeatures

BLOCK = 128
MINIMUM = 4  # held-out maps: two halves that have a covariance each


class ReconstructionFrechet(Callback):
    """Frechet distance of held-out maps' reconstructions at the end of a fit, on the first process.

    It draws from no global random stream and leaves module and optimiser as they are.

    Args:
        n_components: Principal components of the training maps that are the features.
        n_splits: Random partings of the held-out maps that the distance is averaged over.

    Attributes:
        metrics: `velocity/reconstruction_frechet` and `velocity/reconstruction_frechet_ratio` after the fit; logged as
            well. Empty where there are too few maps.
        features: Name and digest of the components, for captions.
    """

    def __init__(self, n_components: int = 64, n_splits: int = 20) -> None:
        self.n_components, self.n_splits = n_components, n_splits
        self.metrics: dict[str, float] = {}
        self.features: dict[str, str] = {}

    @torch.no_grad()
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reconstruct and compare."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        networks: Any = pl_module.networks
        training, held_out = (
            data.normalization.normalize_velocity(torch.from_numpy(data.physical_maps(part)[:, None])).to(
                pl_module.device
            )
            for part in ("train", "test")
        )
        if min(len(training), len(held_out)) < MINIMUM:
            return
        components = PCAFeatures.fit(training, self.n_components)
        was_training = pl_module.training
        pl_module.eval()
        back = torch.cat([networks.decode_velocity(networks.encode(block)) for block in torch.split(held_out, BLOCK)])
        pl_module.train(was_training)
        found = reconstruction_metrics(components(back).cpu(), components(held_out).cpu(), self.n_splits)
        self.metrics = {f"velocity/{name}": value for name, value in found.items()}
        self.features = {"velocity/reconstruction_frechet": f"{components.name} ({components.digest})"}
        for logger in trainer.loggers:
            logger.log_metrics(self.metrics, step=trainer.global_step)
