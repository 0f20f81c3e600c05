"""Which settings of the module can be, and which of them fix what its weights mean."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.freezing import FROZEN_PARTS

MAP_SIZE = 70
"""Cells along a side of OpenFWI's square velocity maps."""
N_SHOTS = 5
N_RECEIVERS = 70
UNET_GROUPS = 8
"""Groups of the U-Net's normalisation, which divide each of its widths."""

# A checkpoint that differs in one of these does not fit, nor one that differs in what its decoder or denoiser reads.
VELOCITY_SIDE = ("latent_dim", "velocity_widths", "velocity_strides", "velocity_blocks", "velocity_fine_width")
SEISMIC_DECODERS = {
    "patch_transformer": ("seismic_patch", "seismic_width", "seismic_depth", "seismic_heads"),
    "cnn": ("cnn_width",),
    "single_token": ("single_token_width", "single_token_depth", "seismic_heads"),
    "kirchhoff": ("kirchhoff_width", "kirchhoff_reflections"),
}
DIRECT_WAVES = ("learned", "exact")
DENOISERS = {"adaln_mlp": ("denoiser_width", "denoiser_depth"), "unet_1d": ("unet_width", "unet_multipliers")}
SAMPLERS = ("ddpm", "ddim", "dpm_solver_2m")
# A trained denoiser answers these and no other question.
DIFFUSION_CONVENTION = ("prediction", "n_diffusion_steps")


def architecture(settings: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of the settings that fix the networks, by the prefix of the networks' weights."""
    return {
        "networks.encoder.": VELOCITY_SIDE,
        "networks.seismic_decoder.": (
            "seismic_decoder",
            "direct_wave",
            "n_time",
            *SEISMIC_DECODERS[settings["seismic_decoder"]],
        ),
        "networks.denoiser.": ("denoiser", *DENOISERS[settings["denoiser"]]),
    }


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings from which no network can be built.

    Raises:
        ModuleError: With the name of the setting, what was found and what is possible.
    """
    choices: dict[str, Collection[str]] = {
        "seismic_decoder": SEISMIC_DECODERS,
        "denoiser": DENOISERS,
        "sampler": SAMPLERS,
        "freeze": FROZEN_PARTS,
        "direct_wave": DIRECT_WAVES,
    }
    for name, possible in choices.items():
        if settings[name] not in possible:
            raise ModuleError(f"{name}: got {settings[name]}; give one of {', '.join(possible)}.")
    fixing = [name for names in architecture(settings).values() for name in names]
    for name in (*fixing, "n_diffusion_steps", "n_sampling_steps"):
        if name in choices:
            continue
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
    _check_seismic_decoder(settings)
    _check_denoiser(settings)
    if settings["n_sampling_steps"] > settings["n_diffusion_steps"]:
        raise ModuleError(
            f"n_sampling_steps: got {settings['n_sampling_steps']}; give at most n_diffusion_steps = "
            f"{settings['n_diffusion_steps']}."
        )
    if settings["n_refinements"] < 0:
        raise ModuleError(f"n_refinements: got {settings['n_refinements']}; give a whole number of at least 0.")
    if settings["thaw_after"] is not None and settings["thaw_after"] < 0:
        raise ModuleError(f"thaw_after: got {settings['thaw_after']}; give a number of epochs of at least 0, or null.")
    if not 0.0 <= settings["ema_decay"] < 1.0:
        raise ModuleError(f"ema_decay: got {settings['ema_decay']}; give a number of at least 0 and below 1.")


def _check_seismic_decoder(settings: Mapping[str, Any]) -> None:
    heads = settings["seismic_heads"]
    if settings["seismic_decoder"] == "patch_transformer":
        width = settings["seismic_width"]
        if width % heads or width % 4:
            raise ModuleError(f"seismic_width: got {width}; give a multiple of 4 and of seismic_heads = {heads}.")
    if settings["seismic_decoder"] == "single_token" and settings["single_token_width"] % heads:
        raise ModuleError(
            f"single_token_width: got {settings['single_token_width']}; give a multiple of seismic_heads = {heads}."
        )
    least = settings["kirchhoff_least_reflection"]
    if not 0.0 <= least < 1.0:
        raise ModuleError(f"kirchhoff_least_reflection: got {least}; give a number of at least 0 and below 1.")
    if settings["seismic_decoder"] == "kirchhoff" and settings["direct_wave"] != "exact":
        raise ModuleError(
            f"direct_wave: got {settings['direct_wave']} with seismic_decoder 'kirchhoff', which gives reflections "
            f"alone; set direct_wave to 'exact'."
        )


def _check_denoiser(settings: Mapping[str, Any]) -> None:
    if settings["denoiser"] == "adaln_mlp" and settings["denoiser_width"] % 2:
        raise ModuleError(f"denoiser_width: got {settings['denoiser_width']}; give an even number.")
    if settings["denoiser"] != "unet_1d":
        return
    if settings["unet_width"] % UNET_GROUPS:
        raise ModuleError(f"unet_width: got {settings['unet_width']}; give a multiple of {UNET_GROUPS}.")
    length = 2 ** (len(settings["unet_multipliers"]) - 1)
    if settings["latent_dim"] % length:
        raise ModuleError(
            f"unet_multipliers: got {list(settings['unet_multipliers'])}, which halve the latent "
            f"{len(settings['unet_multipliers']) - 1} times, but latent_dim = {settings['latent_dim']} is no multiple "
            f"of {length}; give fewer multipliers, or another latent_dim."
        )
