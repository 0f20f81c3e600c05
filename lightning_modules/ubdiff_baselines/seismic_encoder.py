"""Seismic encoder: a gather to a latent of its own, by a transformer over time.

UB-Diff has no such network, because its only input is the velocity map (paper, Eq. 1); a generator with a latent for
each modality needs one. It is our seismic decoder run backwards, at the same sizes: the gather is cut into patches of
time, each a token that holds all shots and receivers of its patch, the tokens attend to one another, and two linear
layers bring all of them together into the latent. Other than in UB-Diff's velocity encoder there is no linear branch,
which would cost 11 million parameters at 250 time samples.
"""

import math

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.seismic_decoder import TransformerBlock

# As in UB-Diff's velocity encoder: a layer over thousands of inputs learns too fast at a high rate and drives the tanh
# into saturation, so its inputs are made smaller and its starting weights larger by the same factor. (FlatVel-A, rate
# 0.002, 60 steps of 16: without, all of z_s saturated and every gather was decoded alike, amplitude error 1.01; with,
# nothing saturated, amplitude error 0.89, and 0.15 after 180 steps.)
TOKEN_SCALE = 0.05
HIDDEN_SCALE = 0.2


class SeismicEncoder(nn.Module):
    """Log-normalised gather to latent z_s in (-1, 1).

    Args:
        latent_dim: Length of z_s.
        n_shots: Shots of a gather.
        n_time: Time samples of a gather.
        n_receivers: Receivers of a gather.
        patch: Time samples of a token; a last patch that reaches beyond the end is filled with zeros.
        width: Channels of a token, a multiple of the heads.
        depth: Transformer blocks.
        heads: Attention heads.
    """

    def __init__(
        self,
        latent_dim: int,
        n_shots: int,
        n_time: int,
        n_receivers: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.n_tokens = math.ceil(n_time / patch)
        self.to_token = nn.Linear(n_shots * patch * n_receivers, width)
        self.position = nn.Parameter(0.02 * torch.randn(self.n_tokens, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_hidden = nn.Linear(self.n_tokens * width, 2 * width)
        self.to_latent = nn.Linear(2 * width, latent_dim)
        with torch.no_grad():
            self.to_hidden.weight.div_(TOKEN_SCALE)
            self.to_latent.weight.div_(HIDDEN_SCALE)

    def forward(self, gather: Tensor) -> Tensor:
        """Map a gather `(batch, shot, time, receiver)`, about -1 to 1, to z_s `(batch, latent_dim)`."""
        batch, n_shots, n_time, n_receivers = gather.shape
        filled = nn.functional.pad(gather, (0, 0, 0, self.n_tokens * self.patch - n_time))
        # (batch, shot, token * patch, receiver) -> (batch, token, shot * patch * receiver)
        patches = filled.reshape(batch, n_shots, self.n_tokens, self.patch, n_receivers).transpose(1, 2).flatten(2)
        tokens: Tensor = self.to_token(patches) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        hidden = nn.functional.gelu(self.to_hidden(TOKEN_SCALE * self.norm(tokens).flatten(1)))
        z: Tensor = self.to_latent(HIDDEN_SCALE * hidden)
        return z.tanh()
