"""Do two sets of latents overlap, pair by pair? How near a sample's partner lies among all samples of the other set."""

import torch
from torch import Tensor


@torch.no_grad()
def partner_ranks(x: Tensor, y: Tensor) -> Tensor:
    """Rank of each x's partner among all y by distance, over their number: `(n, d)`, `(n, d)` -> `(n,)`.

    0: the partner is the nearest of all; .5 on average where the two sets have nothing to do with each other.

    Raises:
        ValueError: If the sets differ in shape or have fewer than two rows.
    """
    if x.shape != y.shape or len(x) < 2:
        raise ValueError(
            f"partner_ranks got latents of shapes {tuple(x.shape)} and {tuple(y.shape)}: give the same shape, at least "
            "two rows."
        )
    distances = torch.cdist(x.double(), y.double())
    nearer = (distances < distances.diagonal()[:, None]).sum(1)
    return nearer.double() / (len(x) - 1)
