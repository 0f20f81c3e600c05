"""What goes into the module and what comes out: batches of normalised pairs, about -1 to 1."""

from typing import NamedTuple, Protocol

from torch import Tensor

from lightning_modules.errors import ModuleError


class PairBatch(Protocol):
    """What a data module's batch offers; `seismic` is None where a stage needs none."""

    @property
    def index(self) -> Tensor:
        """Position of each sample in its split, int64 `(batch,)`."""

    @property
    def velocity(self) -> Tensor:
        """Normalised velocity maps `(batch, 1, 70, 70)`."""

    @property
    def seismic(self) -> Tensor | None:
        """Log-normalised gathers `(batch, shot, time, receiver)`."""


class GeneratedPairs(NamedTuple):
    """Generated pairs, normalised.

    Attributes:
        index: Sample numbers, int64 `(batch,)`.
        latent: Co-latents in -1..1, `(batch, latent_dim)`.
        velocity: `(batch, 1, 70, 70)`.
        seismic: `(batch, shot, time, receiver)`.
    """

    index: Tensor  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    latent: Tensor
    velocity: Tensor
    seismic: Tensor


def seismic_of(batch: PairBatch) -> Tensor:
    """Return a batch's gathers.

    Raises:
        ModuleError: If the batch holds velocity maps alone.
    """
    if batch.seismic is None:
        raise ModuleError(
            "batch: this stage needs pairs and got velocity maps without seismic; set data.content to 'pairs'."
        )
    return batch.seismic
