"""Batch normalisation over the global batch, on any device.

Torch's `SyncBatchNorm` refuses CPU tensors, and plain `BatchNorm2d` normalises with the statistics of one process's
share, so that two processes train another network than one with the same global batch. Here the sums are added over
the processes, forwards and backwards; with one process it is `BatchNorm2d` itself.
"""

import torch
from torch import Tensor, nn


def _n_processes() -> int:
    ready = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if ready else 1


class _SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; so is its gradient, because each process's loss depends on the sum."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(total)
        return total


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose training statistics are those of the global batch, shared evenly by all processes."""

    def forward(self, input: Tensor) -> Tensor:  # the name that torch gives the argument
        """Normalise `(batch, channel, height, width)`; the same shape."""
        n_processes = _n_processes()
        if not self.training or n_processes == 1:
            return super().forward(input)
        n_values = input.numel() / input.shape[1] * n_processes
        sums = torch.stack((input.sum(dim=(0, 2, 3)), input.square().sum(dim=(0, 2, 3))))
        total: Tensor = _SumOverProcesses.apply(sums)  # type: ignore[no-untyped-call]  # torch's own
        mean, mean_square = total / n_values
        variance = (mean_square - mean.square()).clamp(min=0.0)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            momentum = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (n_values / max(1.0, n_values - 1.0)), momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        normalised: Tensor = input * scale[:, None, None] + shift[:, None, None]
        return normalised
