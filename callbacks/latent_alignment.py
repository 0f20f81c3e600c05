"""Is one co-latent enough for both modalities, and is their relation near-linear, as UB-Diff's paper assumes?

The paper rests on a "near-linear relationship" of the two modalities' latent spaces and does not measure it. Three
questions, asked on pairs:

1. z'_v against z'_s, as the paper's text suggests. In UB-Diff both are linear in the same z, so that their canonical
   correlation is 1 by construction wherever neither map loses anything: it is reported, and says little.
2. z, which knows the map alone, against the principal components of the gather alone. z'_s = W_s z is a linear map into
   the space that gathers are decoded from; how much of the gather a linear map of z explains, and how much more a
   network does, is the assumption itself. The other way round, from gather to z, it is the inversion.
3. The same of a synthetic pair that is one to one and far from linear, as a control.

All is fitted on training pairs and judged on held-out pairs.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_modules.metrics.alignment import latent_alignment, linear_r2, mean_canonical_correlation, mlp_r2
from lightning_modules.metrics.far_from_linear import HIDDEN, spiral_pairs
from lightning_modules.metrics.features import PCAFeatures
from lightning_modules.metrics.partners import partner_ranks

BLOCK = 64
MINIMUM = 10  # pairs of either kind, below which nothing is said
PCA_GATHERS = 512


@dataclasses.dataclass(frozen=True)
class Latents:
    """Latents of the same pairs, on the CPU.

    Attributes:
        shared: z `(n, d)`, from the map alone.
        velocity: z'_v `(n, d)`.
        seismic: z'_s `(n, d)`.
        gather: Principal components of the gather `(n, 64)`.
    """

    shared: Tensor
    velocity: Tensor
    seismic: Tensor
    gather: Tensor


class LatentAlignment(Callback):
    """Measure how the modalities' latents are related, at the end of `test`.

    A baseline whose networks have `encode_seismic` is asked for its two latents, z_v and z_s, in place of z'_v and
    z'_s; z is then z_v.

    Args:
        max_pairs: Training pairs, and held-out pairs, at most.
        n_components: Principal components of gathers.
        max_drawn: Held-out pairs in the picture.

    Attributes:
        metrics: After the test. `latent/cca` of z'_v and z'_s; `latent/partner_rank` and `latent/nearest_partner_rate`
            of the same, standardised (0 and 1: partners are nearest to each other; about .5 and 1/n: unrelated, or
            only turned); from z to the gather `latent/gather/cca`, `linear_r2`, `mlp_r2`, from the gather to z
            `latent/gather/inverse_linear_r2`, `inverse_mlp_r2`; `latent/far_from_linear/cca`, `linear_r2`, `mlp_r2`;
            `latent/n_pairs` held-out pairs. Empty where there are too few.
        features: Name and digest of the gather's components, for captions.
        embedding: t-SNE of z'_v `(n, 2)` above z'_s `(n, 2)`, of the first held-out pairs; empty before.
    """

    def __init__(self, max_pairs: int = 1024, n_components: int = 64, max_drawn: int = 256) -> None:
        self.max_pairs, self.n_components, self.max_drawn = max_pairs, n_components, max_drawn
        self.metrics: dict[str, float] = {}
        self.features: dict[str, str] = {}
        self.embedding: npt.NDArray[np.float32] = np.zeros((0, 2), np.float32)

    @torch.no_grad()
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Encode and compare."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        maps, gathers = _pairs(data, "train", self.max_pairs)
        if len(maps) < MINIMUM:
            return
        components = PCAFeatures.fit(gathers[:PCA_GATHERS].to(pl_module.device), self.n_components)
        training = _latents(pl_module, components, maps, gathers)
        del gathers
        held_out = _latents(pl_module, components, *_pairs(data, "test", self.max_pairs))
        if len(held_out.shared) < MINIMUM:
            return
        self.features = {"latent/gather": f"{components.name} ({components.digest})"}
        ranks = partner_ranks(*_standardised(held_out, training))
        there = (training.shared, training.gather, held_out.shared, held_out.gather)
        back = (training.gather, training.shared, held_out.gather, held_out.shared)
        gather = latent_alignment(*there)
        n, n_all = len(training.shared), len(training.shared) + len(held_out.shared)
        x, y = spiral_pairs(n_all, max(HIDDEN, training.shared.shape[1]), max(2 * HIDDEN, training.gather.shape[1]))
        far = latent_alignment(x[:n], y[:n], x[n:], y[n:], n_components=HIDDEN)
        self.metrics = {
            "latent/cca": mean_canonical_correlation(
                training.velocity, training.seismic, held_out.velocity, held_out.seismic
            ),
            "latent/partner_rank": float(ranks.mean()),
            "latent/nearest_partner_rate": float((ranks == 0).double().mean()),
            **{f"latent/gather/{name}": value for name, value in gather._asdict().items()},
            "latent/gather/inverse_linear_r2": linear_r2(*back),
            "latent/gather/inverse_mlp_r2": mlp_r2(*back),
            **{f"latent/far_from_linear/{name}": value for name, value in far._asdict().items()},
            "latent/n_pairs": float(len(held_out.shared)),
        }
        drawn = _standardised(held_out, training)
        self.embedding = joint_embedding(*(each[: self.max_drawn] for each in drawn))


def joint_embedding(x: Tensor, y: Tensor) -> npt.NDArray[np.float32]:
    """t-SNE (scikit-learn) of two sets `(n, d)` in one picture: the points of x above those of y, `(2 n, 2)`."""
    from sklearn.manifold import TSNE

    points = torch.cat([x, y]).float().numpy()
    perplexity = min(30.0, (len(points) - 1) / 3)
    made = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(points)
    return np.asarray(made, np.float32)


def _pairs(data: Any, part: str, limit: int) -> tuple[Tensor, Tensor]:
    """Normalised maps `(n, 1, 70, 70)` and gathers of a part."""
    pairs = data.physical_pairs(part, limit)
    maps = data.normalization.normalize_velocity(torch.from_numpy(pairs.velocity_m_s)[:, None])
    gathers = torch.from_numpy(pairs.seismic)
    for block in torch.split(gathers, BLOCK):
        block.copy_(data.normalization.normalize_seismic(block))  # ours alone; a second copy would double the peak
    return maps, gathers


def _latents(pl_module: LightningModule, components: PCAFeatures, maps: Tensor, gathers: Tensor) -> Latents:
    networks: Any = pl_module.networks
    parts = []
    for each_map, each_gather in zip(torch.split(maps, BLOCK), torch.split(gathers, BLOCK), strict=True):
        gather = each_gather.to(pl_module.device)
        z = networks.encode(each_map.to(pl_module.device))
        if hasattr(networks, "encode_seismic"):
            velocity, seismic = z, networks.encode_seismic(gather)
        else:
            velocity, seismic = networks.to_velocity_latent(z), networks.to_seismic_latent(z)
        parts.append([each.cpu() for each in (z, velocity, seismic, components(gather))])
    return Latents(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _standardised(held_out: Latents, training: Latents) -> tuple[Tensor, Tensor]:
    """z'_v and z'_s, each component with the training pairs' mean 0 and spread 1."""
    pairs = ((held_out.velocity, training.velocity), (held_out.seismic, training.seismic))
    made = [(z - fitted.mean(0)) / fitted.std(0).clamp_min(1e-6) for z, fitted in pairs]
    return made[0], made[1]
