"""Wave speeds as coefficients of their principal components: what is linear in an autoencoder, solved and not trained.

A family of wave speeds that mixes a few fixed fields (the paper's Section 5.5) lies near a linear space of as many
dimensions, except where it was clipped. Between this space and the grid everything is linear and known, so that only
the way from some dozens of coefficients to the few numbers of a latent code is left to learn.
"""

import math

import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError

MOST_SAMPLES = 2000
"""Wave speeds that the components are made from: their Gram matrix is what it costs."""


class PrincipalComponents(nn.Module):
    """A linear map between grids and coefficients, made from samples.

    Args:
        shape: Of a grid, `(nx, ny, nz)`.
        n_components: Number of coefficients.

    Raises:
        ModuleError: If there is no component, or more than samples that they are made from.
    """

    mean: Tensor
    basis: Tensor
    unit: Tensor

    def __init__(self, shape: tuple[int, int, int], n_components: int) -> None:
        super().__init__()
        if not 1 <= n_components < MOST_SAMPLES:
            raise ModuleError(f"n_components: got {n_components}; give a whole number of 1 to {MOST_SAMPLES - 1}.")
        self.shape, self.n_components = shape, n_components
        self.register_buffer("mean", torch.zeros(math.prod(shape)))
        self.register_buffer("basis", torch.zeros(math.prod(shape), n_components))
        # Deliberately not a standardisation of each coefficient: squared errors keep their meaning.
        self.register_buffer("unit", torch.tensor(1.0))

    @torch.no_grad()
    def fit(self, samples: Tensor) -> None:
        """Find the components; the same samples give the same ones.

        Args:
            samples: `(sample, nx, ny, nz)`; evenly spaced ones are used where there are very many.

        Raises:
            ModuleError: If there are no more samples than components.
        """
        if len(samples) <= self.n_components:
            raise ModuleError(
                f"n_components: got {self.n_components} with {len(samples)} wave speeds to find them from; give fewer, "
                f"or more training wave speeds."
            )
        stride = -(-len(samples) // MOST_SAMPLES)
        rows = samples[::stride].flatten(1).to(self.mean)
        self.mean.copy_(rows.mean(dim=0))
        rows = rows - self.mean
        # Grids have far more nodes than there are samples: the eigenvectors of the small Gram matrix suffice.
        values, vectors = torch.linalg.eigh((rows @ rows.T).double())
        n = min(self.n_components, int((values > 1e-6 * values[-1]).sum()))
        values, vectors = values.flip(0)[:n], vectors.flip(1)[:, :n]
        self.basis.zero_()
        self.basis[:, :n] = (rows.T @ vectors.to(rows)) / values.sqrt().to(rows)
        self.unit.copy_((values[0] / len(rows)).sqrt())

    def coefficients(self, grids: Tensor) -> Tensor:
        """Coefficients `(..., n_components)` of grids `(..., nx, ny, nz)`, in units of the largest one's deviation."""
        return ((grids.flatten(-3) - self.mean) @ self.basis) / self.unit

    def grids(self, coefficients: Tensor) -> Tensor:
        """Grids `(..., nx, ny, nz)` of coefficients `(..., n_components)`."""
        nodes = self.mean + (coefficients * self.unit) @ self.basis.T
        return nodes.reshape(*nodes.shape[:-1], *self.shape)

    def mean_square(self, difference: Tensor) -> Tensor:
        """Mean square over a grid's nodes `(...)` of a difference of coefficients `(..., n_components)`."""
        return difference.square().sum(dim=-1) * self.unit.square() / len(self.mean)
