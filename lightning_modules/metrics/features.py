"""Feature networks that Frechet and kernel distances are measured in; each has a name and a digest for the caption.

Two that need no foreign weights: PCA features, fitted on training samples, and any frozen encoder (`family_encoder`
trains one). The ImageNet network is in `efficientnet_features`.
"""

import copy
import hashlib
from collections.abc import Iterable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

EXACT_UP_TO = 1024  # samples whose products with one another are cheaper than eight rounds over all their values
COLUMNS = 8192  # values of all samples that are centred at a time


class FeatureExtractor(Protocol):
    """Normalised samples `(batch, ...)` to features `(batch, n_features)`."""

    name: str
    digest: str
    n_features: int

    def __call__(self, samples: Tensor) -> Tensor:
        """Return the features."""


def features_of(samples: Tensor, features: FeatureExtractor | None, n_features: int, metric: str) -> Tensor:
    """Features `(batch, n_features)` of samples, or the samples themselves where there is no feature network.

    Raises:
        ValueError: If the features have another shape.
    """
    x = samples.detach() if features is None else features(samples).detach()
    if x.ndim != 2 or x.shape[1] != n_features:
        raise ValueError(
            f"{metric} got features of shape {tuple(x.shape)}: (batch, {n_features}) is wanted, as it was set up for."
        )
    return x


def digest_of(tensors: Iterable[Tensor]) -> str:
    """First twelve digits of the SHA-256 of tensors' shapes and values."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:12]


class PCAFeatures(nn.Module):
    """Leading principal components of training samples.

    Not whitened by default: the components are a rotation, so that a Frechet distance is the transport distance of the
    samples themselves within the leading subspace, in normalised units, and does not hang on how exactly single
    components were found. It is ruled by the large scales. `whitened` gives each component the same say: stricter on
    fine structure (a blur), blind to what is large, and what a polynomial kernel wants.

    Args:
        mean: `(values,)` of the training samples.
        components: Orthonormal rows `(n_features, values)`.
        deviations: Standard deviation of the training samples along each, `(n_features,)`.
        whiten: Divide by the deviations.
    """

    name: str
    digest: str
    n_features: int
    mean: Tensor
    components: Tensor
    deviations: Tensor
    matrix: Tensor
    offset: Tensor

    def __init__(self, mean: Tensor, components: Tensor, deviations: Tensor, whiten: bool = False) -> None:
        super().__init__()
        matrix = components / deviations[:, None] if whiten else components
        for name, tensor in (
            ("mean", mean), ("components", components), ("deviations", deviations),
            ("matrix", matrix), ("offset", matrix @ mean),
        ):  # fmt: skip
            self.register_buffer(name, tensor)
        self.n_features = len(components)
        self.name = f"PCA-{self.n_features}" + (", whitened" if whiten else "")
        self.digest = digest_of((mean, matrix))

    @classmethod
    @torch.no_grad()
    def fit(cls, samples: Tensor, n_components: int = 64, oversampling: int = 64, iterations: int = 8) -> "PCAFeatures":
        """Find the components of training samples.

        Where the samples are few (gathers), exactly, from their products with one another; where they are many (maps),
        by subspace iteration: a full decomposition of 4,000 maps takes half a minute, this a second, and it resolves
        all but the very last components. The samples are neither copied nor centred in memory: gathers fill a good
        part of it.

        Args:
            samples: `(n, ...)` float32, training samples alone.
            n_components: How many; fewer where the samples do not span so many.
            oversampling: Further directions that are iterated and thrown away.
            iterations: Of the subspace.

        Raises:
            ValueError: If there are fewer than two samples, or they are all equal.
        """
        x = samples.flatten(1)
        n, size = x.shape
        if n < 2:
            raise ValueError(f"PCA features got {n} training samples: give at least two.")
        mean = x.mean(0)
        if n <= min(size, EXACT_UP_TO):
            _, basis = torch.linalg.eigh(_products_of_centred(x, mean))
            basis = basis[:, -(n_components + oversampling) :].to(x.dtype)
        else:
            generator = torch.Generator().manual_seed(0)
            basis = torch.randn(n, min(n, size, n_components + oversampling), generator=generator).to(x)
            for _ in range(iterations):
                basis, _ = torch.linalg.qr(basis)
                rows = _centred_transpose_times(x, mean, basis)
                basis = x @ rows - mean @ rows
            basis, _ = torch.linalg.qr(basis)
        rows = _centred_transpose_times(x, mean, basis)
        energies, vectors = torch.linalg.eigh(rows.double().T @ rows.double())
        energies, vectors = energies.flip(0), vectors.flip(1)
        # Directions that the samples do not span hold rounding alone; whitening would blow it up.
        spanned = int((energies > 1e-10 * energies[0]).sum())
        if spanned == 0:
            raise ValueError("PCA features got training samples that are all equal: nothing varies.")
        k = min(n_components, n - 1, spanned)
        components = (rows.double() @ (vectors[:, :k] / energies[:k].sqrt())).T.contiguous()
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        components = components * largest.sign()  # an eigenvector's sign is the library's whim
        return cls(mean, components.to(x.dtype), (energies[:k] / (n - 1)).sqrt().to(x.dtype))

    def whitened(self) -> "PCAFeatures":
        """The same components, each divided by its standard deviation."""
        return PCAFeatures(self.mean, self.components, self.deviations, whiten=True)

    def forward(self, samples: Tensor) -> Tensor:
        """Map samples `(batch, ...)` to `(batch, n_features)`."""
        return samples.flatten(1) @ self.matrix.T - self.offset


class FamilyEncoderFeatures(nn.Module):
    """A frozen copy of an encoder that was trained on the family.

    The encoder of the generator under test is a judge in its own cause: take one from another run.

    Args:
        encoder: Samples `(batch, ...)` to `(batch, n_features)`.
        n_features: Length of its output.
        name: What the caption calls it.
    """

    name: str
    digest: str
    n_features: int

    def __init__(self, encoder: nn.Module, n_features: int, name: str = "family encoder") -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self.n_features = n_features
        self.name = name
        self.digest = digest_of(self.encoder.state_dict().values())

    def train(self, mode: bool = True) -> "FamilyEncoderFeatures":
        """Stay in evaluation mode, whatever a parent is put into."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Map samples `(batch, ...)` to `(batch, n_features)`."""
        return cast(Tensor, self.encoder(samples)).flatten(1)


def _centred_transpose_times(x: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    product: Tensor = x.T @ basis - torch.outer(mean, basis.sum(0))
    return product


def _products_of_centred(x: Tensor, mean: Tensor) -> Tensor:
    products = torch.zeros(len(x), len(x), dtype=torch.float64, device=x.device)
    for start in range(0, x.shape[1], COLUMNS):
        part = x[:, start : start + COLUMNS] - mean[start : start + COLUMNS]
        products += (part @ part.T).double()
    return products
