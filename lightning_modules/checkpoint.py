"""A trained module's checkpoint, read back without running code from it."""

from collections.abc import Iterable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from lightning_modules.errors import ModuleError


def read_checkpoint(path: str | Path, argument: str, maker: str, settings: Iterable[str] = ()) -> dict[str, Any]:
    """Read a Lightning checkpoint on the CPU, trusting it with nothing but weights and plain values.

    Args:
        path: The file.
        argument: What the user gave it as, for the message.
        maker: What writes such checkpoints, for the message.
        settings: Names of settings that every such checkpoint holds, and those of other modules do not all.

    Returns:
        The checkpoint; `state_dict` and `hyper_parameters` are there.

    Raises:
        ModuleError: If the file is missing, damaged, no checkpoint, or another module's.
    """
    if not Path(path).is_file():
        raise ModuleError(
            f"{argument}: there is no file {path}; give a checkpoint that {maker} wrote, or run the stage that makes "
            "it first."
        )
    mend = f"give a checkpoint that {maker} wrote, or delete the file and run its stage again"
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError, ValueError, OSError) as error:
        raise ModuleError(f"{argument}: {path} cannot be read as a checkpoint; {mend}.") from error
    if not isinstance(content, dict) or not {"state_dict", "hyper_parameters"} <= content.keys():
        raise ModuleError(f"{argument}: {path} is no Lightning checkpoint with settings; {mend}.")
    if not set(settings) <= content["hyper_parameters"].keys():
        raise ModuleError(f"{argument}: {path} was made by another module; {mend}.")
    return content
