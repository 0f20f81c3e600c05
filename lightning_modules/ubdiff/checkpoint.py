"""Starting weights from an earlier stage's checkpoint, with one clear sentence when they do not fit."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from lightning_modules.errors import ModuleError


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a Lightning checkpoint on the CPU, trusting it with nothing but weights and plain values.

    Raises:
        ModuleError: If the file is missing or is not a Lightning checkpoint.
    """
    if not Path(path).is_file():
        raise ModuleError(
            f"initial_weights: there is no file {path}; give the path of the earlier stage's checkpoint, or run that "
            f"stage first."
        )
    mend = "give a checkpoint that this experiment wrote, or delete the file and run its stage again"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError, ValueError, OSError) as error:
        raise ModuleError(f"initial_weights: {path} cannot be read as a checkpoint; {mend}.") from error
    if not isinstance(content, dict) or not {"state_dict", "hyper_parameters"} <= content.keys():
        raise ModuleError(f"initial_weights: {path} is no Lightning checkpoint with settings; {mend}.")
    return content


def matching_weights(path: str, wanted: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's weights if it was made with the wanted settings.

    Args:
        path: The checkpoint.
        wanted: The settings which fix what the weights mean, by name.

    Raises:
        ModuleError: If the file cannot be read, or was made with another value of a setting.
    """
    content = read_checkpoint(path)
    found = content["hyper_parameters"]
    for name, value in wanted.items():
        there = found.get(name)
        if _plain(there) != _plain(value):
            raise ModuleError(
                f"initial_weights: {path} was made with {name} = {there}, but {value} is wanted here; give all stages "
                f"the same {name} (the preset's `shared` block), or name the checkpoint of a run that has it."
            )
    weights: dict[str, Tensor] = content["state_dict"]
    return weights


def _plain(value: Any) -> Any:
    # A tuple read back from a yaml file is a list.
    return list(value) if isinstance(value, list | tuple) else value
