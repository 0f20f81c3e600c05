"""Which settings of the module can be, and which of them fix what its weights mean."""

import math
from collections.abc import Mapping
from typing import Any

from lightning_modules.errors import ModuleError

MAP_SIZE = 70
"""Cells along a side of OpenFWI's square velocity maps."""
N_SHOTS = 5
N_RECEIVERS = 70

# A checkpoint that differs in one of these does not fit.
ARCHITECTURE = (
    "latent_dim",
    "n_time",
    "velocity_widths",
    "velocity_strides",
    "velocity_blocks",
    "velocity_fine_width",
    "seismic_patch",
    "seismic_width",
    "seismic_depth",
    "seismic_heads",
    "denoiser_width",
    "denoiser_depth",
)
# A trained denoiser answers these and no other question.
DIFFUSION_CONVENTION = ("prediction", "n_diffusion_steps")


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings from which no network can be built.

    Raises:
        ModuleError: With the name of the setting, what was found and what is possible.
    """
    for name in (*ARCHITECTURE, "n_diffusion_steps", "n_sampling_steps"):
        values = settings[name] if isinstance(settings[name], list | tuple) else [settings[name]]
        if not values or any(value < 1 for value in values):
            raise ModuleError(f"{name}: got {settings[name]}; give whole numbers of at least 1.")
    widths, strides = settings["velocity_widths"], settings["velocity_strides"]
    if len(widths) != len(strides):
        raise ModuleError(
            f"velocity_widths: got {len(widths)} widths and {len(strides)} velocity_strides; give one width a stride."
        )
    if MAP_SIZE % math.prod(strides):
        raise ModuleError(
            f"velocity_strides: got {list(strides)}, whose product {math.prod(strides)} does not divide the map's "
            f"{MAP_SIZE} cells; give strides such as [5, 2] or [2, 5]."
        )
    width, heads = settings["seismic_width"], settings["seismic_heads"]
    if width % heads or width % 4:
        raise ModuleError(f"seismic_width: got {width}; give a multiple of 4 and of seismic_heads = {heads}.")
    if settings["denoiser_width"] % 2:
        raise ModuleError(f"denoiser_width: got {settings['denoiser_width']}; give an even number.")
    if settings["n_sampling_steps"] > settings["n_diffusion_steps"]:
        raise ModuleError(
            f"n_sampling_steps: got {settings['n_sampling_steps']}; give at most n_diffusion_steps = "
            f"{settings['n_diffusion_steps']}."
        )
    if not 0.0 <= settings["ema_decay"] < 1.0:
        raise ModuleError(f"ema_decay: got {settings['ema_decay']}; give a number of at least 0 and below 1.")
