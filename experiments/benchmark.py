"""`make bench`: CPU seconds of the forward operator and of the sampler, on one thread.

python -m experiments.benchmark
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Literal


def cpu_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return seconds


def main() -> int:
    """Print the figures, one a line: name, median, least and largest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="counted repetitions (default: 5)")
    repeats = parser.parse_args().repeats

    import numpy as np
    import torch

    from datamodules.simulate.velocity_maps import SYNTHETIC_FAMILIES
    from datamodules.simulate.wave_equation import simulate_gathers
    from lightning_modules.ubdiff.module import UBDiffModule

    torch.set_num_threads(1)
    n_maps, n_pairs = 4, 64
    for family, generate in SYNTHETIC_FAMILIES.items():
        maps = generate(n_maps, np.random.default_rng(0))
        seconds = cpu_seconds(partial(simulate_gathers, maps), repeats)
        _show(f"forward operator, {family}, s a map", seconds, n_maps)
    samplers: tuple[Literal["dpm_solver_2m", "ddim", "ddpm"], ...] = ("dpm_solver_2m", "ddim", "ddpm")
    for sampler in samplers:
        module = UBDiffModule(stage="evaluate", sampler=sampler, n_time=250, seismic_patch=10).eval()
        with torch.no_grad():
            seconds = cpu_seconds(partial(module.predict_step, torch.arange(n_pairs), 0), repeats)
        _show(f"sampling and decoding, {sampler}, T = 250, s a pair", seconds, n_pairs)
    return 0


def _show(name: str, seconds: list[float], n: int) -> None:
    each = [s / n for s in seconds]
    print(f"{name:52} median {statistics.median(each):.4f}  least {min(each):.4f}  largest {max(each):.4f}")


if __name__ == "__main__":
    sys.exit(main())
