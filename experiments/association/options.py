"""The runner's command line: options, which of them go together, and their checks. Nothing heavy is imported here."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from experiments.errors import SettingsError

VP_VS = 1.73
EXIT_USAGE = 2

# The ways to say how long waves travel; one of them is given.
SOURCES = {
    "wave_speed": "--wave_speed grid.npy",
    "velocity_1d": "--velocity_1d model.csv",
    "p_speed_km_s": "--p_speed_km_s 6.0",
    "travel_time_field": "--travel_time_field checkpoint",
    "travel_times": "--travel_times table.npy",
}
# With which of these an option has a use.
_USES = {
    "spacing_km": ("wave_speed", "travel_times"),
    "origin_km": ("wave_speed", "travel_times"),
    "s_wave_speed": ("wave_speed", "travel_times"),
    "s_speed_km_s": ("wave_speed", "travel_times", "velocity_1d", "p_speed_km_s"),
    "bounds_km": ("velocity_1d", "p_speed_km_s"),
    "refinement": ("wave_speed", "travel_times"),
    "velocity_columns": ("velocity_1d",),
}
# Options that are the solver's own: name here, name there, and what it is.
SOLVER_OPTIONS: dict[str, tuple[str, Any, str]] = {
    "chains": ("chains", int, "starting points tried at once"),
    "transport": ("transport", str, "psgld, sgd: `sorted` (exact in one dimension, fast) or `pot` (the library)"),
    "p": ("p", float, "psgld, sgd: order of the Wasserstein distance (2)"),
    "rooted": ("rooted", bool, "psgld, sgd: the distance itself, as Eq. 10 has it, not its square"),
    "lr": ("learning_rate", float, "psgld, sgd: step size"),
    "eps": ("noise", float, "psgld: size of the Langevin noise"),
    "threshold_s": ("threshold_s", float, "psgld, sgd: misfit below which steps become smaller, seconds (l*)"),
    "restarts": ("restarts", int, "psgld, sgd: trials from new starting points (10)"),
    "stations_per_step": ("stations_per_step", int, "psgld, sgd: stations drawn for a step (1)"),
    "plain": ("preconditioned", bool, "psgld, sgd: no preconditioner (Eq. 12 as it stands)"),
    "pretrain_times": ("pretrain_times", bool, "psgld, sgd: fit the origin times before the rest"),
}


class CommandLine(argparse.ArgumentParser):
    """A parser whose mistakes are one sentence."""

    def error(self, message: str) -> NoReturn:
        """One sentence, without the usage of forty options."""
        self.exit(EXIT_USAGE, f"error: {message}; --help lists the options.\n")


def parser() -> argparse.ArgumentParser:
    """All options."""
    options = CommandLine(
        prog="python -m experiments.association",
        description="Find which pick belongs to which earthquake, and where and when the earthquakes were "
        "(HARPA, arXiv 2307.07572). Units are km, s and km/s; z points down.",
        allow_abbrev=False,
    )
    _add_files(options.add_argument_group("files"))
    _add_travel_times(options.add_argument_group("travel times: one of the first five"))
    _add_problem(options.add_argument_group("what is known"))
    _add_solver(options.add_argument_group("solver"))
    return options


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--picks", type=Path, required=True, metavar="CSV", help="station_id, phase_time, phase_type[, phase_score]; "
        "times ISO-8601 or seconds")  # fmt: skip
    add("--stations", type=Path, required=True, metavar="CSV", help="station_id, x_km, y_km, z_km, or station_id, "
        "latitude, longitude, elevation_m")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the results; earlier ones are replaced")
    for name in ("pick", "station", "velocity"):
        add(f"--{name}_columns", nargs="+", default=[], metavar="OURS=THEIRS",
            help=f"columns that the {name} file calls otherwise")  # fmt: skip
    add("--any_order", action="store_true", help="take picks that are not sorted by time")
    add("--centre", nargs=2, type=finite, metavar=("LAT", "LON"), help="where x = y = 0, for stations in degrees "
        "(default: their middle)")  # fmt: skip
    add("--no_figure", action="store_true", help="draw nothing")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def _add_travel_times(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--wave_speed", type=Path, metavar="NPY", help="P speed on nodes, km/s, axes x, y, z")
    add("--velocity_1d", type=Path, metavar="CSV", help="depth_km, vp_km_s[, vs_km_s]; rows are nodes")
    add("--p_speed_km_s", type=positive, metavar="SPEED", help="one P speed everywhere")
    add(
        "--travel_time_field",
        type=Path,
        metavar="CKPT",
        help="a trained field; it may leave the wave speed to be found",
    )
    add("--travel_times", type=Path, metavar="NPY", help="P times on nodes, s, axes station (as in the file), x, y, z")
    add("--spacing_km", type=positive, metavar="KM", help="between nodes")
    add("--origin_km", nargs=3, type=finite, metavar=("X", "Y", "Z"), help="of the first node (default: 0 0 0)")
    add("--s_wave_speed", type=Path, metavar="NPY", help="S speed on the same nodes")
    add("--s_speed_km_s", type=positive, metavar="SPEED", help="one S speed everywhere")
    add("--vp_vs", type=positive, metavar="RATIO", help=f"S times are so many times P times (default: {VP_VS}, or the "
        "model's S speeds)")  # fmt: skip
    add("--bounds_km", nargs=6, type=finite, metavar=("X0", "X1", "Y0", "Y1", "Z0", "Z1"), help="where events may be, "
        "without a grid (default: around and below the stations)")  # fmt: skip
    add("--refinement", type=count, metavar="N", help="solve for times on a grid so many times finer")
    add("--travel_time_error_s", type=not_negative, metavar="S", help="standard error of the times, if known better")
    add("--cache_root", type=Path, default=Path("cache"), metavar="DIR", help="folder of what is made once (cache)")
    add("--workers", type=count, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        metavar="N", help="processes that compute travel times (default: all cores)")  # fmt: skip


def _add_problem(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--events", type=count, metavar="M", help="how many there are (default: found)")
    add("--origin_time_range", nargs=2, metavar=("T0", "T1"), help="when events may be, in the picks' form "
        "(default: inferred)")  # fmt: skip
    add("--pick_noise_s", type=not_negative, default=0.01, metavar="S", help="standard error of a pick (0.01)")
    add("--complete", choices=("auto", "yes", "no"), default="auto", help="whether each event has one pick at each "
        "station and phase with picks, and no others are there (auto: if all have equally many)")  # fmt: skip


def _add_solver(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--solver", default="gauss_newton", metavar="NAME", help="gauss_newton (default), psgld (the paper's), sgd")
    add("--seed", type=int, default=0, metavar="N", help="the same seed gives the same result")
    for name, (_, kind, text) in SOLVER_OPTIONS.items():
        if kind is bool:
            add(f"--{name}", action="store_true", default=None, help=text)
        elif name == "transport":
            add("--transport", choices=("sorted", "pot"), help=text)
        elif kind is int:
            add(f"--{name}", type=count, metavar="N", help=text)
        else:
            add(f"--{name}", type=not_negative, metavar="X", help=text)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of a command line.

    Raises:
        SettingsError: When options do not go together.
        SystemExit: On `--help`, and for an option that argparse refuses.
    """
    options = parser().parse_args(sys.argv[1:] if arguments is None else list(arguments))
    given = [name for name in SOURCES if getattr(options, name) is not None]
    if len(given) != 1:
        found = "none is given" if not given else " and ".join(f"--{name}" for name in given) + " are given"
        raise SettingsError(f"travel times: {found}; give one of {', '.join(SOURCES.values())}.")
    for name, uses in _USES.items():
        if getattr(options, name) not in (None, []) and given[0] not in uses:
            raise SettingsError(
                f"--{name} has no use with --{given[0]}, only with {' or '.join(f'--{use}' for use in uses)}; "
                "leave it out."
            )
    ways = [name for name in ("s_wave_speed", "s_speed_km_s", "vp_vs") if getattr(options, name) is not None]
    if len(ways) > 1:
        raise SettingsError(f"--{ways[0]} and --{ways[1]} both say how fast S waves are; give one.")
    if options.vp_vs is not None and options.vp_vs <= 1:
        raise SettingsError(f"--vp_vs {options.vp_vs:g}: S waves are slower than P waves; give a ratio above 1.")
    if options.s_speed_km_s and options.p_speed_km_s and options.s_speed_km_s >= options.p_speed_km_s:
        raise SettingsError(
            f"--s_speed_km_s {options.s_speed_km_s:g} is not below --p_speed_km_s {options.p_speed_km_s:g}; "
            "S waves are slower than P waves."
        )
    if options.bounds_km is not None and not all(a < b for a, b in zip(*[iter(options.bounds_km)] * 2, strict=True)):
        raise SettingsError(
            f"--bounds_km {' '.join(f'{b:g}' for b in options.bounds_km)}: each pair runs from low to high; "
            "mend the order."
        )
    for name in ("pick_columns", "station_columns", "velocity_columns"):
        setattr(options, name, pairs(name, getattr(options, name)))
    if options.solver in ("psgld", "sgd") and options.events is None:
        raise SettingsError(f"--solver {options.solver} must know how many events there are; give --events M.")
    options.source = given[0]
    return options


def input_files(options: argparse.Namespace) -> list[Path]:
    """The files that the options name."""
    named = ("picks", "stations", "wave_speed", "s_wave_speed", "velocity_1d", "travel_time_field", "travel_times")
    return [path for name in named if (path := getattr(options, name)) is not None]


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options as plain values, for the summary and W&B; what was left to the defaults of others is null."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in sorted(vars(options).items())}


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """`OURS=THEIRS` texts as a mapping.

    Raises:
        SettingsError: When one is no pair.
    """
    found = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise SettingsError(f"--{option} {text}: a pair such as station_id=id is wanted, our name first.")
        found[ours] = theirs
    return found


def finite(text: str) -> float:
    """A finite number, for argparse."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def not_negative(text: str) -> float:
    """A number of at least 0, for argparse."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def count_or_none(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


# What argparse calls the kinds in its messages.
finite.__name__ = positive.__name__ = not_negative.__name__ = "number"
count.__name__ = count_or_none.__name__ = "whole number"
