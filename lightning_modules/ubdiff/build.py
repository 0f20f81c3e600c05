"""From settings to networks: which decoder and which denoiser, at which size."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_modules.ubdiff.denoiser import Denoiser
from lightning_modules.ubdiff.diffusion import Diffusion
from lightning_modules.ubdiff.encoder import VelocityEncoder
from lightning_modules.ubdiff.pair_generator import PairGenerator
from lightning_modules.ubdiff.seismic_decoder import SeismicDecoder
from lightning_modules.ubdiff.seismic_decoder_cnn import ConvolutionalSeismicDecoder
from lightning_modules.ubdiff.seismic_decoder_single_token import SingleTokenDecoder
from lightning_modules.ubdiff.settings import MAP_SIZE, N_RECEIVERS, N_SHOTS
from lightning_modules.ubdiff.unet_denoiser import UNetDenoiser
from lightning_modules.ubdiff.velocity_decoder import VelocityDecoder


def build_networks(settings: Mapping[str, Any]) -> PairGenerator:
    """Build all networks of `UBDiffModule` from its settings, which `check_settings` has passed.

    The order of construction decides which random number each weight starts from.
    """
    latent_dim, blocks = settings["latent_dim"], settings["velocity_blocks"]
    # From a yaml file they come as lists.
    widths, strides = tuple(settings["velocity_widths"]), tuple(settings["velocity_strides"])
    return PairGenerator(
        latent_dim,
        VelocityEncoder(MAP_SIZE, latent_dim, widths, strides, blocks),
        VelocityDecoder(MAP_SIZE, latent_dim, widths, strides, blocks, settings["velocity_fine_width"]),
        build_seismic_decoder(settings),
        build_denoiser(settings),
        Diffusion(settings["n_diffusion_steps"], settings["prediction"]),
        settings["ema_decay"],
    )


def build_seismic_decoder(settings: Mapping[str, Any]) -> nn.Module:
    """Build the seismic decoder: z'_s `(batch, latent_dim)` to a gather `(batch, shot, time, receiver)`."""
    sizes = (settings["latent_dim"], N_SHOTS, settings["n_time"], N_RECEIVERS)
    heads = settings["seismic_heads"]
    if settings["seismic_decoder"] == "cnn":
        return ConvolutionalSeismicDecoder(*sizes, settings["cnn_width"])
    if settings["seismic_decoder"] == "single_token":
        return SingleTokenDecoder(*sizes, settings["single_token_width"], settings["single_token_depth"], heads)
    return SeismicDecoder(
        *sizes, settings["seismic_patch"], settings["seismic_width"], settings["seismic_depth"], heads
    )


def build_denoiser(settings: Mapping[str, Any]) -> nn.Module:
    """Build the denoiser: a noisy latent `(batch, latent_dim)` and times `(batch,)` to `(batch, latent_dim)`."""
    if settings["denoiser"] == "unet_1d":
        return UNetDenoiser(settings["latent_dim"], settings["unet_width"], tuple(settings["unet_multipliers"]))
    return Denoiser(settings["latent_dim"], settings["denoiser_width"], settings["denoiser_depth"])
