"""`make bench`: what is fast, as ratios within one run, in CPU seconds on one thread.

python -m experiments.benchmark [--only operator sampling] [--data_root FOLDER] [--reference FILE.py] [--json FILE]

The forward operator against a reference and deepwave, sampling against the paper's code, data loading against reads of
the memory map, Lightning against a bare loop, and the association solvers against each other.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.benchmark.timing import Section
from experiments.errors import SettingsError
from experiments.settings import nearest
from experiments.terminal import calm_progress, exit_status

BATCH = 16  # of the paper's training, and about where its U-Net is at its quickest a sample
NAMES = ("operator", "sampling", "loading", "overhead", "association")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.benchmark", description="Speed, as ratios within one run, on one thread."
    )
    made.add_argument("--only", nargs="+", metavar="PART", help=f"some of {', '.join(NAMES)} (default: all)")
    made.add_argument("--repeats", type=int, default=5, help="counted repetitions (default: 5)")
    made.add_argument("--batch", type=int, default=BATCH, help=f"pairs sampled at once (default: {BATCH})")
    made.add_argument("--unet_steps", type=int, default=16, help="of the U-Net's 256 steps timed (default: 16)")
    made.add_argument("--data_root", type=Path, help="folder of OpenFWI's families, for real maps")
    made.add_argument("--wave_speed_root", type=Path, help="folder with overthrust_32.npy; without it, a stand-in")
    made.add_argument("--cache_root", type=Path, default=Path("cache"), help="for travel times (default: cache)")
    made.add_argument("--reference", type=Path, help="Python file with a reference operator simulate(map)")
    made.add_argument("--json", type=Path, help="file to write the figures to")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit code."""
    options = parser().parse_args(arguments)
    return exit_status(lambda: measure(options), "nothing was written.")


def parts(options: argparse.Namespace) -> dict[str, Callable[[], Section]]:
    """What can be measured: name -> how.

    Raises:
        SettingsError: If an option is out of its range.
    """
    from experiments.benchmark import association, loading, operator, overhead, sampling

    for name in ("repeats", "batch", "unet_steps"):
        if getattr(options, name) < 1:
            raise SettingsError(f"--{name}: got {getattr(options, name)}; give 1 or more.")
    repeats = options.repeats

    def sample() -> Section:
        maps = next(iter(operator.maps_to_simulate(options.data_root, operator.N_MAPS).values()))
        return sampling.measure(maps, repeats, options.batch, options.unet_steps)

    return {
        "operator": lambda: operator.measure(options.data_root, repeats, options.reference),
        "sampling": sample,
        "loading": lambda: loading.measure(repeats),
        "overhead": lambda: overhead.measure(repeats + 1),
        "association": lambda: association.measure(range(repeats), options.wave_speed_root, options.cache_root),
    }


def measure(options: argparse.Namespace) -> None:
    """Measure the chosen parts one after another.

    Raises:
        SettingsError: If an option is wrong.
    """
    known = parts(options)
    for name in options.only or ():
        if name not in known:
            raise SettingsError(f"--only {name}: there is no such part; {nearest(name, known)}")
    calm_progress()
    import torch

    from experiments.program import quiet
    from experiments.provenance import provenance
    from experiments.run_folder import write_json

    quiet()
    torch.set_num_threads(1)
    found: dict[str, Section] = {}
    print(f"{'CPU seconds, one thread':52} {'median':>10} {'least':>10} {'largest':>10}")
    for name in options.only or known:
        found[name] = known[name]()
        for timing in found[name].timings:
            seconds = f"{timing.median_s:10.5f} {timing.least_s:10.5f} {timing.largest_s:10.5f}"
            print(f"{timing.name:52} {seconds}  {timing.note}", flush=True)
    print(f"\n{'ratios':52}")
    for section in found.values():
        for name, value in section.ratios.items():
            print(f"{name:52} {value:10.2f}")
    if options.json is not None:
        chosen = {name: str(value) for name, value in vars(options).items() if value is not None}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {name: asdict(section) for name, section in found.items()}
        write_json(options.json, {"provenance": provenance({"options": chosen}, seed=0), **content})


if __name__ == "__main__":
    sys.exit(main())
