"""The optimiser of HARPA's stages: SOAP, or AdamW as everywhere in the suite, with the suite's schedules."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.soap import SOAP
from lightning_modules.ubdiff.learning_rate import learning_rate_factor, scheduled_adamw


def scheduled_optimiser(
    parameters: Iterable[Parameter], settings: Mapping[str, Any], n_steps: float, max_epochs: int
) -> tuple[Optimizer, LambdaLR]:
    """Build the optimiser of the parameters that are trained, and its schedule over optimiser steps.

    Args:
        parameters: Those that need no gradient are left out.
        settings: The module's settings: `optimizer` and those of `scheduled_adamw`.
        n_steps: Steps of the whole training, infinity if it has no end.
        max_epochs: Epochs of the whole training.

    Raises:
        ModuleError: If a schedule needs an end that the training has not, or a setting is impossible.
    """
    if settings["optimizer"] == "adamw":
        return scheduled_adamw(parameters, settings, n_steps, max_epochs)
    schedule, warmup = settings["schedule"], settings["warmup_steps"]
    if schedule == "cosine" and n_steps == float("inf"):
        raise ModuleError(
            "schedule: 'cosine' needs an end to fall to; set trainer.max_epochs or trainer.max_steps, or take "
            "schedule 'constant'."
        )
    betas = settings["adam_betas"]
    optimiser = SOAP(
        [parameter for parameter in parameters if parameter.requires_grad],
        lr=settings["learning_rate"],
        betas=(betas[0], betas[1]),
    )
    finite = int(n_steps) if n_steps != float("inf") else 1

    def factor(step: int) -> float:
        return learning_rate_factor(step, schedule, finite, warmup, max(1, finite // max(1, max_epochs)))

    return optimiser, LambdaLR(optimiser, factor)
