"""What chance decides in one step of training, drawn for the global batch from (seed, step) alone.

Every process draws for all and keeps its own rows: so any number of processes that share a global batch see the same
noise, and so does a resumed training.
"""

import numpy as np
import torch
from torch import Tensor

from lightning_modules.cubism.processes import Processes


class StepDraws:
    """A step's draws; all processes must ask for the same ones in the same order.

    Args:
        seed: The run's seed.
        step: Number of the optimiser step.
        n_rows: Rows of this process's share of the batch.
        processes: Those that share the batch.
        device: Where the draws are wanted; they are made on the CPU, where a seed means the same everywhere.
    """

    def __init__(
        self, seed: int, step: int, n_rows: int, processes: Processes, device: torch.device | None = None
    ) -> None:
        self._rng = np.random.default_rng([seed, step])
        self._n_global = n_rows * processes.world_size
        self._processes, self._device = processes, device

    def _own(self, values: np.ndarray) -> Tensor:
        return self._processes.own(torch.from_numpy(values)).to(self._device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers `(batch, *shape)`, float32."""
        return self._own(self._rng.standard_normal((self._n_global, *shape), dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers on [0, 1), `(batch, *shape)`, float32."""
        return self._own(self._rng.random((self._n_global, *shape), dtype=np.float32))

    def beta(self, alpha: float, beta: float, *, per_sample: bool) -> Tensor:
        """Draw from Beta(alpha, beta), `(batch,)` float32; one number for the whole batch unless `per_sample`."""
        drawn = self._rng.beta(alpha, beta, self._n_global if per_sample else 1).astype(np.float32)
        return self._own(np.broadcast_to(drawn, self._n_global).copy())

    def global_uniform(self) -> Tensor:
        """Uniform numbers on [0, 1) for all rows of the global batch `(global_batch,)`, float32."""
        return torch.from_numpy(self._rng.random(self._n_global, dtype=np.float32)).to(self._device)
