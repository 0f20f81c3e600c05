"""Two denoisers side by side, one for each modality's latent, that never see each other's half.

With these the latent diffusion of a pair falls apart into two diffusions: the loss is the mean of both losses, no
weight belongs to both, and a sample's halves come from two independent halves of the starting noise.
"""

import torch
from torch import Tensor, nn


class IndependentDenoisers(nn.Module):
    """A block-diagonal denoiser over the two concatenated latents.

    Args:
        velocity: Denoiser of z_v.
        seismic: Denoiser of z_s, of the same length.
    """

    def __init__(self, velocity: nn.Module, seismic: nn.Module) -> None:
        super().__init__()
        self.velocity = velocity
        self.seismic = seismic

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        """Map noisy latents `(batch, 2 * latent_dim)`, z_v first, at time `(batch,)` in 0..1 to the same shape."""
        velocity, seismic = noisy.chunk(2, dim=1)
        return torch.cat((self.velocity(velocity, time), self.seismic(seismic, time)), dim=1)
