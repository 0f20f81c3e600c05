"""Starting weights from an earlier stage's checkpoint, with one clear sentence when they do not fit."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_modules.checkpoint import read_checkpoint
from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.settings import DIFFUSION_CONVENTION, architecture

MAKER = "an earlier stage of this experiment"

# Weights that a checkpoint of a stage before their training does not hold.
UNTRAINED = (
    "networks.to_seismic_latent.",
    "networks.seismic_decoder.",
    "networks.direct_wave.",
    "networks.denoiser.",
    "networks.averaged_denoiser.",
    "networks.latent_scaler.",
)


def load_initial_weights(module: nn.Module, path: str, settings: Mapping[str, Any]) -> None:
    """Load an earlier stage's weights into a module with these settings.

    A checkpoint need not hold the networks that its stage and those before it have not trained; they stay as they are.

    Raises:
        ModuleError: If the file cannot be read, or belongs to another configuration or another stage.
    """
    content = read_checkpoint(path, "initial_weights", MAKER)
    found, weights = content["hyper_parameters"], content["state_dict"]
    evaluates = settings["stage"] == "evaluate"
    held = {prefix for prefix in architecture(settings) if any(name.startswith(prefix) for name in weights)}
    wanted = [name for prefix, names in architecture(settings).items() if prefix in held for name in names]
    for name in (*wanted, *(DIFFUSION_CONVENTION if evaluates else ())):
        if _plain(found.get(name)) != _plain(settings[name]):
            raise ModuleError(
                f"initial_weights: {path} was made with {name} = {found.get(name)}, but {settings[name]} is wanted "
                f"here; give all stages the same {name} (the preset's `shared` block), or name the checkpoint of a "
                f"run that has it."
            )
    if evaluates and found.get("stage") not in ("diffusion", "evaluate"):
        raise ModuleError(
            f"initial_weights: {path} was made by stage '{found.get('stage')}', whose denoiser is untrained; give the "
            f"checkpoint of stage 'diffusion'."
        )
    own = module.state_dict()
    missing = [name for name in own if name not in weights]
    untrained = tuple(prefix for prefix in UNTRAINED if not any(name.startswith(prefix) for name in weights))
    absent = [name for name in missing if not name.startswith(untrained)]
    misfit = "has other layers than this version of the suite builds from the same settings; run its stage again"
    if absent or (evaluates and missing):
        raise ModuleError(f"initial_weights: {path} {misfit}.")
    try:
        module.load_state_dict({**own, **weights})
    except RuntimeError as error:
        raise ModuleError(f"initial_weights: {path} {misfit}.") from error


def _plain(value: Any) -> Any:
    # A tuple read back from a yaml file is a list.
    return list(value) if isinstance(value, list | tuple) else value
