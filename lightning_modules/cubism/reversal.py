"""Gradient reversal (Ganin et al. 2015): the identity forwards, minus a scale backwards.

It lets one optimiser play both sides of Eq. 10: the discriminator learns at weight 1, and what lies before it gets the
reversed gradient times rho or gamma.
"""

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return values.view_as(values)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch's own
        return -scale * gradients[0], None


def reverse_gradient(values: Tensor, scale: Tensor) -> Tensor:
    """Return `values` `(batch, ...)`, whose gradient is multiplied by `-scale` `(batch,)` on its way back."""
    shaped = scale.to(values.dtype).view(-1, *(1 for _ in values.shape[1:]))
    reversed_: Tensor = _Reverse.apply(values, shaped)  # type: ignore[no-untyped-call]  # torch's own
    return reversed_
