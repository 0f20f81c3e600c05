"""The feature networks of a run's Frechet distances, and what of them is kept on disk.

A family's judge is trained once from the training samples and kept as
`<cache_root>/features/<family>-<modality>-<digest>.pt`, where the digest is that of everything it depends on: the same
data and settings find the same file, others another. The features that a slow network gives real samples are kept
beside it, by the network's digest and the samples' content.
"""

import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lightning_modules.errors import ModuleError
from lightning_modules.metrics.efficientnet_features import EfficientNetLite0Features
from lightning_modules.metrics.family_encoder import (
    SEISMIC_TRAINING,
    VELOCITY_TRAINING,
    JudgeTraining,
    SeismicJudge,
    StandardisedFeatures,
    VelocityJudge,
    at_judges_rate,
    coarse_maps,
    recipe_digest,
    train_judge,
    velocity_summaries,
)
from lightning_modules.metrics.features import FamilyEncoderFeatures, FeatureExtractor

BLOCK = 64


def velocity_judge(
    maps: Tensor, velocity_m_s: Tensor, family: str, cache_root: Path | None, training: JudgeTraining | None = None
) -> FamilyEncoderFeatures:
    """The family's judge of velocity maps.

    Args:
        maps: Normalised training maps `(n, 1, 70, 70)`.
        velocity_m_s: The same in m/s, `(n, 70, 70)`.
        family: Name of the family, for the file and the caption.
        cache_root: Where it is kept; None: nowhere.
        training: How it is trained.
    """
    targets = velocity_summaries(velocity_m_s.cpu())
    return _judge(VelocityJudge, maps.cpu(), targets, training or VELOCITY_TRAINING, family, "velocity", cache_root)


def seismic_judge(
    gathers: Tensor, maps: Tensor, family: str, cache_root: Path | None, training: JudgeTraining | None = None
) -> FamilyEncoderFeatures:
    """The family's judge of gathers.

    Args:
        gathers: Log-normalised training gathers `(n, 5, time, 70)`.
        maps: Their normalised maps `(n, 1, 70, 70)`.
        family: Name of the family, for the file and the caption.
        cache_root: Where it is kept; None: nowhere.
        training: How it is trained.
    """
    samples, targets = at_judges_rate(gathers.cpu()), coarse_maps(maps[:, 0].cpu())
    return _judge(SeismicJudge, samples, targets, training or SEISMIC_TRAINING, family, "seismic", cache_root)


def efficientnet() -> EfficientNetLite0Features | None:
    """The ImageNet network, or None and a line that says how to get it."""
    try:
        return EfficientNetLite0Features()
    except ModuleError as error:
        tqdm.write(f"left out: {error}", file=sys.stderr)
        return None


def features_in_blocks(network: FeatureExtractor, samples: Tensor) -> Tensor:
    """Features `(n, d)` of normalised samples, on the CPU."""
    return torch.cat([network(block).cpu() for block in torch.split(samples, BLOCK)])


def kept_features(network: FeatureExtractor, samples: Tensor, cache_root: Path | None) -> Tensor:
    """`features_in_blocks` of real samples, read from disk where they were computed before."""
    if cache_root is None:
        return features_in_blocks(network, samples)
    sha = hashlib.sha256(str(tuple(samples.shape)).encode())
    for block in torch.split(samples, BLOCK):
        sha.update(block.cpu().contiguous().numpy().data)
    path = cache_root / "features" / f"real-{network.digest}-{sha.hexdigest()[:12]}.pt"
    found = _read(path)
    if isinstance(found, Tensor) and found.shape == (len(samples), network.n_features):
        return found
    features = features_in_blocks(network, samples)
    _write(path, features)
    return features


def _judge(
    architecture: type[nn.Module],
    samples: Tensor,
    targets: Tensor,
    training: JudgeTraining,
    family: str,
    modality: str,
    cache_root: Path | None,
) -> FamilyEncoderFeatures:
    name = f"family encoder, {family} {modality}"
    path = None
    if cache_root is not None:
        digest = recipe_digest(architecture, samples, targets, training)
        path = cache_root / "features" / f"{family}-{modality}-{digest}.pt"
        state = _read(path)
        if isinstance(state, dict):
            encoder = StandardisedFeatures(architecture())
            try:
                encoder.load_state_dict(state)
            except RuntimeError:  # the file was damaged, or is somebody else's: made anew
                pass
            else:
                return FamilyEncoderFeatures(encoder, len(encoder.mean), name)
    tqdm.write(f"training a judge of {family} {modality} on {len(samples)} real training samples", file=sys.stderr)
    judge = train_judge(architecture, samples, targets, training, name)
    if path is not None:
        _write(path, judge.encoder.state_dict())
    return judge


def _read(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return None  # damaged from outside: what is missing is made anew


def _write(path: Path, content: Any) -> None:
    """Write beside and rename, so that no reader meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    try:
        torch.save(cast(object, content), beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
