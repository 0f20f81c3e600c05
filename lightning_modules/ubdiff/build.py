"""From settings to networks: which decoder and which denoiser, at which size."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from lightning_modules.ubdiff.denoiser import Denoiser
from lightning_modules.ubdiff.diffusion import Diffusion
from lightning_modules.ubdiff.direct_wave import DirectWave
from lightning_modules.ubdiff.encoder import VelocityEncoder
from lightning_modules.ubdiff.kirchhoff_decoder import KirchhoffDecoder
from lightning_modules.ubdiff.pair_generator import PairGenerator
from lightning_modules.ubdiff.seismic_decoder import SeismicDecoder
from lightning_modules.ubdiff.seismic_decoder_cnn import ConvolutionalSeismicDecoder
from lightning_modules.ubdiff.seismic_decoder_single_token import SingleTokenDecoder
from lightning_modules.ubdiff.settings import MAP_SIZE, N_RECEIVERS, N_SHOTS
from lightning_modules.ubdiff.unet_denoiser import UNetDenoiser
from lightning_modules.ubdiff.velocity_decoder import VelocityDecoder

Network = TypeVar("Network", bound=nn.Module)


def build_networks(settings: Mapping[str, Any]) -> PairGenerator:
    """Build all networks of `UBDiffModule` from its settings, which `check_settings` has passed.

    Each starts from random numbers of its own: another decoder leaves the others' first weights as they are.
    """
    latent_dim, blocks = settings["latent_dim"], settings["velocity_blocks"]
    # From a yaml file they come as lists.
    widths, strides = tuple(settings["velocity_widths"]), tuple(settings["velocity_strides"])
    return PairGenerator(
        latent_dim,
        _seeded("encoder", lambda: VelocityEncoder(MAP_SIZE, latent_dim, widths, strides, blocks)),
        _seeded(
            "velocity decoder",
            lambda: VelocityDecoder(MAP_SIZE, latent_dim, widths, strides, blocks, settings["velocity_fine_width"]),
        ),
        _seeded("seismic decoder", lambda: build_seismic_decoder(settings)),
        _seeded("denoiser", lambda: build_denoiser(settings)),
        Diffusion(settings["n_diffusion_steps"], settings["prediction"]),
        settings["ema_decay"],
        DirectWave() if settings["direct_wave"] == "exact" else None,
        tuple(settings["seismic_log_range"]),
    )


def _seeded(part: str, build: Callable[[], Network]) -> Network:
    """Build a network from the run's seed and its own name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((torch.initial_seed() + zlib.crc32(part.encode())) % 2**63)
        return build()


def build_seismic_decoder(settings: Mapping[str, Any]) -> nn.Module:
    """Build the seismic decoder: z'_s `(batch, latent_dim)` to a gather `(batch, shot, time, receiver)`."""
    sizes = (settings["latent_dim"], N_SHOTS, settings["n_time"], N_RECEIVERS)
    heads = settings["seismic_heads"]
    if settings["seismic_decoder"] == "kirchhoff":
        return KirchhoffDecoder(
            settings["latent_dim"],
            settings["n_time"],
            settings["kirchhoff_width"],
            settings["kirchhoff_least_reflection"],
            settings["kirchhoff_reflections"],
        )
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
