"""`make bench`: CPU seconds of the forward operator and of sampling, ours against the paper's, on one thread.

python -m experiments.benchmark [--data_root FOLDER] [--reference FILE.py] [--json FILE]

Sampling is compared at equal batch: our networks with the default solver, at the sizes of the presets `tiny` and
`paper`, against networks as in the paper's code, in our own writing (a 1-D U-Net over all 256 DDPM steps, then a
seismic decoder of 237 million parameters), all with the weights they are born with, which the time does not depend on.
Of the U-Net's 256 equal steps only some are taken and their time is multiplied; `--unet_steps 256` takes them all.
Preset `tiny` decodes 250 time samples where the others decode 1,000.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

N_MAPS = 4
BATCH = 16  # of the paper's training, and about where its U-Net is at its quickest a sample
PAPER_STEPS = 256
PAPER_CODE = {"denoiser": "unet_1d", "seismic_decoder": "single_token", "sampler": "ddpm", "n_time": 1000}
PRESETS = Path(__file__).parent / "configs" / "ubdiff"


@dataclass(frozen=True)
class Timing:
    """CPU seconds of one thing, over the counted repetitions."""

    name: str
    median_s: float
    least_s: float
    largest_s: float
    note: str = ""

    @classmethod
    def of(cls, name: str, seconds: list[float], note: str = "") -> "Timing":
        """Summarise the repetitions."""
        return cls(name, statistics.median(seconds), min(seconds), max(seconds), note)


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


def cpu_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return seconds


def operator_timings(maps: dict[str, npt.NDArray[np.float32]], repeats: int) -> Iterator[Timing]:
    """Time the compiled operator on each family's maps `(n, 70, 70)`, and the torch operator on one of them all."""
    import torch

    from datamodules.simulate.wave_equation import simulate_gathers
    from datamodules.simulate.wave_equation_torch import simulate_gathers_torch

    for family, velocity in maps.items():
        seconds = cpu_seconds(partial(simulate_gathers, velocity), repeats)
        yield Timing.of(f"operator, compiled, {family}, a map", [each / len(velocity) for each in seconds])
    velocity = next(iter(maps.values()))[:1]
    begun = time.process_time()
    gathers = simulate_gathers_torch(torch.from_numpy(velocity))
    elapsed = time.process_time() - begun
    difference = _relative_l2(gathers.numpy(), simulate_gathers(velocity))
    yield Timing.of("operator, torch on the CPU, a map", [elapsed], f"relative L2 to the compiled one {difference:.1e}")


def reference_timing(path: Path, velocity: npt.NDArray[np.float32]) -> Timing:
    """Time a slow reference, a Python file with `simulate(map (70, 70)) -> (5, 1000, 70)`, on one map."""
    from datamodules.simulate.wave_equation import simulate_gathers

    spec = importlib.util.spec_from_file_location("operator_reference", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"--reference: {path} is no Python file; give one that defines simulate(velocity_m_s).")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    begun = time.process_time()
    wanted = module.simulate(velocity)
    seconds = time.process_time() - begun
    difference = _relative_l2(simulate_gathers(velocity[None])[0], wanted)
    return Timing.of("operator, reference, a map", [seconds], f"relative L2 of the compiled to it {difference:.1e}")


def _relative_l2(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def maps_to_simulate(data_root: Path | None, n_maps: int) -> dict[str, npt.NDArray[np.float32]]:
    """Real maps of the families below `data_root`, `(n, 70, 70)` each, or synthetic ones where none is given."""
    from datamodules.simulate.velocity_maps import SYNTHETIC_FAMILIES

    if data_root is None:
        draw = np.random.default_rng(0)
        return {f"synthetic {name}": generate(n_maps, draw) for name, generate in SYNTHETIC_FAMILIES.items()}
    maps = {}
    for folder in sorted(path for path in data_root.glob("*") if path.is_dir()):
        files = sorted([*folder.glob("model/model*.npy"), *folder.glob("vel*.npy")])
        if files:
            maps[f"real {folder.name}"] = np.load(files[0], mmap_mode="r")[:n_maps, 0].astype(np.float32)
    if not maps:
        raise SystemExit(
            f"--data_root: {data_root} holds no <family>/model/model*.npy nor <family>/vel*.npy; give the folder "
            "that holds OpenFWI's families, or leave the option out for synthetic maps."
        )
    return maps


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


def main(arguments: list[str] | None = None) -> int:
    """Print timings, steps a second and ratios, and write them to a file if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="counted repetitions (default: 5)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"pairs sampled at once (default: {BATCH})")
    parser.add_argument("--unet_steps", type=int, default=16, help="of the U-Net's 256 steps timed (default: 16)")
    parser.add_argument("--data_root", type=Path, help="folder of OpenFWI's families, for real maps")
    parser.add_argument("--reference", type=Path, help="Python file with a reference operator simulate(map)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args(arguments)
    for name in ("repeats", "batch", "unet_steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: got {getattr(options, name)}; give 1 or more.")

    import torch

    from experiments.provenance import provenance

    torch.set_num_threads(1)
    timings: list[Timing] = []

    def show(timing: Timing) -> None:
        timings.append(timing)
        seconds = f"{timing.median_s:10.5f} {timing.least_s:10.5f} {timing.largest_s:10.5f}"
        print(f"{timing.name:46} {seconds}  {timing.note}", flush=True)

    print(f"{'CPU seconds, one thread':46} {'median':>10} {'least':>10} {'largest':>10}")
    maps = maps_to_simulate(options.data_root, N_MAPS)
    for timing in operator_timings(maps, options.repeats):
        show(timing)
    if options.reference is not None:
        show(reference_timing(options.reference, next(iter(maps.values()))[0]))

    speeds: dict[str, Speed] = {}
    for name, settings in {preset: preset_model(preset) for preset in ("tiny", "paper")}.items():
        speeds[name], parts = sampling_speed(settings, options.repeats, options.batch, next(iter(maps.values())))
        for part in parts:
            show(replace(part, name=f"{name}: {part.name}, a pair"))
    paper, parts = sampling_speed(PAPER_CODE, 2, options.batch, next(iter(maps.values())), options.unet_steps)
    for part in parts:
        show(replace(part, name=f"paper's code: {part.name}, a pair"))

    steps = {
        name: speed.n_steps / (speed.latent_s * options.batch)
        for name, speed in {**speeds, "paper's code": paper}.items()
    }
    print(f"\n{f'denoising steps of {options.batch} latents a CPU second':46}")
    for name, value in steps.items():
        print(f"{name:46} {value:10.1f}")
    found = ratios(paper, speeds)
    print(f"\n{'times quicker than the paper code':46}")
    for name, value in found.items():
        print(f"{name:46} {value:10.1f}")
    if options.json is not None:
        record = {
            "provenance": provenance({"maps": list(maps)}, seed=0),
            "options": {"repeats": options.repeats, "batch": options.batch, "unet_steps": options.unet_steps},
            "timings": [asdict(timing) for timing in timings],
            "denoising_steps_per_cpu_second": steps,
            "times_quicker_than_paper_code": found,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
