"""RealNVP as FlowGMM has it for vectors (paper: section 6.2, "two coupling layers, one hidden state, 128 units").

Each layer leaves one half of the vector as it is and moves the other by y = x * exp(s) + t, where s and t come from the
first half through one hidden layer; s = scale * tanh(.) with a learned scale, so that it stays bounded. The inverse
costs as much as the forward pass. The halves alternate, and a half is every other coefficient in both directions of
the image, so that each half has low and high frequencies.
"""

import torch
from torch import Tensor, nn


class CouplingLayer(nn.Module):
    """One affine coupling layer; it starts as the identity.

    Args:
        kept: Numbers of the coefficients that stay, `(n_kept,)`.
        moved: Numbers of the others, `(n_moved,)`.
        hidden_units: Width of the hidden layer.
    """

    kept: Tensor
    moved: Tensor

    def __init__(self, kept: Tensor, moved: Tensor, hidden_units: int) -> None:
        super().__init__()
        self.register_buffer("kept", kept, persistent=False)
        self.register_buffer("moved", moved, persistent=False)
        self.hidden = nn.Linear(len(kept), hidden_units)
        self.output = nn.Linear(hidden_units, 2 * len(moved))
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.scale = nn.Parameter(torch.ones(len(moved)))

    def _log_scale_and_shift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.output(torch.relu(self.hidden(x[:, self.kept]))).chunk(2, dim=1)
        return self.scale * torch.tanh(raw), shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(batch, D)` moved, and log |det| `(batch,)`."""
        log_scale, shift = self._log_scale_and_shift(x)
        return x.index_copy(1, self.moved, x[:, self.moved] * log_scale.exp() + shift), log_scale.sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """Undo `forward`."""
        log_scale, shift = self._log_scale_and_shift(y)
        return y.index_copy(1, self.moved, (y[:, self.moved] - shift) * (-log_scale).exp())


class RealNVP(nn.Module):
    """A stack of coupling layers on images flattened to vectors.

    Args:
        shape: Of an image: channel, rows, columns.
        n_layers: Coupling layers (paper: 2).
        hidden_units: Of each layer's network (paper: 128).
    """

    def __init__(self, shape: tuple[int, int, int], n_layers: int = 2, hidden_units: int = 128) -> None:
        super().__init__()
        rows, columns = torch.arange(shape[1])[:, None], torch.arange(shape[2])
        parity = ((rows + columns) % 2).expand(shape).flatten()
        halves = [torch.nonzero(parity == value).flatten() for value in (0, 1)]
        self.layers = nn.ModuleList(
            CouplingLayer(halves[number % 2], halves[1 - number % 2], hidden_units) for number in range(n_layers)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z `(batch, D)` and log |det dz/dx| `(batch,)`."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, more = layer(x)
            log_det = log_det + more
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Return x `(batch, D)`."""
        for layer in reversed(list(self.layers)):
            assert isinstance(layer, CouplingLayer)
            z = layer.inverse(z)
        return z
