"""The whole of UB-Diff as one network: one encoder, two decoders and a diffusion model between them (paper, Eq. 1).

z = E(v),   v' = D_v(W_v z),   d' = D_s(W_s z),   and new pairs from z drawn by latent diffusion.

With an exact direct wave F_0, which is not in the paper, D_s gives the reflections alone: d' = F_0(v') + D_s(W_s z). A
decoder that follows rays reads v' beside W_s z.
"""

import torch
from torch import Tensor, nn

from lightning_modules.ubdiff.amplitude import to_normalised
from lightning_modules.ubdiff.diffusion import Diffusion
from lightning_modules.ubdiff.direct_wave import DirectWave
from lightning_modules.ubdiff.ema import MovingAverage
from lightning_modules.ubdiff.encoder import VelocityEncoder
from lightning_modules.ubdiff.kirchhoff_decoder import KirchhoffDecoder
from lightning_modules.ubdiff.latents import IndexedNoise, LatentScaler
from lightning_modules.ubdiff.samplers import ddim_sample, ddpm_sample, dpm_solver_2m_sample, solver_steps
from lightning_modules.ubdiff.velocity_decoder import VelocityDecoder


class PairGenerator(nn.Module):
    """Encoder, decoders and latent diffusion; each part is handed in ready-made.

    Args:
        latent_dim: Length of the co-latent z and of the two latents made from it.
        encoder: Velocity map to z.
        velocity_decoder: z'_v to velocity map.
        seismic_decoder: z'_s to gather.
        denoiser: The diffusion model's network.
        diffusion: Schedule and convention of the prediction.
        ema_decay: Decay of the denoiser's moving average, which is what samples.
        direct_wave: The exact direct wave, to which the seismic decoder adds reflections; None: it decodes the whole.
        log_range: sign(x) log(1 + |x|) of the amplitudes that are normalised to -1 and 1; used with `direct_wave`.
    """

    def __init__(
        self,
        latent_dim: int,
        encoder: VelocityEncoder,
        velocity_decoder: VelocityDecoder,
        seismic_decoder: nn.Module,
        denoiser: nn.Module,
        diffusion: Diffusion,
        ema_decay: float,
        direct_wave: DirectWave | None = None,
        log_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = encoder
        self.to_velocity_latent = nn.Linear(latent_dim, latent_dim)
        self.to_seismic_latent = nn.Linear(latent_dim, latent_dim)
        self.velocity_decoder = velocity_decoder
        self.seismic_decoder = seismic_decoder
        self.denoiser = denoiser
        self.averaged_denoiser = MovingAverage(denoiser, ema_decay)
        self.diffusion = diffusion
        self.latent_scaler = LatentScaler(latent_dim)
        self.direct_wave = direct_wave
        self.log_range = log_range

    def encode(self, velocity: Tensor) -> Tensor:
        """Map velocity `(batch, 1, 70, 70)` to z `(batch, latent_dim)`."""
        z: Tensor = self.encoder(velocity)
        return z

    def decode_velocity(self, latent: Tensor) -> Tensor:
        """Map z `(batch, latent_dim)` to velocity `(batch, 1, 70, 70)`."""
        velocity: Tensor = self.velocity_decoder(self.to_velocity_latent(latent))
        return velocity

    def decode_seismic(self, latent: Tensor, velocity: Tensor | None = None) -> Tensor:
        """Map z to a log-normalised gather.

        Args:
            latent: z `(batch, latent_dim)`.
            velocity: The maps `(batch, 1, 70, 70)` that belong to z, where they are known already; by default they are
                decoded from z if the gather needs them.

        Returns:
            `(batch, shot, time, receiver)`.
        """
        if self.direct_wave is None:
            seismic: Tensor = self.seismic_decoder(self.to_seismic_latent(latent))
            return seismic
        if velocity is None:
            velocity = self.decode_velocity(latent)
        both = (self.decode_reflections(latent, velocity), self.direct_wave(velocity))
        # A few gathers at a time, which a processor's cache holds.
        few = zip(*(each.split(2) for each in both), strict=True)
        return torch.cat([to_normalised(reflections + direct, *self.log_range) for reflections, direct in few])

    def decode_reflections(self, latent: Tensor, velocity: Tensor) -> Tensor:
        """What the seismic decoder adds to the direct wave, in raw amplitude; shapes as in `decode_seismic`."""
        seismic_latent = self.to_seismic_latent(latent)
        if isinstance(self.seismic_decoder, KirchhoffDecoder):
            amplitude: Tensor = self.seismic_decoder(seismic_latent, velocity)
            return amplitude
        # Reflections range over orders of magnitude, as gathers do; linear for the small ones.
        output: Tensor = self.seismic_decoder(seismic_latent)
        return torch.sinh(output)

    @torch.no_grad()
    def sample_latents(
        self, index: Tensor, seed: int, sampler: str, n_solver_steps: int, n_refinements: int = 0
    ) -> Tensor:
        """Draw co-latents with the averaged denoiser.

        Args:
            index: Sample numbers `(batch,)`; with `seed`, all that a sample depends on.
            seed: Seed of the whole set.
            sampler: `ddpm`, `ddim` or `dpm_solver_2m`.
            n_solver_steps: Steps of the two fast ones.
            n_refinements: How often `refine` is applied to what was drawn.

        Returns:
            z, `(batch, latent_dim)`, in -1..1.
        """
        power = self.diffusion.signal_power
        noise = IndexedNoise(index.tolist(), seed, self.latent_dim)
        start = noise.draw().to(power.device)

        def denoise(x: Tensor, step: int) -> Tensor:
            steps = torch.full((1,), step, device=x.device)  # one for all samples
            return self.diffusion.predict_sample(self.averaged_denoiser, x, steps)

        if sampler == "ddpm":
            latent = ddpm_sample(start, denoise, power, lambda: noise.draw().to(power.device))
        else:
            solve = ddim_sample if sampler == "ddim" else dpm_solver_2m_sample
            latent = solve(start, denoise, power, solver_steps(power, n_solver_steps))
        latent = self.latent_scaler.restore(latent)
        for _ in range(n_refinements):
            latent = self.refine(latent)
        return latent

    def refine(self, latent: Tensor) -> Tensor:
        """Bring z `(batch, latent_dim)` nearer to the latents of maps: z <- E(D_v(W_v z)).

        A drawn z lies a little off the latents that the autoencoder has seen, and its map is rougher than a
        reconstruction is. Encoding and decoding it does what it does to any map: it leaves what the autoencoder knows.
        """
        return self.encode(self.decode_velocity(latent))

    def parts(self) -> dict[str, list[nn.Module]]:
        """The parts by name; each latent's linear map belongs to its decoder."""
        return {
            "encoder": [self.encoder],
            "velocity_decoder": [self.to_velocity_latent, self.velocity_decoder],
            "seismic_decoder": [self.to_seismic_latent, self.seismic_decoder],
            "denoiser": [self.denoiser],
        }
