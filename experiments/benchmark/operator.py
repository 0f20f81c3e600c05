"""The forward operator: compiled and torch, against a slow reference and against deepwave where they are at hand."""

import importlib.util
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark.timing import Section, Timing, cpu_seconds

N_MAPS = 4
COMPILED = "operator, compiled"


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


def operator_timings(maps: dict[str, npt.NDArray[np.float32]], repeats: int) -> Iterator[Timing]:
    """Time the compiled operator on each family's maps `(n, 70, 70)`, and the torch operator on one of them all."""
    import torch

    from datamodules.simulate.wave_equation import simulate_gathers
    from datamodules.simulate.wave_equation_torch import simulate_gathers_torch

    for family, velocity in maps.items():
        seconds = cpu_seconds(partial(simulate_gathers, velocity), repeats)
        yield Timing.of(f"{COMPILED}, {family}, a map", [each / len(velocity) for each in seconds])
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


def deepwave_timing(velocity: npt.NDArray[np.float32], repeats: int) -> Timing | None:
    """Time the package deepwave on one map `(70, 70)` with the same grid, shots, wavelet, steps and width of the edge.

    Its absorbing edge and its inner time step are its own, so the gathers are alike and not the same. None where it
    is not installed.
    """
    if importlib.util.find_spec("deepwave") is None:
        return None
    import deepwave  # type: ignore[import-not-found]
    import torch

    from datamodules.simulate.wave_equation import (
        GRID_SPACING_M,
        N_TIME_STEPS,
        PEAK_FREQUENCY_HZ,
        SHOT_COLUMNS,
        SURFACE_ROW,
        TIME_STEP_S,
        ricker_wavelet,
        simulate_gathers,
    )
    from datamodules.simulate.wave_stencil import PAD_CELLS

    n, n_shots = len(velocity), len(SHOT_COLUMNS)
    sources = torch.tensor([[[SURFACE_ROW, column]] for column in SHOT_COLUMNS])
    receivers = torch.stack([torch.full((n,), SURFACE_ROW), torch.arange(n)], -1).expand(n_shots, n, 2)
    wavelet = np.zeros(N_TIME_STEPS, np.float32)
    pulse = ricker_wavelet()[:N_TIME_STEPS]
    wavelet[: len(pulse)] = pulse
    amplitudes = torch.from_numpy(wavelet).expand(n_shots, 1, -1)

    def simulate() -> npt.NDArray[np.float32]:
        with torch.no_grad():
            found = deepwave.scalar(
                torch.from_numpy(velocity),
                GRID_SPACING_M,
                TIME_STEP_S,
                source_amplitudes=amplitudes,
                source_locations=sources,
                receiver_locations=receivers,
                accuracy=4,
                pml_width=PAD_CELLS,
                pml_freq=PEAK_FREQUENCY_HZ,
            )
        gathers: npt.NDArray[np.float32] = found[-1].numpy().transpose(0, 2, 1)
        return gathers

    seconds = cpu_seconds(simulate, repeats)
    theirs, ours = simulate().ravel(), simulate_gathers(velocity[None])[0].ravel()
    likeness = float(theirs @ ours / (np.linalg.norm(theirs) * np.linalg.norm(ours)))
    return Timing.of("operator, deepwave, a map", seconds, f"correlation with the compiled {likeness:.3f}")


def measure(data_root: Path | None, repeats: int, reference: Path | None) -> Section:
    """All operators on the same maps, and how many times quicker the compiled one is."""
    maps = maps_to_simulate(data_root, N_MAPS)
    timings = list(operator_timings(maps, repeats))
    velocity = next(iter(maps.values()))[0]
    if reference is not None:
        timings.append(reference_timing(reference, velocity))
    if theirs := deepwave_timing(velocity, repeats):
        timings.append(theirs)
    first, *others = timings
    ratios = {
        f"{timing.name.removesuffix(', a map')} / compiled": timing.median_s / first.median_s
        for timing in others
        if not timing.name.startswith(COMPILED)
    }
    return Section(timings, ratios, {"maps": list(maps)})
