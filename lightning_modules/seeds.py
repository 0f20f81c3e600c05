"""Random generators of torch that follow from whole numbers, and from nothing that came before."""

import numpy as np
import torch


def generator_of(*numbers: int) -> torch.Generator:
    """A generator on the CPU, where the same seed gives the same numbers on every machine.

    Args:
        numbers: Such as the run's seed and the epoch; none below 0.
    """
    word = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(word >> np.uint64(1)))
