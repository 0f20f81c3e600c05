"""Batch normalisation over the global batch, on any device.

Torch's `SyncBatchNorm` refuses CPU tensors, and plain `BatchNorm2d` normalises with the statistics of one process's
share, so that two processes train another network than one with the same global batch. Here the sums are added over
the processes, forwards and backwards; with one process it is `BatchNorm2d` itself.
"""

import torch
from torch import Tensor, nn


def n_processes() -> int:
    """How many processes share a batch; 1 where none were started."""
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


def global_statistics(values: Tensor) -> tuple[Tensor, Tensor, float]:
    """Mean and variance over the global batch, with gradient, and over how many values they were taken.

    Args:
        values: This process's share `(batch, channel, height, width)`, as large as every other's.

    Returns:
        Mean and (biased) variance `(channel,)`, and the number of values of a channel.
    """
    n_values = float(values.numel() // values.shape[1] * n_processes())
    if n_processes() == 1:
        variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        return mean, variance, n_values
    sums = torch.stack((values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))))
    total: Tensor = _SumOverProcesses.apply(sums)  # type: ignore[no-untyped-call]  # torch's own
    mean, mean_square = total / n_values
    return mean, (mean_square - mean.square()).clamp(min=0.0), n_values


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose training statistics are those of the global batch, shared evenly by all processes."""

    def forward(self, input: Tensor) -> Tensor:  # the name that torch gives the argument
        """Normalise `(batch, channel, height, width)`; the same shape."""
        if not self.training or n_processes() == 1:
            return super().forward(input)
        mean, variance, n_values = global_statistics(input)
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
