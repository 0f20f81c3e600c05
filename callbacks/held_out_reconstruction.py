"""How well are held-out pairs reconstructed from their map, in physical units?"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics.image import StructuralSimilarityIndexMeasure

from callbacks.physics_consistency import exact_gathers, relative_l2
from datamodules.simulate.wave_equation import fill_with_top_velocity

Array = npt.NDArray[np.float32]

BLOCK = 128


class HeldOutReconstruction(Callback):
    """Errors of the held-out pairs' reconstructions during `test`, and of all held-out maps'.

    The true gather of a held-out pair is F(v) itself, so that the residual relative L2 is that of
    `physics_consistency` with the decoded gather in place of the generated one.

    Args:
        time_stride: Of the gathers, in OpenFWI's samples of 1 ms.
        max_pairs: Pairs whose amplitudes are compared and whose direct waves are simulated, at most (the first ones;
            they lie in memory); `seismic/mae` is that of all held-out pairs.

    Attributes:
        metrics: `velocity/mae_m_s`, `velocity/ssim`, `seismic/mae`, `seismic/relative_l2`,
            `seismic/residual_relative_l2`, `held_out/n_pairs` (those compared), `held_out/n_maps` after the test.
        velocity: True maps, m/s; `velocity_back`, `seismic`, `seismic_back` likewise.
    """

    def __init__(self, time_stride: int, max_pairs: int = 256) -> None:
        self.time_stride, self.max_pairs = time_stride, max_pairs
        self.metrics: dict[str, float] = {}
        self._kept: list[tuple[Array, Array, Array, Array]] = []
        self.velocity = self.velocity_back = self.seismic = self.seismic_back = np.zeros((0, 0), np.float32)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the batch in physical units."""
        missing = self.max_pairs - sum(len(velocity) for velocity, *_ in self._kept)
        if missing <= 0:
            return
        normalization = trainer.datamodule.normalization  # type: ignore[attr-defined]
        self._kept.append(
            (
                normalization.denormalize_velocity(batch.velocity[:missing, 0]).cpu().numpy(),
                normalization.denormalize_velocity(outputs["velocity"][:missing, 0]).cpu().numpy(),
                normalization.denormalize_seismic(batch.seismic[:missing]).cpu().numpy(),
                normalization.denormalize_seismic(outputs["seismic"][:missing]).cpu().numpy(),
            )
        )

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare."""
        self.velocity, self.velocity_back, self.seismic, self.seismic_back = (
            np.concatenate(parts) for parts in zip(*self._kept, strict=True)
        )
        self._kept = []
        direct = exact_gathers(fill_with_top_velocity(self.velocity), self.time_stride)
        mae_m_s, ssim, n_maps = _all_held_out_maps(trainer, pl_module)
        self.metrics = {
            "velocity/mae_m_s": mae_m_s,
            "velocity/ssim": ssim,
            "held_out/n_maps": float(n_maps),
            "seismic/mae": float(trainer.callback_metrics["test/seismic_mae"]),
            "seismic/relative_l2": relative_l2(self.seismic_back, self.seismic),
            "seismic/residual_relative_l2": relative_l2(self.seismic_back, self.seismic, self.seismic - direct),
            "held_out/n_pairs": float(len(self.velocity)),
        }


@torch.no_grad()
def _all_held_out_maps(trainer: Trainer, pl_module: LightningModule) -> tuple[float, float, int]:
    """Mean absolute error in m/s, SSIM on [-1, 1] and number of all held-out maps, with or without gathers."""
    module: Any = pl_module
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    maps = data.physical_maps("test")
    ssim = StructuralSimilarityIndexMeasure(data_range=2.0).to(module.device)
    error_m_s = 0.0
    for start in range(0, len(maps), BLOCK):
        true = torch.from_numpy(maps[start : start + BLOCK, None]).to(module.device)
        normalised = data.normalization.normalize_velocity(true)
        back = module.networks.decode_velocity(module.networks.encode(normalised))
        ssim.update(back, normalised)
        error = (data.normalization.denormalize_velocity(back) - true).abs().mean(dim=(1, 2, 3))
        error_m_s += float(error.double().sum())
    return error_m_s / len(maps), float(cast(Tensor, ssim.compute())), len(maps)
