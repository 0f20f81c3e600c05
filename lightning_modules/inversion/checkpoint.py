"""A trained InversionNet, read back from its checkpoint without Lightning."""

from pathlib import Path

from lightning_modules.checkpoint import read_checkpoint
from lightning_modules.errors import ModuleError
from lightning_modules.inversion.network import InversionNet

_SETTINGS = ("n_time", "width", "keep_every", "input_gain")
_PREFIX = "network."


def load_inversion_net(path: str | Path) -> InversionNet:
    """Return the network of an `InversionNetModule`'s checkpoint, in evaluation mode, on the CPU.

    Raises:
        ModuleError: If the file is missing, damaged, or another module's.
    """
    content = read_checkpoint(path, "inversion", "an InversionNet stage", _SETTINGS)
    network = InversionNet(*(content["hyper_parameters"][name] for name in _SETTINGS))
    weights = content["state_dict"]
    try:
        network.load_state_dict(
            {name.removeprefix(_PREFIX): value for name, value in weights.items() if name.startswith(_PREFIX)}
        )
    except RuntimeError as error:
        raise ModuleError(
            f"inversion: {path} has other layers than this version of the suite builds from its settings; run its "
            "stage again."
        ) from error
    return network.eval()
