"""The classes' Gaussians in the latent space (FlowGMM; paper: section 4.2, Eqs. 3 and 4).

Component k is N(mu_k, sigma_k^2 I) with a scalar sigma through softplus; means start 7.5 apart, whatever the number of
classes, and learn. In D = 4,096 dimensions posteriors are all but one-hot whatever they are worth: the temperature
divides the log-likelihoods before they are compared. There, too, a difference of the sigmas of some percent outweighs
all that the means say, and a dim image is called the class of the smaller one: with one sigma for all classes Eq. 4 is
a linear discriminant along the difference of the means.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEANS_APART = 7.5
"""Distance of any two means at the start (FlowGMM)."""
_SOFTPLUS_OF_ONE = math.log(math.e - 1.0)


def starting_means(n_classes: int, n_dimensions: int) -> Tensor:
    """Means `(class, D)` around zero, any two `MEANS_APART`, along directions that are the same in every run."""
    generator = torch.Generator().manual_seed(0)
    directions, _ = torch.linalg.qr(torch.randn(n_dimensions, n_classes, generator=generator))
    corners = directions.T * (MEANS_APART / math.sqrt(2.0))
    centred: Tensor = corners - corners.mean(dim=0)
    return centred


class GaussianMixture(nn.Module):
    """One isotropic Gaussian a class.

    Args:
        n_classes: K.
        n_dimensions: D, at least K.
        shared_sigma: Whether all classes have the same sigma.
    """

    def __init__(self, n_classes: int, n_dimensions: int, shared_sigma: bool = False) -> None:
        super().__init__()
        self.means = nn.Parameter(starting_means(n_classes, n_dimensions))
        self.raw_sigma = nn.Parameter(torch.full((1 if shared_sigma else n_classes,), _SOFTPLUS_OF_ONE))

    @property
    def sigma(self) -> Tensor:
        """Standard deviations `(class,)`."""
        return (F.softplus(self.raw_sigma) + 1e-3).expand(len(self.means))

    def log_likelihood(self, latent: Tensor, *, fixed: bool = False) -> Tensor:
        """Return log N(z | mu_k, sigma_k) `(batch, class)`.

        Args:
            latent: `(batch, D)`.
            fixed: Whether the Gaussians get no gradient.
        """
        d = latent.shape[1]
        means, sigma = (self.means.detach(), self.sigma.detach()) if fixed else (self.means, self.sigma)
        # Differences, not the expanded square: in float32 that would lose what tells the classes apart.
        squared = torch.stack([(latent - mean).square().sum(dim=1) for mean in means], dim=1)
        return -0.5 * squared / sigma.square() - d * (sigma.log() + 0.5 * math.log(2.0 * math.pi))

    def posterior(self, latent: Tensor, temperature: float | Tensor = 1.0, prior: Tensor | None = None) -> Tensor:
        """Eq. 4: p(y | x) `(batch, class)`.

        Args:
            latent: `(batch, D)`.
            temperature: Divides the log-likelihoods; 1 is Eq. 4 as published.
            prior: `(class,)`; uniform by default, as in Eq. 4.
        """
        logits = self.log_likelihood(latent) / temperature
        if prior is not None:
            logits = logits + prior.clamp(min=1e-12).log()
        return logits.softmax(dim=1)

    def sample(self, label: Tensor, noise: Tensor) -> Tensor:
        """Draw z = mu_y + sigma_y * noise for classes `(batch,)` and standard normal noise `(batch, D)`.

        Reparameterised: gradients reach means and deviations.
        """
        return self.means[label] + self.sigma[label, None] * noise
