"""Seismic decoder D_s: the seismic latent z'_s to a gather, by a transformer over time (paper, Eq. 1).

The gather is cut into patches of time, each a token that holds all shots and receivers of its patch, and the tokens
attend to one another. The paper's code calls its decoder a transformer too, but feeds it one single token and spends
224 of its 237 million parameters on one linear layer from 640 numbers to the whole gather; there is no sequence in it.
Here the tokens are the sequence and the whole decoder stays below 6 million parameters.
"""

import math

from torch import Tensor, nn


class TransformerBlock(nn.Module):
    """Self-attention over time, then a multi-layer perceptron, both pre-normalised and residual.

    Args:
        width: Channels of a token.
        heads: Attention heads; they must divide the width.
        expansion: Hidden width of the perceptron over `width`.
    """

    def __init__(self, width: int, heads: int, expansion: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(batch, token, width)` to the same shape."""
        projected: Tensor = self.query_key_value(self.attention_norm(tokens))
        # (batch, token, 3 * width) -> 3 x (batch, head, token, width / heads)
        query, key, value = projected.view(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.attention_out(attended.transpose(1, 2).flatten(2))
        out: Tensor = tokens + self.perceptron(self.perceptron_norm(tokens))
        return out


class SeismicDecoder(nn.Module):
    """Seismic latent z'_s to a log-normalised gather.

    Args:
        latent_dim: Length of z'_s.
        n_shots: Shots of a gather.
        n_time: Time samples of a gather.
        n_receivers: Receivers of a gather.
        patch: Time samples of a token; a last patch that reaches beyond the end is cut.
        width: Channels of a token, a multiple of 4 and of the heads.
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
        self.shape = (n_shots, n_time, n_receivers)
        self.patch = patch
        self.n_tokens = math.ceil(n_time / patch)
        # Features of the latent, then a matrix of its own for each token: what arrives at different times depends on
        # different depths, and a token that is told so at once need not find its part by attention. The bias
        # tells it its position.
        self.latent_features = nn.Sequential(
            nn.Linear(latent_dim, 2 * width), nn.GELU(), nn.Linear(2 * width, width // 4), nn.GELU()
        )
        self.to_tokens = nn.Linear(width // 4, self.n_tokens * width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_patch = nn.Linear(width, n_shots * patch * n_receivers)
        nn.init.normal_(self.to_patch.weight, std=0.02)

    def forward(self, latent: Tensor) -> Tensor:
        """Map z'_s `(batch, latent_dim)` to a gather `(batch, shot, time, receiver)`, about -1 to 1."""
        n_shots, n_time, n_receivers = self.shape
        spread: Tensor = self.to_tokens(self.latent_features(latent))
        tokens = spread.view(len(latent), self.n_tokens, -1)
        for block in self.blocks:
            tokens = block(tokens)
        patches: Tensor = self.to_patch(self.norm(tokens))
        # (batch, token, shot * patch * receiver) -> (batch, shot, token * patch, receiver)
        patches = patches.view(-1, self.n_tokens, n_shots, self.patch, n_receivers)
        gather = patches.transpose(1, 2).flatten(2, 3)
        return gather[:, :, :n_time].contiguous()
