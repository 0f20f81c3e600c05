"""Sampling pairs: ours at the sizes of the presets against networks as in the paper's code, at equal batch.

Ours take the default solver; the paper's, in our own writing, are a 1-D U-Net over all 256 DDPM steps and then a
seismic decoder of 237 million parameters. All have the weights they are born with, which the time does not depend on.
Of the U-Net's 256 equal steps only some are taken and their time is multiplied. Preset `tiny` decodes 250 time samples
where the others decode 1,000.
"""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark.timing import Section, Timing, cpu_seconds

PAPER_STEPS = 256
PAPER_CODE = {"denoiser": "unet_1d", "seismic_decoder": "single_token", "sampler": "ddpm", "n_time": 1000}
PRESETS = Path(__file__).parents[1] / "configs" / "ubdiff"


@dataclass(frozen=True)
class Speed:
    """CPU seconds of generating one pair, and what they are made of."""

    latent_s: float
    decode_s: float
    n_steps: int

    @property
    def pair_s(self) -> float:
        """Sampling and decoding together."""
        return self.latent_s + self.decode_s


def preset_model(preset: str) -> dict[str, Any]:
    """The sizes that a preset gives the networks, its sampler left at the default solver."""
    import yaml

    shared = yaml.safe_load((PRESETS / f"{preset}.yaml").read_text())["shared"]
    return {**shared["model"], "n_time": 1000 // shared["data"]["time_stride"]}


def sampling_speed(
    settings: dict[str, Any],
    repeats: int,
    batch: int,
    velocity_m_s: npt.NDArray[np.float32],
    taken_steps: int | None = None,
) -> tuple[Speed, list[Timing]]:
    """Time a module's sampling of latents and their decoding.

    Args:
        settings: Of `UBDiffModule`.
        repeats: Counted repetitions.
        batch: Pairs at once.
        velocity_m_s: Maps `(n, 70, 70)` for a seismic decoder that reads the map: what an untrained velocity decoder
            makes is no map, and says nothing of the time that one takes.
        taken_steps: With DDPM, how many of its `PAPER_STEPS` equal steps to take before multiplying.

    Returns:
        The medians a pair, and the timings they come from, without names.
    """
    import torch

    from datamodules.simulate.direct_wave import direct_wave_series
    from lightning_modules.ubdiff.module import UBDiffModule

    if taken_steps is not None:
        settings = {**settings, "n_diffusion_steps": taken_steps, "n_sampling_steps": 1}
    module = UBDiffModule(stage="evaluate", **settings).eval()
    index, chosen = torch.arange(batch), module.hparams
    with torch.no_grad():
        sample = partial(
            module.networks.sample_latents, index, 0, chosen["sampler"], chosen["n_sampling_steps"],
            chosen["n_refinements"],
        )  # fmt: skip
        latent = sample()
        sampling = [each / batch for each in cpu_seconds(sample, repeats)]
        networks = module.networks
        if networks.direct_wave is not None:
            networks.direct_wave.fill(direct_wave_series(-(-1000 // chosen["n_time"]), workers=os.cpu_count() or 1))
        maps = torch.from_numpy(np.resize((velocity_m_s - 3000.0) / 1500.0, (batch, 1, 70, 70)))

        def decode() -> tuple[torch.Tensor, torch.Tensor]:
            return networks.decode_velocity(latent), networks.decode_seismic(latent, maps)

        decoding = [each / batch for each in cpu_seconds(decode, repeats)]
    n_steps, note = chosen["n_sampling_steps"], f"{chosen['n_sampling_steps']} steps"
    if taken_steps is not None:
        sampling = [each * PAPER_STEPS / taken_steps for each in sampling]
        n_steps, note = PAPER_STEPS, f"{PAPER_STEPS} steps, of which {taken_steps} timed"
    parts = module.parts
    timings = [
        Timing.of("latent", sampling, f"{note}; denoiser {parts['denoiser'] / 1e6:.1f} M parameters"),
        Timing.of("decode", decoding, f"T = {chosen['n_time']}; D_s {parts['seismic_decoder'] / 1e6:.1f} M parameters"),
    ]
    return Speed(timings[0].median_s, timings[1].median_s, n_steps), timings


def ratios(paper: Speed, ours: dict[str, Speed]) -> dict[str, float]:
    """How many times quicker than the paper's code, a pair, and each part of it, by preset."""
    found = {}
    for preset, speed in ours.items():
        found[f"{preset}, a pair"] = paper.pair_s / speed.pair_s
        found[f"{preset}, latent alone"] = paper.latent_s / speed.latent_s
        found[f"{preset}, decoding alone"] = paper.decode_s / speed.decode_s
    return found


def measure(velocity_m_s: npt.NDArray[np.float32], repeats: int, batch: int, unet_steps: int) -> Section:
    """Both presets and the paper's code, on maps `(n, 70, 70)` for what reads one."""
    speeds: dict[str, Speed] = {}
    timings: list[Timing] = []
    for name in ("tiny", "paper"):
        speeds[name], parts = sampling_speed(preset_model(name), repeats, batch, velocity_m_s)
        timings += [replace(part, name=f"{name}: {part.name}, a pair") for part in parts]
    paper, parts = sampling_speed(PAPER_CODE, 2, batch, velocity_m_s, unet_steps)
    timings += [replace(part, name=f"paper's code: {part.name}, a pair") for part in parts]
    steps = {
        name: speed.n_steps / (speed.latent_s * batch) for name, speed in {**speeds, "paper's code": paper}.items()
    }
    found = {f"paper's code / {name}": value for name, value in ratios(paper, speeds).items()}
    return Section(timings, found, {"denoising_steps_per_cpu_second": steps})
