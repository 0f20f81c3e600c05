"""Kernel distance between generated and real samples (KID, Binkowski et al. 2018), in any feature space.

The squared maximum mean discrepancy with the kernel k(x, y) = (x . y / d + 1)^3. Its estimator is unbiased: unlike the
Frechet distance its expectation does not depend on n, and for equal distributions it is zero, below zero by chance.
The kernel expects features of about unit size: whitened ones, where they are principal components.
"""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_modules.metrics.features import FeatureExtractor, features_of


class KernelDistance(Metric):
    """KID: mean and standard deviation of the unbiased discrepancy over random subsets.

    Args:
        features: Feature network, or the number of features where `update` is given features `(batch, d)` already.
        n_subsets: How many pairs of subsets.
        subset_size: Samples of each kind in a subset; all there are, where there are fewer.
        seed: Of the subsets.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    real: list[Tensor]
    generated: list[Tensor]

    def __init__(
        self, features: FeatureExtractor | int, n_subsets: int = 50, subset_size: int = 250, seed: int = 0
    ) -> None:
        super().__init__()
        self.n_features = features if isinstance(features, int) else features.n_features
        self.features = None if isinstance(features, int) else features
        self.n_subsets, self.subset_size, self.seed = n_subsets, subset_size, seed
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("generated", [], dist_reduce_fx="cat")

    def update(self, samples: Tensor, real: bool) -> None:
        """Add a batch of real or generated samples.

        Raises:
            ValueError: If the features are not `(batch, d)`.
        """
        x = features_of(samples, self.features, self.n_features, "KernelDistance").double()
        (self.real if real else self.generated).append(x)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation over the subsets, float64 scalars.

        Subsets overlap: the deviation is smaller than that between independent runs.

        Raises:
            ValueError: If there are fewer than two real or two generated samples.
        """
        sets = [dim_zero_cat(part) if part else torch.zeros(0) for part in (self.real, self.generated)]
        size = min(self.subset_size, *(len(x) for x in sets))
        if size < 2:
            raise ValueError(
                f"KernelDistance has {len(sets[0])} real and {len(sets[1])} generated samples: give it at least two "
                "of each."
            )
        generator = torch.Generator().manual_seed(self.seed)
        values = []
        for _ in range(self.n_subsets):
            x, y = (s[torch.randperm(len(s), generator=generator)[:size].to(s.device)] for s in sets)
            values.append(squared_discrepancy(x, y))
        stacked = torch.stack(values)
        return stacked.mean(), stacked.std(unbiased=False)


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x . y / d + 1)^3 for all pairs of rows: `(n, d)`, `(m, d)` -> `(n, m)`."""
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """Unbiased squared maximum mean discrepancy of samples `(n, d)` and `(m, d)`; a sample is not its own partner."""
    n, m = len(x), len(y)
    within_x, within_y = polynomial_kernel(x, x), polynomial_kernel(y, y)
    return (
        (within_x.sum() - within_x.trace()) / (n * (n - 1))
        + (within_y.sum() - within_y.trace()) / (m * (m - 1))
        - 2.0 * polynomial_kernel(x, y).mean()
    )
