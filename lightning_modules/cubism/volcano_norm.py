"""Batch normalisation of rows that come from two volcanoes.

`JointBatchNorm2d` normalises all rows of a batch together, as an ordinary network does. `PerVolcanoBatchNorm2d` gives
each volcano statistics and running averages of its own, as domain-specific batch normalisation does (Chang et al. 2019,
Eqs. 3 to 5); unlike there, scale and shift are shared, so that one network reads both volcanoes and what lies between
them. A mixture of lambda parts source and 1 - lambda parts target is normalised by the same mixture of both volcanoes'
means and variances: a batch of mixtures has the classes' shares of the co-balanced ratio, and its own statistics would
carry these shares into the classifier. Statistics are those of the global batch, however many processes share it.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.inversion.synchronised_norm import SynchronisedBatchNorm2d, global_statistics, n_processes

Volcano = Literal["source", "target"]


class Origin(NamedTuple):
    """Where the rows of a batch come from: source events first, then target events, then mixtures.

    Attributes:
        n_source: Number of source events.
        n_target: Number of target events.
        source_part: lambda of the mixtures `(n_mixed,)` in [0, 1]; None where there are none.
    """

    n_source: int
    n_target: int
    source_part: Tensor | None = None

    @classmethod
    def all_of(cls, volcano: Volcano, n: int) -> "Origin":
        """All `n` rows are events of one volcano."""
        return cls(n, 0) if volcano == "source" else cls(0, n)


class JointBatchNorm2d(SynchronisedBatchNorm2d):
    """One set of statistics for all rows, wherever they come from."""

    def forward(self, input: Tensor, origin: Origin | None = None) -> Tensor:
        """Normalise `(batch, channel, height, width)`; the same shape."""
        return super().forward(input)


class PerVolcanoBatchNorm2d(SynchronisedBatchNorm2d):
    """Statistics of each volcano for its own rows; `running_mean` and `running_var` are the source's.

    Args:
        n_channels: Of the input.
    """

    target_running_mean: Tensor
    target_running_var: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels)
        self.register_buffer("target_running_mean", torch.zeros(n_channels))
        self.register_buffer("target_running_var", torch.ones(n_channels))

    def forward(self, input: Tensor, origin: Origin | None = None) -> Tensor:
        """Normalise `(batch, channel, height, width)`; the same shape.

        In training a volcano's rows are normalised by this batch's statistics of that volcano, which enter its running
        averages; otherwise by those averages.

        Args:
            input: Rows in the order of `origin`.
            origin: Where they come from; None: all from the target.

        Raises:
            ValueError: If `origin` is of another number of rows, or has mixtures without rows of both volcanoes.
        """
        origin = origin or Origin(0, len(input))
        n_mixed = 0 if origin.source_part is None else len(origin.source_part)
        if origin.n_source + origin.n_target + n_mixed != len(input):
            raise ValueError(f"origin: is of {origin.n_source} + {origin.n_target} + {n_mixed} rows, not {len(input)}")
        if n_mixed and not (origin.n_source and origin.n_target):
            raise ValueError("origin: mixtures are normalised by both volcanoes' rows; give rows of both")
        source, target = input[: origin.n_source], input[origin.n_source : origin.n_source + origin.n_target]
        if n_mixed == 0 and (not self.training or n_processes() == 1):
            blocks = [self._plain(source, *self._source_averages), self._plain(target, *self._target_averages)]
            return torch.cat([rows for rows in blocks if len(rows)])
        of_source = self._statistics(source, *self._source_averages)
        of_target = self._statistics(target, *self._target_averages)
        parts = [input.new_ones(origin.n_source), input.new_zeros(origin.n_target)]
        parts += [] if origin.source_part is None else [origin.source_part.to(input.dtype)]
        part = torch.cat(parts)[:, None]
        mean, variance = (part * one + (1.0 - part) * other for one, other in zip(of_source, of_target, strict=True))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return torch.addcmul(shift[..., None, None], input, scale[..., None, None])

    @property
    def _source_averages(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var

    @property
    def _target_averages(self) -> tuple[Tensor, Tensor]:
        return self.target_running_mean, self.target_running_var

    @property
    def _rate(self) -> float:
        return 0.1 if self.momentum is None else self.momentum

    def _plain(self, rows: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
        """Torch's own, faster, where no other rows need the statistics."""
        if len(rows) == 0:
            return rows
        return F.batch_norm(
            rows, running_mean, running_var, self.weight, self.bias, self.training, self._rate, self.eps
        )

    def _statistics(self, rows: Tensor, running_mean: Tensor, running_var: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance `(channel,)` by which a volcano's rows are normalised; in training they are averaged."""
        if not self.training or len(rows) == 0:
            return running_mean, running_var
        mean, variance, n_values = global_statistics(rows)
        with torch.no_grad():
            running_mean.lerp_(mean, self._rate)
            running_var.lerp_(variance * (n_values / max(1.0, n_values - 1.0)), self._rate)
        return mean, variance
