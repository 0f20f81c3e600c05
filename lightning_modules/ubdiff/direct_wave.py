"""The exact direct wave of a map's top velocity, from a table that the data module offers.

The direct wave carries some 97 % of a gather's energy, depends on little more than one number, and is known: a decoder
that need not learn it can learn the reflections. This is not in the paper, whose decoder learns the gather as a whole
(`direct_wave: learned`).

Each trace gets the direct wave of a medium that has everywhere the mean slowness between this trace's source and
receiver. Where the top of the map is of one velocity, as in the flat families, that is exact; where an interface comes
to the surface it arrives in time and lacks what the interface adds (CurveVel-A: 0.80 of the error that one velocity a
map leaves).
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.geometry import SHOT_COLUMNS, VELOCITY_CENTRE_M_S, VELOCITY_HALF_RANGE_M_S

TOP_ROWS = 2
"""Rows over which the top velocity is averaged, as in the residual relative L2 of the figures."""
_MIRROR_OF = {0: 4, 1: 3, 2: None}
_BUFFERS = ("slowness_bounds", "terms", "coefficients")


class DirectWaveTable(Protocol):
    """Gathers of constant media as a Chebyshev series in slowness, on one interval after the other."""

    @property
    def slowness_bounds_s_m(self) -> npt.NDArray[np.float64]:
        """Ends of the intervals, rising, `(interval + 1,)`."""

    @property
    def terms(self) -> npt.NDArray[np.int64]:
        """Number of terms of each interval, `(interval,)`."""

    @property
    def coefficients(self) -> npt.NDArray[np.float16]:
        """Terms of all intervals, `(shot 0..2, receiver, term, time)`; shots 3 and 4 mirror shots 1 and 0."""


class DirectWave(nn.Module):
    """Normalised velocity maps to their direct waves, in raw amplitude.

    The table travels in the checkpoint; before one is filled in or loaded the module holds none.
    """

    slowness_bounds: Tensor
    terms: Tensor
    coefficients: Tensor
    shots: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slowness_bounds", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("terms", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("coefficients", torch.zeros(0, 0, 0, 0, dtype=torch.float16))
        self.register_buffer("shots", torch.tensor(SHOT_COLUMNS), persistent=False)

    @property
    def is_filled(self) -> bool:
        """Whether there is a table."""
        return self.coefficients.numel() > 0

    def fill(self, table: DirectWaveTable) -> None:
        """Take the table."""
        for name, array in zip(_BUFFERS, (table.slowness_bounds_s_m, table.terms, table.coefficients), strict=True):
            setattr(self, name, torch.as_tensor(np.array(array), device=self.shots.device))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # A fresh module holds an empty table: let it take the size of the one that is loaded.
        for name in _BUFFERS:
            loaded = state_dict.get(prefix + name)
            if loaded is not None and loaded.shape != getattr(self, name).shape:
                setattr(self, name, torch.empty_like(loaded, device=self.shots.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, velocity: Tensor) -> Tensor:
        """Direct waves along each trace's own path.

        Args:
            velocity: Normalised maps `(batch, 1, 70, 70)`. A slowness beyond the table's ends counts as the nearer end.

        Returns:
            Raw amplitude `(batch, shot, time, receiver)`.
        """
        top = _top_slowness(velocity).mean(dim=1)  # (batch, column)
        steps = 0.5 * (top[:, 1:] + top[:, :-1])
        travelled = torch.cat((torch.zeros_like(top[:, :1]), steps.cumsum(dim=1)), dim=1)
        cells = torch.arange(top.shape[1], device=top.device) - self.shots[:, None]  # (shot, receiver)
        between = (travelled[:, None, :] - travelled[:, self.shots, None]) / torch.where(cells == 0, 1, cells)
        here = top[:, self.shots, None].expand_as(between)
        return self._gathers(torch.where(cells == 0, here, between))

    def of_one_velocity(self, velocity: Tensor) -> Tensor:
        """Direct waves of maps filled with the mean velocity of their top rows; shapes as in `forward`."""
        metres_per_second = VELOCITY_CENTRE_M_S + VELOCITY_HALF_RANGE_M_S * velocity[:, 0, :TOP_ROWS]
        slowness = 1.0 / metres_per_second.mean(dim=(1, 2)).clamp(min=1.0)
        return self._gathers(slowness[:, None, None].expand(-1, len(self.shots), velocity.shape[-1]))

    def _gathers(self, slowness: Tensor) -> Tensor:
        """Sum the series at slownesses `(batch, shot, receiver)`, s/m, to `(batch, shot, time, receiver)`."""
        bounds = self.slowness_bounds.tolist()
        slowness = slowness.clamp(bounds[0], bounds[-1])
        parts: list[Tensor] = []
        last = len(self.terms) - 1
        for k, table in enumerate(torch.split(self.coefficients, self.terms.tolist(), dim=2)):
            inside = torch.ones_like(slowness, dtype=torch.bool) if k == 0 else slowness >= bounds[k]
            inside = inside if k == last else inside & (slowness < bounds[k + 1])
            if inside.any() or (k == last and not parts):  # an empty batch, or what is no number, gets what it is
                weights = self._weights(slowness, bounds[k], bounds[k + 1], table.shape[2])
                parts.append(self._sum(torch.where(inside[..., None], weights, 0.0), table))
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(dim=0)

    def _weights(self, slowness: Tensor, low: float, high: float, n_terms: int) -> Tensor:
        """T_k(x) on an interval of slownesses, `(..., term)`."""
        # Not to the very ends, where the arc's cosine has no finite slope.
        x = (2.0 * (slowness - low) / (high - low) - 1.0).clamp(-1.0 + 1e-6, 1.0 - 1e-6)
        order = torch.arange(n_terms, device=x.device, dtype=x.dtype)
        return torch.cos(order * torch.arccos(x)[..., None])

    def _sum(self, weights: Tensor, table: Tensor) -> Tensor:
        """Sum one interval's terms.

        Args:
            weights: `(batch, shot, receiver, term)`.
            table: `(shot 0..2, receiver, term, time)`.

        Returns:
            `(batch, shot, time, receiver)`.
        """
        weights = weights.permute(1, 2, 0, 3)  # (shot, receiver, batch, term)
        traces: dict[int, Tensor] = {}
        for shot, mirror in _MIRROR_OF.items():
            its_table = table[shot].to(weights.dtype)
            if mirror is None:
                traces[shot] = torch.bmm(weights[shot], its_table)
                continue
            both = torch.cat((weights[shot], weights[mirror].flip(0)), dim=1)
            traces[shot], mirrored = torch.bmm(both, its_table).chunk(2, dim=1)
            traces[mirror] = mirrored.flip(0)
        return torch.stack([traces[shot] for shot in sorted(traces)]).permute(2, 0, 3, 1)


def direct_wave_table(trainer: object) -> DirectWaveTable:
    """Ask a trainer's data module for the table.

    Raises:
        ModuleError: If it has none to give.
    """
    offer = getattr(getattr(trainer, "datamodule", None), "direct_wave_table", None)
    if offer is None:
        raise ModuleError(
            "direct_wave: 'exact' takes its table from the data module, and this trainer has none with a method "
            "direct_wave_table; use OpenFWIDataModule, or set direct_wave to 'learned'."
        )
    table: DirectWaveTable = offer()
    return table


def _top_slowness(velocity: Tensor) -> Tensor:
    """Slowness of the top rows in s/m, `(batch, row, column)`; a map may hold what is no velocity."""
    metres_per_second = VELOCITY_CENTRE_M_S + VELOCITY_HALF_RANGE_M_S * velocity[:, 0, :TOP_ROWS]
    mean = metres_per_second.mean(dim=1, keepdim=True)  # as in `of_one_velocity`: the mean of velocities down the rows
    return 1.0 / mean.clamp(min=1.0)
