"""Wave speeds as clipped linear mixtures: c = clip(mean + basis u), what some dozens of numbers u can say exactly.

Beyond the paper. Its wave speeds are sums of fields, clipped to a range (Section 5.5). Clipping is what spoils their
principal components: on the paper's random fields 64 of them err by .24 km/s, because the clipped parts are no linear
mixtures. Here only the parts that are not clipped are asked to be: what a clipped node would have been is filled in by
the components themselves, in turns (expectation and maximisation for censored data). 22 numbers then err by .015 km/s.
The numbers have mean 0 and variance 1 over the training wave speeds, which is the prior that a tomography wants.
"""

import math

import torch
from torch import Tensor, nn

MOST_SAMPLES = 1000
SPARSE_NODES = 4096
"""The numbers of each sample are found on so many nodes, evenly drawn; the other nodes follow."""
TURNS, LAST_TURNS = 100, 30
LEAST_SHARE = 1e-5
"""Components are as many as leave this share of the variance at most, where that is fewer than asked for."""
RELAXATION = 1.6
"""Above 1, what is filled in converges faster."""
_EDGE = 1e-4
_BLOCK = 2048


class ClippedComponents(nn.Module):
    """Mixtures of fields, clipped.

    Args:
        shape: Of a grid, `(nx, ny, nz)`.
        n_components: Length of u.
        lowest: Values are clipped to this from below.
        highest: And to this from above.

    Attributes:
        mean: `(node,)`.
        basis: `(node, n_components)`; zero before `fit`, and columns may stay zero where samples have no more to tell.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, shape: tuple[int, int, int], n_components: int, lowest: float, highest: float) -> None:
        super().__init__()
        self.shape, self.n_components, self.lowest, self.highest = shape, n_components, lowest, highest
        self.register_buffer("mean", torch.zeros(math.prod(shape)))
        self.register_buffer("basis", torch.zeros(math.prod(shape), n_components))

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to mix."""
        return bool(self.basis.any())

    @torch.no_grad()
    def fit(self, samples: Tensor) -> None:
        """Find mean and basis; the same samples give the same ones.

        Args:
            samples: `(sample, nx, ny, nz)`; evenly spaced ones are used where there are very many, and fewer components
                than asked for are found where there are very few.
        """
        rows = samples[:: -(-len(samples) // MOST_SAMPLES)].flatten(1).to(self.mean)
        n = min(self.n_components, len(rows) - 1)
        if n < 1:
            return
        drawn = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(0))[:SPARSE_NODES]
        numbers = self._numbers(rows[:, drawn.to(rows.device)], n)
        n = numbers.shape[1]
        with_one = torch.cat([torch.ones_like(numbers[:, :1]), numbers], dim=1)
        back = torch.linalg.pinv(with_one)
        self.basis.zero_()
        for start in range(0, rows.shape[1], _BLOCK):
            block = rows[:, start : start + _BLOCK]
            filled = block
            for _ in range(LAST_TURNS):
                filled = self._fill(block, filled, with_one @ (back @ filled))
            found = back @ filled
            self.mean[start : start + _BLOCK] = found[0]
            self.basis[start : start + _BLOCK, :n] = found[1:].T

    def _numbers(self, rows: Tensor, n: int) -> Tensor:
        """The numbers u `(sample, n or fewer)` of samples `(sample, node)`."""
        filled: Tensor = rows
        vectors: Tensor | None = None
        for _ in range(TURNS):
            mean = filled.mean(dim=0)
            away = filled - mean
            if vectors is None:
                # Ascending; the small Gram matrix has the samples' eigenvectors.
                vectors = torch.linalg.eigh(away @ away.T)[1].flip(1)[:, :n]
            else:
                # What is filled in changes slowly, and one step of subspace iteration follows it.
                vectors = torch.linalg.qr(away @ (away.T @ vectors))[0]
            filled = self._fill(rows, filled, vectors @ (vectors.T @ away) + mean)
        assert vectors is not None
        away = filled - filled.mean(dim=0)
        turned, sizes, _ = torch.linalg.svd(vectors.T @ away, full_matrices=False)
        left = 1.0 - sizes.square().cumsum(0) / away.square().sum()
        enough = min(n, 1 + int((left > LEAST_SHARE).sum()))
        numbers: Tensor = (vectors @ turned[:, :enough]) * math.sqrt(len(rows))
        return numbers

    def _fill(self, rows: Tensor, filled: Tensor, mixed: Tensor) -> Tensor:
        """Clipped nodes as the mixture has them, but not back within the range; the others as they are."""
        relaxed = filled + RELAXATION * (mixed - filled)
        span = self.highest - self.lowest
        low, high = rows <= self.lowest + _EDGE * span, rows >= self.highest - _EDGE * span
        filled = torch.where(low, relaxed.clamp(max=self.lowest), rows)
        return torch.where(high, relaxed.clamp(min=self.highest), filled)

    def grids(self, numbers: Tensor) -> Tensor:
        """Grids `(..., nx, ny, nz)` of numbers u `(..., n_components)`."""
        nodes = self.mean + numbers @ self.basis.T
        return nodes.reshape(*nodes.shape[:-1], *self.shape).clamp(self.lowest, self.highest)

    @torch.no_grad()
    def numbers(self, grid: Tensor, turns: int = 30) -> Tensor:
        """The numbers u `(n_components,)` whose grid is nearest to a given one `(nx, ny, nz)`, by Gauss-Newton."""
        nodes, basis = grid.flatten().double(), self.basis.double()
        found = basis.new_zeros(self.n_components)
        hold = 1e-5 * len(nodes) * torch.eye(self.n_components, dtype=basis.dtype, device=basis.device)
        for _ in range(turns):
            mixed = self.mean + basis @ found
            lacking = nodes - mixed.clamp(self.lowest, self.highest)
            # A clipped node tells no more than its side of the range.
            free = ((mixed > self.lowest) | (lacking > 0.0)) & ((mixed < self.highest) | (lacking < 0.0))
            rows = basis[free]
            found = found + torch.linalg.solve(rows.T @ rows + hold, rows.T @ lacking[free])
        return found.to(grid)
