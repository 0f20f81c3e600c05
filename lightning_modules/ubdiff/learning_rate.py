"""Learning-rate schedules, as factors of the base rate over optimiser steps."""

import math
from typing import Literal

Schedule = Literal["cosine", "step", "constant"]


def learning_rate_factor(step: int, schedule: Schedule, n_steps: int, warmup_steps: int, steps_per_epoch: int) -> float:
    """Return the factor at an optimiser step.

    Args:
        step: Steps taken so far.
        schedule: `cosine` falls to zero at `n_steps`; `step` is the paper code's 0.98 every 10 epochs.
        n_steps: Steps of the whole training (used by `cosine`).
        warmup_steps: Steps over which the rate first rises linearly.
        steps_per_epoch: Optimiser steps an epoch (used by `step`).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "cosine":
        done = min(1.0, (step - warmup_steps) / max(1, n_steps - warmup_steps))
        return 0.5 * (1.0 + math.cos(math.pi * done))
    if schedule == "step":
        return float(0.98 ** (step // max(1, 10 * steps_per_epoch)))
    return 1.0
