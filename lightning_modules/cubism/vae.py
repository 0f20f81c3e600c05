"""The convolutional variational autoencoder of the rival DM-ADA (Xu et al. 2020; Kingma and Welling 2014).

The mixup of two posteriors N(mu, s^2) mixes means and deviations, then samples. Own sizes: the paper states none.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ImageVae(nn.Module):
    """Encoder and decoder of images in [0, 1].

    Args:
        size: Rows and columns of an image, a multiple of 16.
        latent_dim: Length of a latent vector.
        width: Channels at half resolution, doubled at each of three coarser ones.
    """

    def __init__(self, size: int, latent_dim: int = 128, width: int = 16) -> None:
        super().__init__()
        widths = [1, width, 2 * width, 4 * width, 8 * width]
        self.coarse = (widths[-1], size // 16, size // 16)
        n_coarse = self.coarse[0] * self.coarse[1] * self.coarse[2]
        down: list[nn.Module] = []
        for before, after in pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(min(8, after), after), nn.ReLU()]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(n_coarse, 2 * latent_dim))
        up: list[nn.Module] = []
        for before, after in zip(widths[:1:-1], widths[-2:0:-1], strict=True):
            up += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.GroupNorm(min(8, after), after), nn.ReLU()]
        self.expand = nn.Linear(latent_dim, n_coarse)
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(widths[1], 1, 4, 2, 1))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation `(batch, latent_dim)` each of images `(batch, 1, size, size)`."""
        mean, log_variance = self.encoder(image).chunk(2, dim=1)
        return mean, (0.5 * log_variance.clamp(-12.0, 12.0)).exp()

    def decode(self, latent: Tensor) -> Tensor:
        """Return images `(batch, 1, size, size)` in (0, 1) of latents `(batch, latent_dim)`."""
        image: Tensor = torch.sigmoid(self.decoder(self.expand(latent).view(-1, *self.coarse)))
        return image


def vae_loss(image: Tensor, reconstruction: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Negative evidence bound per pixel, up to a constant: squared error at unit 0.1, and KL to the standard normal."""
    n_pixels = image[0].numel()
    squared = 0.5 * F.mse_loss(reconstruction, image) / 0.1**2
    divergence = 0.5 * (mean.square() + deviation.square() - 1.0) - deviation.log()
    return squared + divergence.sum(dim=1).mean() / n_pixels
