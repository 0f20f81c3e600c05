"""Starting weights from a checkpoint of an earlier stage, with one clear sentence when they do not fit."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_modules.checkpoint import read_checkpoint
from lightning_modules.cubism.settings import ARCHITECTURE
from lightning_modules.errors import ModuleError

MAKER = "a run of Cubism or its rivals"


def load_initial_weights(module: nn.Module, path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Load a trained module's weights into one with these settings, and return the whole checkpoint.

    Raises:
        ModuleError: If the file cannot be read, or belongs to another configuration.
    """
    content = read_checkpoint(path, "initial_weights", MAKER, ARCHITECTURE)
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
