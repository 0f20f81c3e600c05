"""Starting weights from a checkpoint of an earlier stage, with one clear sentence when they do not fit."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from lightning_modules.cubism.settings import ARCHITECTURE
from lightning_modules.errors import ModuleError


def read_checkpoint(path: str, argument: str = "initial_weights") -> dict[str, Any]:
    """Read a Lightning checkpoint on the CPU, trusting it with nothing but weights and plain values.

    Args:
        path: Of the file.
        argument: What to call it in a message.

    Raises:
        ModuleError: If the file is missing or is not a checkpoint of this module.
    """
    if not Path(path).is_file():
        raise ModuleError(f"{argument}: there is no file {path}; give the path of a finished training's checkpoint.")
    mend = "give the checkpoint of a run of this experiment"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError, ValueError, OSError) as error:
        raise ModuleError(f"{argument}: {path} cannot be read as a checkpoint; {mend}.") from error
    if not isinstance(content, dict) or not {"state_dict", "hyper_parameters"} <= content.keys():
        raise ModuleError(f"{argument}: {path} is no Lightning checkpoint with settings; {mend}.")
    if not set(ARCHITECTURE) <= content["hyper_parameters"].keys():
        raise ModuleError(f"{argument}: {path} was made by another module; {mend}.")
    return content


def load_initial_weights(module: nn.Module, path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Load a trained module's weights into one with these settings, and return the whole checkpoint.

    Raises:
        ModuleError: If the file cannot be read, or belongs to another configuration.
    """
    content = read_checkpoint(path)
    for name in ARCHITECTURE:
        if content["hyper_parameters"][name] != settings[name]:
            raise ModuleError(
                f"initial_weights: {path} was made with {name} = {content['hyper_parameters'][name]}, but "
                f"{settings[name]} is wanted here; give both the same {name}."
            )
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise ModuleError(
            f"initial_weights: {path} has other layers than this version of the suite builds from the same settings; "
            f"train again."
        ) from error
    return content
