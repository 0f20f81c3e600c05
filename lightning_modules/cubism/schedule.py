"""How weights and learning rate change over training (Ganin et al. 2015; paper: section 6.2)."""

import math
from typing import Literal

LearningRateSchedule = Literal["ganin", "cosine", "constant"]


def ramp(progress: float, steepness: float = 10.0) -> float:
    """2 / (1 + exp(-iota b)) - 1, which rises from 0 towards 1 with progress b in [0, 1]."""
    return 2.0 / (1.0 + math.exp(-steepness * progress)) - 1.0


def adaptation_progress(step: int, n_steps: int, n_pretraining_steps: int) -> float:
    """Return b: 0 until pre-training is over, then linear to 1 at the last step."""
    return min(1.0, max(0.0, (step - n_pretraining_steps) / max(1, n_steps - 1 - n_pretraining_steps)))


def learning_rate_factor(progress: float, schedule: LearningRateSchedule) -> float:
    """Return what the base rate is multiplied by at this share of the whole training.

    `ganin` is (1 + 10 p)^-.75, the paper's; `cosine` falls to zero; `constant` is 1.
    """
    if schedule == "ganin":
        return float((1.0 + 10.0 * progress) ** -0.75)
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return 1.0
