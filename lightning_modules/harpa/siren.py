"""A multilayer perceptron with sines (SIREN, Sitzmann et al. 2020), with derivatives in closed form.

The paper's travel-time field (Sections 2.5 and 5.2) is one, w0 = 15. The layers are h' = sin(W h + b), with w0 folded
into the first layer's weights, which changes nothing but the rate at which that layer learns.

What the wave speed is, its `condition`, can enter in two ways. `concat`, the paper's, puts it beside the coordinates.
`modulate` shifts every sine layer's argument by a function of the condition alone, h' = sin(W h + b + s(v)) (after
Mehta et al. 2021, arXiv:2104.03960), so that many points of one wave speed share one s(v). To first order a travel time
is linear in the wave speed's coefficients, and s has a linear part beside the perceptron.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.tangents import carried_forward, perceptron

Conditioning = Literal["concat", "modulate"]


class Siren(nn.Module):
    """Coordinates, and possibly a condition, to values.

    Args:
        n_coordinates: Number of coordinates, each 0..1.
        n_outputs: Number of values.
        width: Units of a sine layer.
        depth: Sine layers.
        w0: Highest angular frequency of the first layer.
        n_conditions: Length of the condition, 0 for none.
        conditioning: How the condition enters.
        modulator_width: `modulate`: units of each of the two hidden layers that make the shifts.

    Raises:
        ModuleError: If a size is not positive.
    """

    def __init__(
        self,
        n_coordinates: int,
        n_outputs: int,
        width: int = 128,
        depth: int = 4,
        w0: float = 15.0,
        n_conditions: int = 0,
        conditioning: Conditioning = "modulate",
        modulator_width: int = 128,
    ) -> None:
        super().__init__()
        sizes = {"n_stations": n_outputs, "width": width, "depth": depth, "modulator_width": modulator_width}
        for name, value in sizes.items():
            if value < 1:
                raise ModuleError(f"{name}: got {value}; give a whole number of at least 1.")
        if w0 <= 0.0:
            raise ModuleError(f"w0: got {w0}; give a number above 0 (the paper's is 15).")
        self.n_conditions, self.width, self.depth = n_conditions, width, depth
        self.concatenates = n_conditions > 0 and conditioning == "concat"
        n_inputs = n_coordinates + (n_conditions if self.concatenates else 0)
        self.layers = nn.ModuleList(nn.Linear(width if k else n_inputs, width) for k in range(depth))
        self.last = nn.Linear(width, n_outputs)
        self.modulator: nn.Sequential | None = None
        if n_conditions and not self.concatenates:
            self.modulator = perceptron(n_conditions, modulator_width, 1, depth * width)
            self.linear_shifts = nn.Linear(n_conditions, depth * width, bias=False)
        self._initialise(w0)

    @torch.no_grad()
    def _initialise(self, w0: float) -> None:
        # Sitzmann et al.: the first layer spans frequencies up to w0; arguments of the others have variance 1.
        first, *others = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        first.weight.uniform_(-w0 / first.in_features, w0 / first.in_features)
        first.bias.uniform_(-math.pi, math.pi)
        for layer in others:
            bound = math.sqrt(6.0 / self.width)
            layer.weight.uniform_(-bound, bound)
        # A quiet start: the output is about constant, and training begins from its mean.
        self.last.weight.uniform_(-0.3 * math.sqrt(6.0 / self.width), 0.3 * math.sqrt(6.0 / self.width))
        self.last.bias.zero_()
        if self.modulator is not None and isinstance(exit_layer := self.modulator[-1], nn.Linear):
            exit_layer.weight *= 0.1

    def forward(self, coordinates: Tensor, condition: Tensor | None = None, row: Tensor | None = None) -> Tensor:
        """Values at points.

        Args:
            coordinates: `(..., n_coordinates)`.
            condition: `(..., n_conditions)`, broadcastable to the points.
            row: `(...)` int. Where given, `condition` is `(wave_speed, n_conditions)` and this is each point's: what it
                alone decides is then computed once.

        Returns:
            `(..., n_outputs)`.
        """
        if row is not None and condition is not None and self.concatenates:
            condition = condition[row]
        hidden, shifts = self._inputs(coordinates, condition)
        if row is not None and shifts is not None:
            shifts = shifts[row]
        for k, layer in enumerate(self.layers):
            argument = layer(hidden)
            hidden = torch.sin(argument if shifts is None else argument + shifts[..., k, :])
        values: Tensor = self.last(hidden)
        return values

    def _inputs(self, coordinates: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if (condition is None) == (self.n_conditions > 0):
            wanted = f"wave speeds of {self.n_conditions} numbers" if self.n_conditions else "one known wave speed"
            raise ModuleError(
                f"latent: this field was made for {wanted}; give {'a' if self.n_conditions else 'no'} latent code."
            )
        if condition is None:
            return coordinates, None
        if self.concatenates:
            shape = _broadcast(coordinates.shape[:-1], condition.shape[:-1])
            return torch.cat([coordinates.expand(*shape, -1), condition.expand(*shape, -1)], dim=-1), None
        assert self.modulator is not None
        shifts = self.modulator(condition) + self.linear_shifts(condition)
        return coordinates, shifts.reshape(*shifts.shape[:-1], self.depth, self.width)

    @torch.no_grad()
    def value_and_jacobian(
        self, coordinates: Tensor, condition: Tensor | None = None, condition_tangents: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Values and their derivatives, carried forward through the layers.

        Args:
            coordinates: `(..., n_coordinates)`.
            condition: `(..., n_conditions)`, broadcastable to the points.
            condition_tangents: `(..., variable, n_conditions)`, derivatives of the condition by what is asked for; by
                default by itself.

        Returns:
            Values `(..., n_outputs)` and derivatives `(..., n_coordinates + variable, n_outputs)`, the coordinates'
            first.
        """
        hidden, shifts = self._inputs(coordinates, condition)
        n_coordinates = coordinates.shape[-1]
        tangents = torch.eye(n_coordinates, dtype=hidden.dtype, device=hidden.device)
        by_shift: Tensor | None = None
        if condition is not None:
            if condition_tangents is None:
                condition_tangents = torch.eye(self.n_conditions, dtype=hidden.dtype, device=hidden.device)
            if self.concatenates:
                tangents = _block_diagonal(tangents, condition_tangents)
            else:
                by_shift = self._shift_tangents(condition, condition_tangents)
                zeros = hidden.new_zeros(condition_tangents.shape[-2], n_coordinates)
                tangents = torch.cat([tangents, zeros])
        for k, layer in enumerate(self.layers):
            argument, tangents = layer(hidden), tangents @ _weight(layer).T
            if shifts is not None and by_shift is not None:
                argument = argument + shifts[..., k, :]
                shape = _broadcast(tangents.shape[:-2], by_shift.shape[:-3])
                tangents = tangents.expand(*shape, -1, -1).clone()
                tangents[..., n_coordinates:, :] += by_shift[..., k, :]
            hidden, tangents = torch.sin(argument), tangents * torch.cos(argument).unsqueeze(-2)
        return self.last(hidden), tangents @ self.last.weight.T

    def _shift_tangents(self, condition: Tensor, tangents: Tensor) -> Tensor:
        """Derivatives of the shifts, `(..., variable, depth, width)`."""
        assert self.modulator is not None
        _, by_perceptron = carried_forward(self.modulator, condition, tangents)
        shifts = by_perceptron + tangents @ self.linear_shifts.weight.T
        return shifts.reshape(*shifts.shape[:-1], self.depth, self.width)


def _weight(layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return layer.weight


def _broadcast(*shapes: torch.Size) -> torch.Size:
    shape: torch.Size = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return shape


def _block_diagonal(first: Tensor, second: Tensor) -> Tensor:
    """Matrices `(..., a, b)` and `(..., c, d)` on the diagonal of `(..., a + c, b + d)`."""
    shape = _broadcast(first.shape[:-2], second.shape[:-2])
    first, second = first.expand(*shape, -1, -1), second.expand(*shape, -1, -1)
    above = torch.cat([first, first.new_zeros(*shape, first.shape[-2], second.shape[-1])], dim=-1)
    below = torch.cat([second.new_zeros(*shape, second.shape[-2], first.shape[-1]), second], dim=-1)
    return torch.cat([above, below], dim=-2)
