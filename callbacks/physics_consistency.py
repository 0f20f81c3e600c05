"""Does the generated seismic belong to the generated map? The exact operator tells.

Relative L2 of the generated gathers d against the exact simulation F(v) of the generated maps, raw and residual:
raw     sqrt(sum |d - F(v)|^2 / sum |F(v)|^2)
residual sqrt(sum |d - F(v)|^2 / sum |F(v) - F(v_top)|^2), v_top the map filled with its top velocity.
The direct wave dominates a gather; the residual divides by what is left without it, so that 1 is the score of the
direct wave alone. Both are pooled over pairs, for all shots together and for each. The control gives each map its
neighbour's gather.
"""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from datamodules.simulate.wave_equation import HIGHEST_VELOCITY_M_S, fill_with_top_velocity
from datamodules.simulate.wave_equation_torch import simulate_gathers_on
from lightning_modules.metrics.relative_l2 import RelativeL2

Array = npt.NDArray[np.float32]

BLOCK = 64


def exact_gathers(velocity_m_s: Array, time_stride: int, device: torch.device | str = "cpu") -> Array:
    """Exact gathers `(n, 5, T, 70)` of maps `(n, 70, 70)`, m/s, every `time_stride`-th sample of 1 ms kept.

    Simulated block by block, so that the full rate never lies in memory as a whole.
    """
    workers = os.cpu_count() or 1
    blocks = range(0, len(velocity_m_s), BLOCK)
    bar = tqdm(blocks, desc="simulating exact gathers", unit=f"{BLOCK} maps")
    return np.concatenate(
        [
            simulate_gathers_on(device, velocity_m_s[k : k + BLOCK], workers=workers, time_stride=time_stride)
            for k in bar
        ]
    )


def relative_l2(prediction: Array, target: Array, reference: Array | None = None) -> float:
    """Pooled relative L2 of gathers that lie in memory."""
    metric = RelativeL2()
    metric.update(
        torch.from_numpy(np.ascontiguousarray(prediction)),
        torch.from_numpy(np.ascontiguousarray(target)),
        None if reference is None else torch.from_numpy(np.ascontiguousarray(reference)),
    )
    return float(metric.compute())


def shot_misfits(prediction: Array, target: Array, reflections: Array) -> dict[str, float]:
    """Raw and residual relative L2 of each shot of gathers `(n, shot, time, receiver)`, by metric name."""
    misfits = {}
    for shot in range(target.shape[1]):
        made, exact, reference = (gathers[:, shot] for gathers in (prediction, target, reflections))
        misfits[f"physics/shot_{shot}/relative_l2"] = relative_l2(made, exact)
        misfits[f"physics/shot_{shot}/residual_relative_l2"] = relative_l2(made, exact, reference)
    return misfits


class PhysicsConsistency(Callback):
    """Forward-model the first generated pairs during `predict`.

    Maps are clipped to 1,000..5,900 m/s before simulation; how many cells that changed is a metric.

    Args:
        n_pairs: How many pairs, at least 20 for a figure that means something.
        time_stride: Of the generated gathers, in OpenFWI's samples of 1 ms.

    Attributes:
        metrics: `physics/relative_l2`, `physics/residual_relative_l2`, the same as `physics/shot_<k>/...` (k from 0,
            left to right), `physics/shuffled_residual_relative_l2`, `physics/n_pairs`, `physics/clipped_cells` after
            the prediction.
        velocity: The maps simulated, m/s.
        seismic: Their generated gathers.
        simulated: Their exact gathers.
        reflections: The exact gathers less their direct wave.
    """

    def __init__(self, n_pairs: int, time_stride: int) -> None:
        self.n_pairs = n_pairs
        self.time_stride = time_stride
        self.metrics: dict[str, float] = {}
        self._kept: list[tuple[Array, Array]] = []
        self.velocity = self.seismic = self.simulated = self.reflections = np.zeros((0, 0), np.float32)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what is to be simulated."""
        missing = self.n_pairs - sum(len(velocity) for velocity, _ in self._kept)
        if missing > 0:
            normalization = trainer.datamodule.normalization  # type: ignore[attr-defined]
            velocity = normalization.denormalize_velocity(outputs.velocity[:missing, 0])
            seismic = normalization.denormalize_seismic(outputs.seismic[:missing])
            self._kept.append((velocity.float().cpu().numpy(), seismic.float().cpu().numpy()))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Simulate and compare."""
        velocity = np.concatenate([v for v, _ in self._kept])
        self.seismic = np.concatenate([s for _, s in self._kept])
        self._kept = []
        self.velocity = velocity.clip(1000.0, HIGHEST_VELOCITY_M_S)
        self.simulated = exact_gathers(self.velocity, self.time_stride, pl_module.device)
        direct = exact_gathers(fill_with_top_velocity(self.velocity), self.time_stride, pl_module.device)
        self.reflections = self.simulated - direct
        self.metrics = {
            "physics/relative_l2": relative_l2(self.seismic, self.simulated),
            "physics/residual_relative_l2": relative_l2(self.seismic, self.simulated, self.reflections),
            **shot_misfits(self.seismic, self.simulated, self.reflections),
            "physics/shuffled_residual_relative_l2": relative_l2(
                np.roll(self.seismic, 1, axis=0), self.simulated, self.reflections
            ),
            "physics/n_pairs": float(len(velocity)),
            "physics/clipped_cells": float((velocity != self.velocity).sum()),
        }
