"""A fixed orthonormal cosine transform with standardised coefficients, in front of the normalising flow.

Not in the paper: on raw pixels a flow of two fully connected coupling layers never learns that neighbours resemble each
other, and what it generates is noise. The DCT-II nearly decorrelates smooth images, so that independent coefficients
are already an image. It is linear and exactly invertible, and its log-determinant is a constant.
"""

import math

import torch
from torch import Tensor, nn

LEAST_SCALE = 1e-3
"""Smallest standard deviation of a coefficient, of the root mean square of all: a constant one must not be divided by
zero, and rounding must not be blown up."""


def dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II matrix `(size, size)`, float64; row k is the cosine of k half periods."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi * k * (2.0 * n + 1.0) / (2.0 * size)) * math.sqrt(2.0 / size)
    matrix[0] /= math.sqrt(2.0)
    return matrix


class WhitenedDct(nn.Module):
    """Images to standardised DCT coefficients and back.

    Args:
        channels: Channels of an image.
        size: Its rows and columns.
    """

    matrix: Tensor
    mean: Tensor
    scale: Tensor
    fitted: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.register_buffer("matrix", dct_matrix(size).float(), persistent=False)
        self.register_buffer("mean", torch.zeros(self.shape))
        self.register_buffer("scale", torch.ones(self.shape))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @property
    def n_coefficients(self) -> int:
        """Length D of a latent vector."""
        return math.prod(self.shape)

    def _transform(self, image: Tensor) -> Tensor:
        return self.matrix @ image @ self.matrix.T

    @torch.no_grad()
    def fit(self, images: Tensor, noise_deviation: float = 0.0) -> None:
        """Take mean and standard deviation of each coefficient from images, to which white noise is to be added.

        Args:
            images: `(n, channel, size, size)`, n >= 2, without that noise.
            noise_deviation: Standard deviation of a pixel's noise, which is that of a coefficient's too.
        """
        double = dct_matrix(self.shape[-1]).to(images.device)
        coefficients = double @ images.double() @ double.T
        deviation = (coefficients.var(dim=0, unbiased=False) + noise_deviation**2).sqrt()
        floor = LEAST_SCALE * deviation.square().mean().sqrt().clamp(min=1e-12)
        self.mean.copy_(coefficients.mean(dim=0))
        self.scale.copy_(deviation.clamp(min=floor))
        self.fitted.fill_(True)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return coefficients `(batch, D)` and log |det| of the transform, a scalar, for `(batch, c, size, size)`."""
        standardised = (self._transform(image) - self.mean) / self.scale
        return standardised.flatten(1), -self.scale.log().sum()

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Return the images `(batch, channel, size, size)` of coefficients `(batch, D)`."""
        raw = coefficients.view(-1, *self.shape) * self.scale + self.mean
        return self.matrix.T @ raw @ self.matrix

    def as_image(self, latent: Tensor) -> Tensor:
        """Arrange latent vectors `(batch, D)` as images, for a network of convolutions to read; linear, one to one."""
        return self.inverse(latent)
