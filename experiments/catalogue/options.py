"""Options of `python -m experiments.catalogue`, their checks, and VELOCITY by its suffix. Nothing heavy is imported."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.association import options as association
from experiments.association.files.stations import StationTable
from experiments.errors import SettingsError

# Below the highest station, as a part of the network's extent, and at least so deep.
_DEEP, _LEAST_DEPTH_KM, _AROUND = 0.5, 10.0, 0.25
_PASSED_ON = ("spacing_km", "refinement", "s_wave_speed", "s_speed_km_s", "vp_vs", "travel_time_error_s", "cache_root")


def parser() -> argparse.ArgumentParser:
    """All options."""
    options = association.CommandLine(
        prog="python -m experiments.catalogue",
        description="Associate a catalogue: picks of minutes or months in, events out, however many there are. "
        "Units are km, s and km/s; z points down.",
        allow_abbrev=False,
    )
    _files(options.add_argument_group("files"))
    _velocity(options.add_argument_group("how long waves travel"))
    _filters(options.add_argument_group("which events and picks are kept (defaults follow from the network)"))
    _running(options.add_argument_group("running"))
    return options


def _files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--picks", type=Path, required=True, metavar="CSV", help="picks of SeisBench, PhaseNet, GaMMA or PyOcto, or "
        "station_id, phase_time, phase_type; rows in order of time are streamed, others read as a whole")  # fmt: skip
    add("--stations", type=Path, required=True, metavar="CSV", help="stations of the same programs, or station_id, "
        "latitude, longitude, elevation_m (or x_km, y_km, z_km)")  # fmt: skip
    add("--velocity", required=True, metavar="WHAT", help="model.csv: 1-D, depth_km, vp_km_s[, vs_km_s]; grid.npy: P "
        "speed on 3-D nodes, km/s (or P times, with stations first); a number: one P speed, km/s; final.ckpt: a "
        "trained field")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the results; earlier ones are replaced")
    add("--reference", type=Path, metavar="CSV", help="a catalogue to compare with: time, latitude, longitude, depth_km"
        "[, magnitude]")  # fmt: skip
    for name in ("pick", "station", "velocity"):
        add(f"--{name}_columns", nargs="+", default=[], metavar="OURS=THEIRS",
            help=f"columns of the {name} file that are not recognised")  # fmt: skip
    add("--skip_unknown_stations", action="store_true", help="leave out picks of stations that are not in the file")
    add("--quakeml", choices=("auto", "yes", "no"), default="auto", help="write events.xml (auto: where ObsPy is "
        "installed)")  # fmt: skip
    add("--no_figures", action="store_true", help="draw nothing")


def _velocity(group: argparse._ArgumentGroup) -> None:
    add, positive, finite = group.add_argument, association.positive, association.finite
    add("--spacing_km", type=positive, metavar="KM", help="between nodes of a grid")
    add("--origin_km", nargs=3, type=finite, metavar=("X", "Y", "Z"), help="of a grid's first node, from the centre")
    add("--s_wave_speed", type=Path, metavar="NPY", help="S speed on the same nodes")
    add("--s_speed_km_s", type=positive, metavar="SPEED", help="one S speed everywhere")
    add("--vp_vs", type=positive, metavar="RATIO", help=f"S times are so many times P times (default: "
        f"{association.VP_VS}, or the model's S speeds)")  # fmt: skip
    add("--refinement", type=association.count, metavar="N", help="solve for times on a grid so many times finer")
    add("--travel_time_error_s", type=association.not_negative, metavar="S", help="standard error of the times")
    add("--centre", nargs=2, type=finite, metavar=("LAT", "LON"), help="where x = y = 0 (the stations' middle)")
    add("--bounds_km", nargs=6, type=finite, metavar=("X0", "X1", "Y0", "Y1", "Z0", "Z1"), help="where events may be "
        "(default: a quarter of the network's extent around it, and half of it deep)")  # fmt: skip
    add("--cache_root", type=Path, default=Path("cache"), metavar="DIR", help="folder of what is made once (cache)")


def _filters(group: argparse._ArgumentGroup) -> None:
    add, count, not_negative = group.add_argument, association.count_or_none, association.not_negative
    add("--min_picks", type=count, metavar="N", help="picks of an event (a sixth of the stations, 5 to 8)")
    add("--min_p", type=count, metavar="N", help="P picks of it (3)")
    add("--min_s", type=count, metavar="N", help="S picks of it (1, or 0 without S picks)")
    add("--min_both", type=count, metavar="N", help="stations of it with P and S (0)")
    add("--max_residual_s", type=association.positive, metavar="S", help="of a P pick; of an S pick half as much again")
    add("--max_rms_s", type=association.positive, metavar="S", help="of an event (no limit)")
    add("--min_seen", type=not_negative, metavar="SHARE", help="share of the nearer stations that should have seen an "
        "event which must have, for a farther one's picks to stay (.25; 0: not asked)")  # fmt: skip
    add("--drop_outside", action="store_true", help="drop events outside the network; they are flagged in any case")


def _running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--workers", type=association.count, default=1, metavar="N", help="processes; the result does not depend on it")
    add("--pick_error_s", type=association.positive, metavar="S", help="standard error of a P pick against its arrival")
    add("--window_s", type=association.positive, metavar="S", help="how long windows are, about")
    add("--no_station_corrections", action="store_true", help="do not learn corrections of stations")
    add("--fresh", action="store_true", help="begin anew, even if an interrupted run could go on")
    add("--quiet", action="store_true", help="no progress bar, no summary")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of a command line; `.speeds` holds those for the travel times.

    Raises:
        SettingsError: When options do not go together.
        SystemExit: On `--help`, and for an option that argparse refuses.
    """
    options = parser().parse_args(sys.argv[1:] if arguments is None else list(arguments))
    if options.min_seen is not None and options.min_seen > 1:
        raise SettingsError(f"--min_seen {options.min_seen:g}: a share from 0 to 1 is wanted.")
    if options.quakeml == "yes":
        from experiments.catalogue import quakeml

        quakeml.require()
    options.speeds = _speeds(options)
    options.station_columns = association.pairs("station_columns", options.station_columns)
    options.pick_columns = association.pairs("pick_columns", options.pick_columns)
    return options


def _speeds(options: argparse.Namespace) -> argparse.Namespace:
    """The same as options of `experiments.association`, which checks that they go together."""
    kind = _kind(options.velocity)
    line = ["--picks", str(options.picks), "--stations", str(options.stations), "--out", str(options.out)]
    line += [f"--{kind}", options.velocity, "--workers", str(options.workers)]
    for name in _PASSED_ON:
        value = getattr(options, name)
        if value is not None:
            line += [f"--{name}", str(value)]
    for name in ("origin_km", "velocity_columns", "bounds_km"):
        values = getattr(options, name)
        if values:
            line += [f"--{name}", *(value if isinstance(value, str) else f"{value:.9f}" for value in values)]
    if options.quiet:
        line.append("--quiet")
    return association.parse(line)


def _kind(velocity: str) -> str:
    """Which of the ways to say how long waves travel this is."""
    suffix = Path(velocity).suffix.lower()
    try:
        speed = float(velocity)
    except ValueError:
        speed = float("nan")
    if np.isfinite(speed):
        if speed <= 0:
            raise SettingsError(f"--velocity {velocity}: a speed above 0 km/s is wanted.")
        return "p_speed_km_s"
    kinds = {".csv": "velocity_1d", ".npy": "wave_speed", ".ckpt": "travel_time_field"}
    if suffix not in kinds:
        raise SettingsError(
            f"--velocity {velocity}: a .csv file (1-D model), a .npy file (3-D grid), a .ckpt file (trained field) or "
            "a number (P speed, km/s) is wanted."
        )
    if suffix == ".npy" and _n_axes(Path(velocity)) == 4:
        return "travel_times"
    return kinds[suffix]


def _n_axes(path: Path) -> int:
    try:
        return int(np.load(path, mmap_mode="r", allow_pickle=False).ndim)
    except (OSError, ValueError, EOFError):
        return 0  # told where it is read


def default_bounds_km(stations: StationTable, heard: np.ndarray) -> list[float]:
    """Where events are sought: around the stations with picks and below them.

    Args:
        stations: The stations.
        heard: `(station,)` bool, those with picks.

    Returns:
        Lowest and highest x, y, z.
    """
    positions = stations.positions_km[heard]
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = float((high - low)[:2].max())
    around = _AROUND * max(extent, _LEAST_DEPTH_KM)
    top = float(stations.positions_km[:, 2].min())
    all_low, all_high = stations.positions_km.min(axis=0), stations.positions_km.max(axis=0)
    low, high = np.minimum(low - around, all_low), np.maximum(high + around, all_high)
    return [
        float(low[0]),
        float(high[0]),
        float(low[1]),
        float(high[1]),
        top,
        top + max(_DEEP * extent, _LEAST_DEPTH_KM),
    ]


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options as plain values, for the summary and W&B; what was left to defaults is null."""
    skipped = ("speeds",)
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(options).items())
        if name not in skipped
    }


def input_files(options: argparse.Namespace) -> list[Path]:
    """The files that the options name."""
    files = [options.picks, options.stations, options.reference, options.s_wave_speed]
    if options.speeds.source != "p_speed_km_s":
        files.append(Path(options.velocity))
    return [path for path in files if path is not None]
