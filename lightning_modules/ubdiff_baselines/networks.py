"""A generator of pairs with a latent for each modality: two autoencoders and a diffusion over both latents.

z_v = E_v(v),   v' = D_v(W_v z_v),   z_s = E_s(d),   d' = D_s(W_s z_s),   and new pairs by diffusion over (z_v, z_s).

UB-Diff's decoders, velocity encoder, denoiser and sampler are used as they are. What differs is that the seismic
decoder reads z_s instead of the co-latent, and that the diffusion runs over twice as many numbers.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.build import build_denoiser, build_seismic_decoder
from lightning_modules.ubdiff.diffusion import Diffusion
from lightning_modules.ubdiff.encoder import VelocityEncoder
from lightning_modules.ubdiff.pair_generator import PairGenerator
from lightning_modules.ubdiff.settings import MAP_SIZE, N_RECEIVERS, N_SHOTS
from lightning_modules.ubdiff.velocity_decoder import VelocityDecoder
from lightning_modules.ubdiff_baselines.independent_denoisers import IndependentDenoisers
from lightning_modules.ubdiff_baselines.pair_latents import PairLatents
from lightning_modules.ubdiff_baselines.seismic_encoder import SeismicEncoder

Baseline = Literal["joint", "unpaired"]
# Options of UB-Diff that make the gather from the decoded map, and what a baseline takes in their place.
READS_THE_MAP = ("exact", "kirchhoff")
READS_NO_MAP = {"direct_wave": "learned", "seismic_decoder": "patch_transformer"}


class SeparateLatents(PairGenerator):
    """Both autoencoders and the latent diffusion; each part is handed in ready-made.

    The latent of a pair is z_v and z_s one after the other, `(batch, 2 * latent_dim)`. Each decoder takes that, or its
    own half alone.

    Args:
        latent_dim: Length of z_v and of z_s.
        encoder: Velocity map to z_v.
        velocity_decoder: Velocity latent to velocity map.
        seismic_encoder: Gather to z_s.
        seismic_decoder: Seismic latent to gather.
        denoiser: The diffusion model's network, over 2 * latent_dim numbers.
        diffusion: Schedule and convention of the prediction.
        ema_decay: Decay of the denoiser's moving average, which is what samples.
    """

    def __init__(
        self,
        latent_dim: int,
        encoder: VelocityEncoder,
        velocity_decoder: VelocityDecoder,
        seismic_encoder: SeismicEncoder,
        seismic_decoder: nn.Module,
        denoiser: nn.Module,
        diffusion: Diffusion,
        ema_decay: float,
    ) -> None:
        super().__init__(2 * latent_dim, encoder, velocity_decoder, seismic_decoder, denoiser, diffusion, ema_decay)
        self.modality_dim = latent_dim
        self.seismic_encoder = seismic_encoder
        self.to_velocity_latent = nn.Linear(latent_dim, latent_dim)
        self.to_seismic_latent = nn.Linear(latent_dim, latent_dim)
        self.pair_latents = PairLatents(2 * latent_dim)

    def encode_seismic(self, seismic: Tensor) -> Tensor:
        """Map a gather `(batch, shot, time, receiver)` to z_s `(batch, latent_dim)`."""
        z: Tensor = self.seismic_encoder(seismic)
        return z

    def encode_pair(self, velocity: Tensor, seismic: Tensor) -> Tensor:
        """Map a pair to z_v and z_s, `(batch, 2 * latent_dim)`."""
        return torch.cat((self.encode(velocity), self.encode_seismic(seismic)), dim=1)

    def decode_velocity(self, latent: Tensor) -> Tensor:
        """Map a pair's latent, or z_v alone, to velocity `(batch, 1, 70, 70)`."""
        return super().decode_velocity(latent[:, : self.modality_dim])

    def decode_seismic(self, latent: Tensor, velocity: Tensor | None = None) -> Tensor:
        """Map a pair's latent, or z_s alone, to seismic `(batch, shot, time, receiver)`; the maps are not looked at."""
        return super().decode_seismic(latent[:, -self.modality_dim :])

    def refine(self, latent: Tensor) -> Tensor:
        """Bring each half nearer to the latents of real samples: through its own autoencoder."""
        return self.encode_pair(self.decode_velocity(latent), self.decode_seismic(latent))

    def parts(self) -> dict[str, list[nn.Module]]:
        """The parts by name; each latent's linear map belongs to its decoder."""
        return {
            "encoder": [self.encoder],
            "velocity_decoder": [self.to_velocity_latent, self.velocity_decoder],
            "seismic_encoder": [self.seismic_encoder],
            "seismic_decoder": [self.to_seismic_latent, self.seismic_decoder],
            "denoiser": [self.denoiser],
        }


def build_separate_latents(settings: Mapping[str, Any]) -> SeparateLatents:
    """Build all networks from the settings of `SeparateLatentsModule`, which UB-Diff's `check_settings` has passed.

    Raises:
        ModuleError: If the baseline is unknown, or no seismic encoder can be built from the seismic decoder's sizes.
    """
    baseline, latent_dim = settings["baseline"], settings["latent_dim"]
    if baseline not in get_args(Baseline):
        raise ModuleError(f"baseline: got {baseline}; give one of {', '.join(get_args(Baseline))}.")
    for name, instead in READS_NO_MAP.items():
        if settings[name] in READS_THE_MAP:
            raise ModuleError(
                f"{name}: got {settings[name]}, which reads the map, and a baseline has to learn what belongs to a "
                f"map; give {instead}."
            )
    blocks, widths = settings["velocity_blocks"], tuple(settings["velocity_widths"])
    strides = tuple(settings["velocity_strides"])
    return SeparateLatents(
        latent_dim,
        VelocityEncoder(MAP_SIZE, latent_dim, widths, strides, blocks),
        VelocityDecoder(MAP_SIZE, latent_dim, widths, strides, blocks, settings["velocity_fine_width"]),
        _build_seismic_encoder(settings),
        build_seismic_decoder(settings),
        _build_pair_denoiser(settings, baseline),
        Diffusion(settings["n_diffusion_steps"], settings["prediction"]),
        settings["ema_decay"],
    )


def _build_seismic_encoder(settings: Mapping[str, Any]) -> SeismicEncoder:
    """The encoder is a patch transformer whatever the decoder is."""
    names = ("seismic_patch", "seismic_width", "seismic_depth", "seismic_heads")
    for name in names:
        if settings[name] < 1:
            raise ModuleError(f"{name}: got {settings[name]}; give a whole number of at least 1.")
    patch, width, depth, heads = (settings[name] for name in names)
    if width % heads:
        raise ModuleError(f"seismic_width: got {width}; give a multiple of seismic_heads = {heads}.")
    return SeismicEncoder(settings["latent_dim"], N_SHOTS, settings["n_time"], N_RECEIVERS, patch, width, depth, heads)


def _build_pair_denoiser(settings: Mapping[str, Any], baseline: Baseline) -> nn.Module:
    if baseline == "unpaired":
        return IndependentDenoisers(build_denoiser(settings), build_denoiser(settings))
    return build_denoiser({**settings, "latent_dim": 2 * settings["latent_dim"]})
