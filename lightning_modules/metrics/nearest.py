"""Did the generator learn its training maps by heart? The distance to the nearest one, beside that of real maps.

A Frechet distance cannot tell: the training maps themselves score its floor. A generated map that lies much nearer to
the training maps than a held-out real map does was copied.
"""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class NearestTrainingRatio(Metric):
    """Median distance of generated samples to their nearest training sample, over that of held-out real samples.

    About 1 for a generator that draws from the same distribution, 0 for one that copies; above 1 its samples lie
    further from the real ones than these from each other.

    Args:
        training: `(n, ...)`, all training samples.
        mirrored: Count a training sample's mirror image (last axis) as a training sample.
        block: Samples compared at a time; bounds the memory to `block * n` distances.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    centre: Tensor
    references: Tensor
    real: list[Tensor]
    generated: list[Tensor]

    def __init__(self, training: Tensor, mirrored: bool = False, block: int = 256) -> None:
        super().__init__()
        self.mirrored, self.block = mirrored, block
        centre = training.flatten(1).mean(0)
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("references", training.flatten(1) - centre, persistent=False)
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("generated", [], dist_reduce_fx="cat")

    def update(self, samples: Tensor, real: bool) -> None:
        """Add a batch `(batch, ...)` of held-out real or generated samples, in the training samples' unit."""
        nearest = self._nearest(samples)
        if self.mirrored:
            nearest = torch.minimum(nearest, self._nearest(samples.flip(-1)))
        (self.real if real else self.generated).append(nearest)

    def _nearest(self, samples: Tensor) -> Tensor:
        return _nearest_to_centred(samples.flatten(1) - self.centre, self.references, self.block)

    def medians(self) -> tuple[Tensor, Tensor]:
        """Median nearest distance of the held-out real and of the generated samples, per value, in their unit.

        Raises:
            ValueError: If there are no real or no generated samples.
        """
        if not self.real or not self.generated:
            raise ValueError("NearestTrainingRatio has no real or no generated samples: give it both.")
        return dim_zero_cat(self.real).median(), dim_zero_cat(self.generated).median()

    def compute(self) -> Tensor:
        """Return generated over real, a float32 scalar."""
        real, generated = self.medians()
        return generated / real


def nearest_distances(samples: Tensor, training: Tensor, block: int = 256) -> Tensor:
    """Root-mean-square difference of each sample `(n, ...)` to its nearest training sample `(m, ...)`: `(n,)`."""
    centre = training.flatten(1).mean(0)
    return _nearest_to_centred(samples.flatten(1) - centre, training.flatten(1) - centre, block)


@torch.no_grad()
def _nearest_to_centred(x: Tensor, references: Tensor, block: int) -> Tensor:
    # The nearest is found through a matrix product, in which a distance near zero would be the difference of two large
    # numbers; the distance itself is then taken from the samples' difference. Both are centred for the same reason.
    half_norms = 0.5 * references.square().sum(1)
    parts = []
    for part in torch.split(x, block):
        nearest = references[(half_norms - part @ references.T).argmin(1)]
        parts.append((part - nearest).square().mean(1).sqrt())
    return torch.cat(parts)
