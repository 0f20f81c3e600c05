"""FlowGMM: whitening cosine transform, RealNVP and class Gaussians, as one invertible model of images (Eq. 3)."""

import torch
from torch import Tensor, nn

from lightning_modules.cubism.dct import WhitenedDct
from lightning_modules.cubism.flow import RealNVP
from lightning_modules.cubism.gaussian_mixture import GaussianMixture


class FlowGmm(nn.Module):
    """The model F with its Gaussians G.

    Args:
        n_classes: K.
        size: Rows and columns of an image of one channel.
        n_layers: Coupling layers.
        hidden_units: Of each.
        shared_sigma: Whether all classes' Gaussians have the same sigma.
    """

    def __init__(
        self, n_classes: int, size: int, n_layers: int = 2, hidden_units: int = 128, shared_sigma: bool = False
    ) -> None:
        super().__init__()
        self.whitening = WhitenedDct(1, size)
        self.flow = RealNVP((1, size, size), n_layers, hidden_units)
        self.mixture = GaussianMixture(n_classes, self.whitening.n_coefficients, shared_sigma)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return z `(batch, D)` and log |det dz/dx| `(batch,)` of images `(batch, 1, size, size)`."""
        coefficients, constant = self.whitening(image)
        latent, log_det = self.flow(coefficients)
        return latent, log_det + constant

    def decode(self, latent: Tensor) -> Tensor:
        """Return the images `(batch, 1, size, size)` of z `(batch, D)`: the exact inverse of `encode`."""
        return self.whitening.inverse(self.flow.inverse(latent))

    def as_image(self, latent: Tensor) -> Tensor:
        """Latents `(batch, D)` arranged as images by the fixed linear transform alone."""
        return self.whitening.as_image(latent)

    def log_likelihood_per_dimension(self, latent: Tensor, log_det: Tensor, *, fixed_gaussians: bool = False) -> Tensor:
        """Eq. 3: log p(x | y = k) / D, `(batch, class)`.

        Args:
            latent: `(batch, D)`.
            log_det: `(batch,)`.
            fixed_gaussians: Whether the Gaussians get no gradient.
        """
        joint: Tensor = self.mixture.log_likelihood(latent, fixed=fixed_gaussians) + log_det[:, None]
        return joint / latent.shape[1]

    @torch.no_grad()
    def generate(self, label: Tensor, noise: Tensor) -> Tensor:
        """Images of classes `(n,)` from standard normal noise `(n, D)`."""
        return self.decode(self.mixture.sample(label, noise))
