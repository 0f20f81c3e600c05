"""The optimiser, and learning-rate schedules as factors of its base rate over optimiser steps."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from torch.nn import Parameter
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.errors import ModuleError

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


def scheduled_adamw(
    parameters: Iterable[Parameter], settings: Mapping[str, Any], n_steps: float, max_epochs: int
) -> tuple[AdamW, LambdaLR]:
    """Build AdamW on the parameters that are trained, and its schedule over optimiser steps.

    Args:
        parameters: Those that need no gradient are left out.
        settings: The module's settings: `learning_rate`, `adam_betas`, `weight_decay`, `schedule`, `warmup_steps`.
        n_steps: Steps of the whole training, infinity if it has no end.
        max_epochs: Epochs of the whole training.

    Raises:
        ModuleError: If a schedule needs an end that the training has not.
    """
    schedule, warmup = settings["schedule"], settings["warmup_steps"]
    if schedule == "cosine" and n_steps == float("inf"):
        raise ModuleError(
            "schedule: 'cosine' needs an end to fall to; set trainer.max_epochs or trainer.max_steps, or take "
            "schedule 'constant'."
        )
    optimizer = AdamW(
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=settings["learning_rate"],
        betas=tuple(settings["adam_betas"]),
        weight_decay=settings["weight_decay"],
        fused=True,  # a third of the time of the plain loop on a CPU
    )
    finite = int(n_steps) if n_steps != float("inf") else 1

    def factor(step: int) -> float:
        return learning_rate_factor(step, schedule, finite, warmup, max(1, finite // max(1, max_epochs)))

    return optimizer, LambdaLR(optimizer, factor)
