"""Seismic decoder D_s as in the paper's code: one single token, a class token, and one very large linear layer.

The latent becomes one token of 640 numbers; two transformer blocks let a class token attend to it; and one linear layer
spreads the class token over the whole gather. There is no sequence for the attention to work on: 224 of the 237 million
parameters at full rate stand in the last layer. It is here to be compared with (`seismic_decoder` holds our default).

Deviations from the paper's code: no BatchNorm before the first activation, so that a sample is decoded the same in any
company; no positional embeddings, which the class token and the biases absorb; no dropout and no classification head.
"""

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.seismic_decoder import TransformerBlock


class SingleTokenDecoder(nn.Module):
    """Seismic latent z'_s to a log-normalised gather.

    At the paper's sizes (latent 128, 5 x 1000 x 70, width 640, depth 2, 8 heads, expansion 5) it has 236.3 million
    parameters; 236.9 are counted in the paper's code, of which we leave out what the module docstring says.

    Args:
        latent_dim: Length of z'_s.
        n_shots: Shots of a gather.
        n_time: Time samples of a gather.
        n_receivers: Receivers of a gather.
        width: Channels of the token (paper's code: 640), a multiple of the heads.
        depth: Transformer blocks (paper's code: 2).
        heads: Attention heads (paper's code: 8).
        expansion: Hidden width of a block's perceptron over `width` (paper's code: 5).
    """

    def __init__(
        self,
        latent_dim: int,
        n_shots: int,
        n_time: int,
        n_receivers: int,
        width: int,
        depth: int,
        heads: int,
        expansion: int = 5,
    ) -> None:
        super().__init__()
        self.shape = (n_shots, n_time, n_receivers)
        self.to_token = nn.Sequential(nn.Linear(latent_dim, width), nn.LeakyReLU(0.2), nn.Linear(width, width))
        self.class_token = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, expansion) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_gather = nn.Linear(width, n_shots * n_time * n_receivers)

    def forward(self, latent: Tensor) -> Tensor:
        """Map z'_s `(batch, latent_dim)` to a gather `(batch, shot, time, receiver)`, about -1 to 1."""
        token: Tensor = self.to_token(latent)
        tokens = torch.stack((self.class_token.expand_as(token), token), dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        gather: Tensor = self.to_gather(self.norm(tokens[:, 0]))
        return gather.view(-1, *self.shape)
