"""Trained weights, read back: those of an earlier stage, and a travel-time field for the association."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from lightning_modules.checkpoint import read_checkpoint
from lightning_modules.errors import ModuleError
from lightning_modules.harpa.settings import (
    AUTOENCODER_SETTINGS,
    FIELD_SETTINGS,
    build_autoencoder,
    build_field,
    compose,
)
from lightning_modules.harpa.travel_time_field import TravelTimeField

MAKER = "HARPA's training"
AUTOENCODER, FIELD = "autoencoder.", "field."
_SEARCH_AIDS = ("clipped.", "code_mean", "code_sd")
_SETTINGS = {AUTOENCODER: AUTOENCODER_SETTINGS, FIELD: FIELD_SETTINGS}


def load_weights(network: nn.Module, prefix: str, content: Mapping[str, Any], path: str | Path, argument: str) -> None:
    """Load the weights below a prefix.

    Raises:
        ModuleError: If they do not fit the network.
    """
    weights = content["state_dict"]
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    # What helps a search came later than the networks: a checkpoint without it is as good as new.
    own = {name: value for name, value in network.state_dict().items() if name.startswith(_SEARCH_AIDS)} | own
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ModuleError(
            f"{argument}: {path} has other layers below '{prefix}' than this version of the suite builds from its "
            f"settings; run its stage again."
        ) from error


def load_initial_weights(
    autoencoder: nn.Module | None, field: nn.Module, path: str, settings: Mapping[str, Any]
) -> None:
    """Load what an earlier stage trained: its autoencoder and, where it trained one, its field.

    Raises:
        ModuleError: If the file cannot be read, or was made with other settings.
    """
    content = read_checkpoint(path, "initial_weights", MAKER, FIELD_SETTINGS)
    found = content["hyper_parameters"]
    parts: list[tuple[str, nn.Module]] = [] if autoencoder is None else [(AUTOENCODER, autoencoder)]
    if found["stage"] != "autoencoder":
        parts.append((FIELD, field))
    elif settings["stage"] in ("refine", "evaluate"):
        raise ModuleError(
            f"initial_weights: {path} was made by stage 'autoencoder' and holds no trained field; give the checkpoint "
            f"of stage 'field'."
        )
    for prefix, network in parts:
        for name in _SETTINGS[prefix]:
            if found[name] != settings[name]:
                raise ModuleError(
                    f"initial_weights: {path} was made with {name} = {found[name]}, but {settings[name]} is wanted "
                    f"here; give all stages the same {name} (the preset's `shared` block)."
                )
        load_weights(network, prefix, content, path, "initial_weights")


def load_travel_time_field(path: str | Path) -> TravelTimeField:
    """Return the travel-time field of a checkpoint of stage `field`, in evaluation mode, on the CPU, in float32.

    Raises:
        ModuleError: If the file is missing, damaged, another module's, or holds no trained field.
    """
    argument = "travel_time_field"
    content = read_checkpoint(path, argument, MAKER, FIELD_SETTINGS)
    settings = content["hyper_parameters"]
    if settings["stage"] == "autoencoder":
        raise ModuleError(
            f"{argument}: {path} was made by stage 'autoencoder' and holds no trained field; give the checkpoint of "
            f"stage 'field'."
        )
    autoencoder, field = build_autoencoder(settings), build_field(settings)
    if autoencoder is not None:
        load_weights(autoencoder, AUTOENCODER, content, path, argument)
    load_weights(field, FIELD, content, path, argument)
    return compose(field, autoencoder, settings).requires_grad_(False).eval()
