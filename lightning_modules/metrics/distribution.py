"""All that is said about a set of generated samples in one feature space.

Frechet and kernel distance to held-out real samples, the same-n real-to-real floor, and two controls that stand in the
generated samples' place: training samples (a perfect generator, with the spread that chance gives it), and the
autoencoder's reconstructions of the held-out samples, which a generator behind that autoencoder can hardly better.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.metrics.features import FeatureExtractor, PCAFeatures
from lightning_modules.metrics.frechet import frechet_against_held_out
from lightning_modules.metrics.kid import KernelDistance

CONTROL_DRAWS, CONTROL_SPLITS = 10, 4
MANY_FEATURES = 256  # from here on a distance costs seconds, and averages over more directions itself
FEW_SPLITS = 3


class FeatureSets(NamedTuple):
    """Features `(n, d)` of each kind of samples.

    Attributes:
        generated: Of the generator.
        held_out: Real, seen by nobody.
        reconstruction: Row i is held-out sample i, encoded and decoded.
        training: Real, seen by the generator.
    """

    generated: Tensor
    held_out: Tensor
    reconstruction: Tensor | None = None
    training: Tensor | None = None

    def over(self, unit: Tensor) -> "FeatureSets":
        """All divided by a unit `(d,)`."""
        reconstruction = None if self.reconstruction is None else self.reconstruction / unit
        training = None if self.training is None else self.training / unit
        return FeatureSets(self.generated / unit, self.held_out / unit, reconstruction, training)


def distribution_metrics(sets: FeatureSets, network: FeatureExtractor, n_splits: int = 20) -> dict[str, float]:
    """Distances by name; empty where there are too few samples.

    Args:
        sets: The features.
        network: What made them. Principal components are also judged whitened, where each has the same say; the
            kernel distance, whose kernel wants features of unit size, takes them so.
        n_splits: Random partings of the held-out samples that distances are averaged over.

    Returns:
        `frechet`, `frechet_floor`, `frechet_ratio`, `frechet_n`, `kid`, `kid_sd`; of principal components
        `frechet_whitened_ratio`; `reconstruction_frechet` and `reconstruction_frechet_ratio`;
        `frechet_ratio_of_training_samples` and `_sd`, of principal components `frechet_whitened_ratio_of...` as well.
    """
    n_splits = n_splits if network.n_features <= MANY_FEATURES else min(FEW_SPLITS, n_splits)
    result = frechet_against_held_out(sets.generated, sets.held_out, n_splits)
    if result is None:
        return {}
    metrics = {
        "frechet": result.distance,
        "frechet_floor": result.floor,
        "frechet_ratio": result.ratio,
        "frechet_n": float(result.n),
    }
    spaces = {"": sets}
    if isinstance(network, PCAFeatures):
        spaces["_whitened"] = sets.over(network.deviations.to(sets.held_out.device))
        whitened = frechet_against_held_out(spaces["_whitened"].generated, spaces["_whitened"].held_out, n_splits)
        assert whitened is not None
        metrics["frechet_whitened_ratio"] = whitened.ratio
    metrics["kid"], metrics["kid_sd"] = _kernel_distance(*list(spaces.values())[-1][:2])
    if sets.reconstruction is not None:
        metrics |= reconstruction_metrics(sets.reconstruction, sets.held_out, n_splits, result.n)
    if sets.training is not None and len(sets.training) >= result.n:
        for name, space in spaces.items():
            assert space.training is not None
            ratios = _ratios_of_training_samples(space.training, space.held_out, result.n)
            metrics[f"frechet{name}_ratio_of_training_samples"] = float(ratios.mean())
            metrics[f"frechet{name}_ratio_of_training_samples_sd"] = float(ratios.std(unbiased=False))
    return metrics


def reconstruction_metrics(
    reconstruction: Tensor, held_out: Tensor, n_splits: int = 20, n: int | None = None
) -> dict[str, float]:
    """What an autoencoder's reconstructions score; empty where there are too few samples.

    Args:
        reconstruction: Features of the held-out samples' reconstructions, row by row.
        held_out: Features of the held-out samples.
        n_splits: Partings that the distance is averaged over.
        n: Samples in each set; half of the held-out ones by default.
    """
    result = frechet_against_held_out(reconstruction, held_out, n_splits, n=n, same_rows=True)
    if result is None:
        return {}
    return {"reconstruction_frechet": result.distance, "reconstruction_frechet_ratio": result.ratio}


def _kernel_distance(generated: Tensor, held_out: Tensor) -> tuple[float, float]:
    metric = KernelDistance(generated.shape[1])
    metric.update(generated, real=False)
    metric.update(held_out, real=True)
    mean, deviation = metric.compute()
    return float(mean), float(deviation)


def _ratios_of_training_samples(training: Tensor, held_out: Tensor, n: int) -> Tensor:
    """Ratios to the floor that random draws of n training samples score in the generated samples' place."""
    generator = torch.Generator().manual_seed(0)
    ratios = []
    for _ in range(CONTROL_DRAWS):
        drawn = training[torch.randperm(len(training), generator=generator)[:n]]
        result = frechet_against_held_out(drawn, held_out, CONTROL_SPLITS)
        ratios.append(result.ratio if result else float("nan"))
    return torch.tensor(ratios)
