"""Frechet distance between generated and real samples, in a feature space that is named and pluggable.

Heusel et al. 2017 (the FID), with any features in place of Inception's:
    d = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1^1/2 C_2 C_1^1/2)^1/2).
UB-Diff's paper reports this quantity without saying how a gather was fed to Inception, so that our numbers compare with
each other and never with the paper's. For any factors C = F F^T the last trace is the sum of the singular values of
F_1^T F_2. Taking that sum instead of the root of C_1 C_2, whose eigenvalues rounding pushes below zero and off the real
line, keeps singular covariances (fewer samples than features) exact.

The estimate from n samples is biased upwards, by more the smaller n is. A distance alone therefore says nothing:
`frechet_against_held_out` gives it with the distance that as many real samples score.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_modules.metrics.features import FeatureExtractor, features_of


class FrechetDistance(Metric):
    """Frechet distance of the Gaussians fitted to real and to generated samples, summed in float64.

    Args:
        features: Feature network, or the number of features where `update` is given features `(batch, d)` already.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    real_n: Tensor
    real_sum: Tensor
    real_products: Tensor
    generated_n: Tensor
    generated_sum: Tensor
    generated_products: Tensor

    def __init__(self, features: FeatureExtractor | int) -> None:
        super().__init__()
        d = features if isinstance(features, int) else features.n_features
        self.features = None if isinstance(features, int) else features
        for kind in ("real", "generated"):
            self.add_state(f"{kind}_n", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
            self.add_state(f"{kind}_sum", torch.zeros(d, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{kind}_products", torch.zeros(d, d, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, real: bool) -> None:
        """Add a batch of real or generated samples.

        Raises:
            ValueError: If the features are not `(batch, d)`.
        """
        x = features_of(samples, self.features, len(self.real_sum), "FrechetDistance").double()
        if real:
            self.real_n += len(x)
            self.real_sum += x.sum(0)
            self.real_products += x.T @ x
        else:
            self.generated_n += len(x)
            self.generated_sum += x.sum(0)
            self.generated_products += x.T @ x

    def compute(self) -> Tensor:
        """Return the distance, a float64 scalar.

        Raises:
            ValueError: If there are fewer than two real or two generated samples.
        """
        if min(int(self.real_n), int(self.generated_n)) < 2:
            raise ValueError(
                f"FrechetDistance has {int(self.real_n)} real and {int(self.generated_n)} generated samples: give it "
                "at least two of each."
            )
        return gaussian_frechet_distance(
            *_mean_and_covariance(self.real_n, self.real_sum, self.real_products),
            *_mean_and_covariance(self.generated_n, self.generated_sum, self.generated_products),
        )


def gaussian_frechet_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> Tensor:
    """Frechet distance of two Gaussians with means `(d,)` and covariances `(d, d)`, which may be singular."""
    overlap = torch.linalg.svdvals(symmetric_root(covariance_1) @ symmetric_root(covariance_2)).sum()
    distance: Tensor = (mean_1 - mean_2).square().sum() + covariance_1.trace() + covariance_2.trace() - 2.0 * overlap
    return distance.clamp_min(0.0)


def symmetric_root(matrix: Tensor) -> Tensor:
    """Positive semidefinite root of a positive semidefinite `(d, d)`; eigenvalues of the size of rounding are zero."""
    values, vectors = torch.linalg.eigh(matrix)
    # Rounding of size eps in an eigenvalue that should be zero would be sqrt(eps) in the root.
    tolerance = torch.finfo(matrix.dtype).eps * len(matrix) * values[-1].clamp_min(0.0)
    root: Tensor = (vectors * torch.where(values > tolerance, values, 0.0).sqrt()) @ vectors.T
    return root


def sample_frechet_distance(x: Tensor, y: Tensor) -> Tensor:
    """Frechet distance of the Gaussians fitted to features `(n, d)` and `(m, d)`, float64.

    With fewer samples than features the centred samples themselves are the factors of the covariances: the trace then
    costs a matrix of n by m instead of roots of d by d. NaN where a feature is not finite.
    """
    x, y = x.double(), y.double()
    if not (x.isfinite().all() and y.isfinite().all()):
        return x.new_tensor(float("nan"))
    if max(len(x), len(y)) >= x.shape[1]:
        return gaussian_frechet_distance(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))
    a, b = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    overlap = torch.linalg.svdvals(a @ b.T).sum()
    distance: Tensor = (x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2.0 * overlap
    return distance.clamp_min(0.0)


class FrechetResult(NamedTuple):
    """A distance and what it must be measured by.

    Attributes:
        distance: Generated to real.
        floor: Real to real, with sets of the same size.
        ratio: The one over the other; about 1 for a perfect generator.
        n: Samples in each set.
    """

    distance: float
    floor: float
    ratio: float
    n: int


def frechet_against_held_out(
    generated: Tensor,
    held_out: Tensor,
    n_splits: int = 20,
    seed: int = 0,
    n: int | None = None,
    same_rows: bool = False,
) -> FrechetResult | None:
    """Distance of generated features to held-out real ones, with the same-n real-to-real floor.

    The held-out samples are parted at random into two halves of n (n at most the number of generated samples). The
    floor is the distance of one half to the other. The distance is that of n of the generated samples, drawn anew each
    time, to a half. Both are averaged over `n_splits` partings. Held-out samples alone are used on both sides: features
    and generator are fitted to the training samples, so that these would lie too close.

    Args:
        generated: `(n_generated, d)`.
        held_out: `(n_held_out, d)`.
        n_splits: Partings to average over.
        seed: Of the partings.
        n: Samples in each set; by default as many as there are.
        same_rows: Row i of `generated` was made from row i of `held_out` (a reconstruction): the rows of one half are
            then compared with the true samples of the other.

    Returns:
        The result, or None where there are fewer than two samples a set.
    """
    n = min(len(generated), len(held_out) // 2, len(held_out) if n is None else n)
    if n < 2:
        return None
    generator, draws = (torch.Generator().manual_seed(each) for each in (seed, seed + 1))
    distance = floor = 0.0
    for _ in range(n_splits):
        order = torch.randperm(len(held_out), generator=generator).to(held_out.device)
        first, second = held_out[order[:n]], held_out[order[n : 2 * n]]
        # Always the same n of more generated samples would leave their chance in the mean.
        drawn = order[n : 2 * n] if same_rows else torch.randperm(len(generated), generator=draws)[:n]
        made = generated[drawn.to(generated.device)]
        floor += float(sample_frechet_distance(first, second)) / n_splits
        distance += float(sample_frechet_distance(made, first)) / n_splits
    return FrechetResult(distance, floor, distance / floor if floor > 0.0 else float("nan"), n)


def _mean_and_covariance(n: Tensor, total: Tensor, products: Tensor) -> tuple[Tensor, Tensor]:
    mean = total / n
    return mean, (products - n * torch.outer(mean, mean)) / (n - 1)
