"""Relative L2 error, pooled over everything seen.

The error is pooled, and not an average of ratios, because the size of the reflections relative to the whole gather
differs thirtyfold between velocity maps: an average would be ruled by the maps that reflect least.
"""

import torch
from torch import Tensor
from torchmetrics import Metric


class RelativeL2(Metric):
    """`sqrt(sum |prediction - target|^2 / sum |reference|^2)`, summed in float64 over all updates and processes.

    With the default reference, the target itself, this is the plain relative L2 error. The *residual* form of the
    wave-equation figures takes the gather less its direct wave as the reference, `F(v) - F(v_top)`, so that 1 is the
    score of a prediction that holds the direct wave alone.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    error: Tensor
    energy: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("error", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("energy", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor, reference: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            prediction: Any shape, any unit.
            target: The same shape and unit.
            reference: What the error is measured against, in the same unit; the target by default.

        Raises:
            ValueError: If prediction and target differ in shape.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"RelativeL2 got a prediction of shape {tuple(prediction.shape)} and a target of shape "
                f"{tuple(target.shape)}: give both the same shape."
            )
        reference = target if reference is None else reference
        self.error += (prediction.double() - target.double()).square().sum()
        self.energy += reference.double().square().sum()

    def compute(self) -> Tensor:
        """Return the pooled error, a float64 scalar; NaN while nothing with energy was seen."""
        return torch.sqrt(self.error / self.energy)
