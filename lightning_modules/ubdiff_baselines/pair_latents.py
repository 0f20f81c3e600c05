"""The latents of the n pairs, kept with the weights that made them.

The diffusion needs both latents of each pair, thousands of times, and the gathers for nothing else. So stage `paired`,
where maps, gathers and both trained encoders are at hand, encodes all pairs at its end and leaves the result in its
checkpoint (1 MB for 1,000 pairs), and stage `diffusion` reads no gather at all.
"""

from typing import Any

import torch
from torch import Tensor, nn


class PairLatents(nn.Module):
    """Concatenated latents of training and validation pairs, z_v first; none until they are known.

    Args:
        dim: Length of a row, both latents together.

    Attributes:
        of_training: `(n, dim)`, in the order of the training part.
        of_validation: `(n_validation, dim)`, in the order of the validation part.
    """

    of_training: Tensor
    of_validation: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("of_training", torch.zeros(0, dim))
        self.register_buffer("of_validation", torch.zeros(0, dim))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # How many pairs there are is not known when the network is built: take the checkpoint's word.
        for name, buffer in self._buffers.items():
            found = state_dict.get(prefix + name)
            if isinstance(found, Tensor) and isinstance(buffer, Tensor) and found.shape[1:] == buffer.shape[1:]:
                setattr(self, name, buffer.new_zeros(found.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
