"""Which pairs teach inversion best? Networks trained on different sets, on the same held-out real pairs.

MAE, MSE, RMSE and SSIM are those of OpenFWI's tables (`lightning_modules.inversion.quality`), so that the published
values can stand beside: those are of the full network, trained for 120 epochs on all 24,000 to 60,000 pairs of the
family and tested on OpenFWI's own held-out files. Controls: the mean of the training maps whatever the gather, and the
map of the training pair whose gather is nearest. The same gathers again under each effect of
`datamodules.simulate.field_effects` tell how much of it would survive in the field.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from datamodules.simulate.field_effects import FIELD_EFFECTS
from lightning_modules.inversion.checkpoint import load_inversion_net
from lightning_modules.inversion.network import InversionNet
from lightning_modules.inversion.quality import InversionErrors

Array = npt.NDArray[np.float32]

PUBLISHED: dict[str, tuple[float, float, float]] = {
    "FlatVel-A": (0.0131, 0.00045, 0.9895),
    "FlatVel-B": (0.0352, 0.0077, 0.9461),
    "CurveVel-A": (0.0685, 0.0162, 0.8074),
    "CurveVel-B": (0.1497, 0.0836, 0.6727),
    "FlatFault-A": (0.0172, 0.0018, 0.9766),
    "FlatFault-B": (0.1055, 0.0303, 0.7208),
    "CurveFault-A": (0.0259, 0.0042, 0.9566),
    "CurveFault-B": (0.1646, 0.0606, 0.6136),
    "Style-A": (0.0626, 0.0105, 0.8859),
    "Style-B": (0.0689, 0.0260, 0.6314),
}
"""InversionNet's MAE, MSE and SSIM by family in OpenFWI's benchmark: published, full data, on GPUs; not ours."""

HALF_RANGE_M_S = 1500.0
_BLOCK = 64
_NEAREST_AMONG = 1000
_NEAREST_STRIDE = 4


class InversionEvaluation(Callback):
    """Judge inversion networks at the end of `test`.

    Args:
        networks: What a network was trained on -> path of its checkpoint; read when they are needed.
        n_field_pairs: How many of the held-out pairs meet the field effects; 0 for none.
        seed: Of the field effects.

    Attributes:
        metrics: `inversion/<trained on>/mae|mse|rmse|ssim|mae_m_s`, the same of `mean_map` and of
            `nearest_gather`, `inversion/published/mae|mse|ssim`, `inversion/<trained on>/field/<effect>/mae`
            and `.../ssim` (`none`: the same pairs untouched), `inversion/n_pairs` and `inversion/n_field_pairs`.
        truth: Held-out maps `(n, 70, 70)`, m/s.
        inverted: Trained on -> inverted maps, likewise.
        field_mae: Trained on -> effect -> normalised MAE.
    """

    def __init__(self, networks: Mapping[str, str | Path], n_field_pairs: int = 128, seed: int = 0) -> None:
        self.networks = {name: Path(path) for name, path in networks.items()}
        self.n_field_pairs, self.seed = n_field_pairs, seed
        self.metrics: dict[str, float] = {}
        self.truth = np.zeros((0, 70, 70), np.float32)
        self.inverted: dict[str, Array] = {}
        self.field_mae: dict[str, dict[str, float]] = {}

    @torch.inference_mode()
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Load, invert, compare."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        held_out = data.physical_pairs("test")
        self.truth = held_out.velocity_m_s
        target = data.normalization.normalize_velocity(torch.from_numpy(self.truth))[:, None]
        seismic = data.normalization.normalize_seismic(torch.from_numpy(held_out.seismic))
        self.metrics = {"inversion/n_pairs": float(len(target))}
        networks = {name: load_inversion_net(path).to(pl_module.device) for name, path in self.networks.items()}
        for name, network in networks.items():
            velocity = invert(network, seismic)
            self._keep(name, velocity, target)
            self.inverted[name] = data.normalization.denormalize_velocity(velocity[:, 0]).numpy()
        self._controls(data, seismic, target)
        if data.family.name in PUBLISHED:
            published = zip(("mae", "mse", "ssim"), PUBLISHED[data.family.name], strict=True)
            self.metrics |= {f"inversion/published/{measure}": value for measure, value in published}
        if self.n_field_pairs and networks:
            self._field_effects(networks, held_out.seismic[: self.n_field_pairs], target, data)

    def _keep(self, name: str, velocity: Tensor, target: Tensor) -> None:
        errors = quality(velocity, target)
        errors["mae_m_s"] = HALF_RANGE_M_S * errors["mae"]
        self.metrics |= {f"inversion/{name}/{measure}": value for measure, value in errors.items()}

    def _controls(self, data: Any, seismic: Tensor, target: Tensor) -> None:
        """What no network at all would score."""
        maps = data.normalization.normalize_velocity(torch.from_numpy(data.physical_maps("train")))
        self._keep("mean_map", maps.mean(dim=0).expand_as(target), target)
        training = data.physical_pairs("train", _NEAREST_AMONG)
        gathers = data.normalization.normalize_seismic(
            torch.from_numpy(np.ascontiguousarray(training.seismic[:, :, ::_NEAREST_STRIDE]))
        )
        nearest = nearest_rows(seismic[:, :, ::_NEAREST_STRIDE], gathers)
        velocity = data.normalization.normalize_velocity(torch.from_numpy(training.velocity_m_s))[:, None]
        self._keep("nearest_gather", velocity[nearest], target)

    def _field_effects(self, networks: Mapping[str, InversionNet], gathers: Array, target: Tensor, data: Any) -> None:
        target = target[: len(gathers)]
        self.metrics["inversion/n_field_pairs"] = float(len(gathers))
        self.field_mae = {name: {} for name in networks}
        for effect, seismic in changed_gathers(gathers, data.time_step_s, self.seed):
            normalised = data.normalization.normalize_seismic(torch.from_numpy(seismic))
            for name, network in networks.items():
                errors = quality(invert(network, normalised), target)
                self.field_mae[name][effect] = errors["mae"]
                for measure in ("mae", "ssim"):
                    self.metrics[f"inversion/{name}/field/{effect}/{measure}"] = errors[measure]


def changed_gathers(gathers: Array, time_step_s: float, seed: int) -> Iterator[tuple[str, Array]]:
    """Gathers `(n, 5, time, 70)` untouched (`none`) and under each field effect in turn."""
    yield "none", gathers
    for name, effect in FIELD_EFFECTS.items():
        yield name, effect(gathers, time_step_s, seed)


def invert(network: InversionNet, seismic: Tensor) -> Tensor:
    """Velocity `(n, 1, 70, 70)` of gathers `(n, 5, time, 70)`, block by block, normalised, on the CPU."""
    device = next(network.parameters()).device
    return torch.cat([network(block.to(device)).float().cpu() for block in torch.split(seismic, _BLOCK)])


def quality(velocity: Tensor, target: Tensor) -> dict[str, float]:
    """`mae`, `mse`, `rmse` and `ssim` of normalised maps `(n, 1, 70, 70)`."""
    errors = InversionErrors()
    for some, true in zip(torch.split(velocity, _BLOCK), torch.split(target, _BLOCK), strict=True):
        errors.update(some, true)
    return {name: float(value) for name, value in errors.compute().items()}


def nearest_rows(wanted: Tensor, among: Tensor) -> Tensor:
    """For each gather the row of the nearest of others by Euclidean distance; int64 `(n,)`."""
    among = among.flatten(1)
    norms = among.square().sum(dim=1)
    return torch.cat(
        [(norms - 2.0 * block.flatten(1) @ among.T).argmin(dim=1) for block in torch.split(wanted, _BLOCK)]
    )
