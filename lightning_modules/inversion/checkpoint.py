"""A trained InversionNet, read back from its checkpoint without Lightning."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from lightning_modules.errors import ModuleError
from lightning_modules.inversion.network import InversionNet

_PREFIX = "network."


def load_inversion_net(path: str | Path) -> InversionNet:
    """Return the network of an `InversionNetModule`'s checkpoint, in evaluation mode, on the CPU.

    Raises:
        ModuleError: If the file is missing, damaged, or another module's.
    """
    if not Path(path).is_file():
        raise ModuleError(f"inversion: there is no file {path}; run the stage that trains this network first.")
    mend = "give the checkpoint of an InversionNet stage, or delete the file and run its stage again"
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        settings, weights = content["hyper_parameters"], content["state_dict"]
        network = InversionNet(*(settings[name] for name in ("n_time", "width", "keep_every", "input_gain")))
        network.load_state_dict(
            {name.removeprefix(_PREFIX): value for name, value in weights.items() if name.startswith(_PREFIX)}
        )
    except (RuntimeError, UnpicklingError, EOFError, KeyError, TypeError, ValueError, OSError) as error:
        raise ModuleError(f"inversion: {path} holds no InversionNet ({type(error).__name__}); {mend}.") from error
    return network.eval()
