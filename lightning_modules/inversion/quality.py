"""How good are inverted maps? MAE, MSE, RMSE and SSIM as in OpenFWI's benchmark tables.

All on velocity normalised to -1..1 (1500..4500 m/s), except that SSIM is taken on v / 2 + 1 / 2, in 0..1, as the
benchmark does: SSIM does not bear a shift, so that -1..1 with a range of 2 gives other numbers. Its window is Gaussian,
11 x 11 with a deviation of 1.5 cells, and zeros lie around the map, which the benchmark's SSIM keeps in its mean
(Wang et al. 2004, with the constants .01 and .03).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

WINDOW, DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity around each cell.

    Args:
        first: Images in 0..1, `(batch, 1, height, width)`.
        second: The same shape.

    Returns:
        At most 1, the same shape.
    """
    offsets = torch.arange(WINDOW, dtype=first.dtype, device=first.device) - WINDOW // 2
    gaussian = torch.exp(-0.5 * (offsets / DEVIATION).square())
    gaussian = gaussian / gaussian.sum()

    def smooth(image: Tensor) -> Tensor:
        columns = F.conv2d(image, gaussian.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))
        return F.conv2d(columns, gaussian.view(1, 1, 1, -1), padding=(0, WINDOW // 2))

    mean_1, mean_2 = smooth(first), smooth(second)
    variance_1 = smooth(first * first) - mean_1 * mean_1
    variance_2 = smooth(second * second) - mean_2 * mean_2
    covariance = smooth(first * second) - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + _C1) / (mean_1 * mean_1 + mean_2 * mean_2 + _C1)
    structure = (2 * covariance + _C2) / (variance_1 + variance_2 + _C2)
    return luminance * structure


class InversionErrors(Metric):
    """Mean absolute error, mean squared error, its root, and SSIM, over all maps seen."""

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    absolute: Tensor
    squared: Tensor
    similarity: Tensor
    n_values: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("absolute", "squared", "similarity", "n_values"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add maps `(batch, 1, 70, 70)`, normalised to -1..1."""
        prediction, target = prediction.float(), target.float()
        error = prediction - target
        self.absolute += error.abs().sum(dtype=torch.float64)
        self.squared += error.square().sum(dtype=torch.float64)
        self.similarity += ssim_map(prediction / 2 + 0.5, target / 2 + 0.5).sum(dtype=torch.float64)
        self.n_values += error.numel()

    def compute(self) -> dict[str, Tensor]:
        """Return `mae`, `mse`, `rmse` and `ssim`."""
        mse = self.squared / self.n_values
        return {
            "mae": self.absolute / self.n_values,
            "mse": mse,
            "rmse": mse.sqrt(),
            "ssim": self.similarity / self.n_values,
        }
