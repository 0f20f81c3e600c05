"""The association runner: picks and stations in, events and associated picks out.

Input is read and checked before torch is loaded; results are written beside and renamed.
"""

import argparse
import inspect
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.out_folder import OutFolder
from experiments.association.files.picks import PickTable, read_picks
from experiments.association.files.stations import StationTable, read_stations
from experiments.association.options import SOLVER_OPTIONS, input_files, parse
from experiments.association.preparation import Prepared, check_provider, prepare
from experiments.association.sources import Source, read_source
from experiments.errors import SettingsError
from experiments.terminal import calm_progress, exit_status
from experiments.wandb_run import under_sweep_agent

if TYPE_CHECKING:
    from experiments.association.problem import Association, Problem
    from experiments.association.solvers.solver import Solver

_UNKNOWNS_OF_AN_EVENT = 4


@dataclass(frozen=True)
class Inputs:
    """What was read, before anything is computed.

    Args:
        stations: The stations.
        picks: The picks.
        source: What is known of travel times.
        origin_time_range_s: On the clock of the picks; None to have it inferred.
    """

    stations: StationTable
    picks: PickTable
    source: Source
    origin_time_range_s: tuple[float, float] | None

    @property
    def has_s(self) -> bool:
        """Whether there are S picks."""
        return bool((self.picks.phase == 1).any())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; a user's mistake is one sentence on stderr.

    Returns:
        Exit status: 0 for results, 2 for a mistake in options or files, 130 when interrupted.
    """
    calm_progress()

    def work() -> None:
        options = parse(arguments)
        run(options, read_inputs(options))

    return exit_status(work, "nothing was written.")


def read_inputs(options: argparse.Namespace) -> Inputs:
    """Read and check all that is given.

    Raises:
        DataError: When something in a file is wrong.
        SettingsError: When an option does not fit the files.
    """
    stations = read_stations(
        options.stations, options.station_columns, tuple(options.centre) if options.centre else None
    )
    picks = read_picks(options.picks, stations.ids, options.pick_columns, options.stations, options.any_order)
    _refuse_too_few(options, stations, picks)
    source = read_source(options, stations, bool((picks.phase == 1).any()))
    return Inputs(stations, picks, source, _origin_time_range(options, picks))


def _refuse_too_few(options: argparse.Namespace, stations: StationTable, picks: PickTable) -> None:
    heard = np.unique(picks.station)
    if len(heard) == 1:
        raise DataError(
            f"{options.picks}: all {len(picks)} picks are of one station, {stations.ids[heard[0]]}, and cannot tell "
            "where an event was; picks of at least two stations, better eight, are wanted."
        )
    wanted = _UNKNOWNS_OF_AN_EVENT * (options.events or 1)
    if len(picks) < wanted:
        events = f"--events {options.events}" if options.events else "one event"
        raise DataError(
            f"{options.picks}: {len(picks)} picks are fewer than the {wanted} unknowns of {events} (place and time "
            "each); give more picks" + (" or fewer events." if options.events and options.events > 1 else ".")
        )


def _origin_time_range(options: argparse.Namespace, picks: PickTable) -> tuple[float, float] | None:
    if options.origin_time_range is None:
        return None
    times = []
    for text in options.origin_time_range:
        try:
            times.append(picks.clock.seconds(text))
        except (ValueError, TypeError):
            raise SettingsError(
                f"--origin_time_range {' '.join(options.origin_time_range)}: {text!r} is no time in the form of the "
                f"picks, which is {picks.clock.name}, such as {picks.clock.text(float(picks.time_s[0]))}; write it so."
            ) from None
    if not times[0] < times[1]:
        raise SettingsError(
            f"--origin_time_range {' '.join(options.origin_time_range)}: the first is not before the second; swap them."
        )
    return times[0], times[1]


def is_complete(choice: str, n_events: int | None, station: np.ndarray, phase: np.ndarray) -> bool:
    """Whether every event is taken to have one pick in each channel with picks.

    Args:
        choice: `yes`, `no`, or `auto`: when all channels have equally many picks, as many as there are events.
        n_events: How many there are; None where that is not known.
        station: `(pick,)`.
        phase: `(pick,)`.

    Raises:
        SettingsError: When `yes` cannot be.
    """
    counts = np.unique(station * 2 + phase, return_counts=True)[1]
    equal = bool((counts == counts[0]).all()) and n_events in (None, int(counts[0]))
    if choice == "yes" and not equal:
        found = f"{counts.min()} to {counts.max()}" if counts.min() != counts.max() else f"{counts[0]}"
        raise SettingsError(
            f"--complete yes: stations have {found} picks of a phase"
            + (f", and there are {n_events} events" if n_events else "")
            + "; leave it out, so that picks may be missing or spurious."
        )
    return equal and choice != "no"


def problem_of(options: argparse.Namespace, inputs: Inputs, prepared: Prepared) -> "Problem":
    """The association problem."""
    from experiments.association.problem import Picks, Problem, Stations

    names = [f"trained {number}" for number in range(len(prepared.positions_km))]
    for name, number in zip(inputs.stations.ids, prepared.station_of, strict=True):
        names[int(number)] = name
    picks = inputs.picks
    return Problem(
        Stations(tuple(names), prepared.positions_km),
        Picks(prepared.station_of[picks.station], picks.phase, picks.time_s),
        prepared.travel_times,
        options.events,
        inputs.origin_time_range_s,
        options.pick_noise_s,
        not is_complete(options.complete, options.events, picks.station, picks.phase),
    )


def solver_of(options: argparse.Namespace) -> "Solver":
    """The solver, with the options that were given for it.

    Raises:
        SettingsError: When there is no such solver, or it has no such option.
    """
    from experiments.association.associate import SOLVERS

    if options.solver not in SOLVERS:
        raise SettingsError(f"--solver {options.solver}: there is no such solver; give one of {', '.join(SOLVERS)}.")
    make = SOLVERS[options.solver]
    # `sgd` is `psgld` by another name and takes its options.
    known = inspect.signature(SOLVERS["psgld"] if options.solver == "sgd" else make).parameters
    chosen: dict[str, Any] = {}
    for option, (name, _, _) in SOLVER_OPTIONS.items():
        value = getattr(options, option)
        if value is None:
            continue
        if name not in known:
            raise SettingsError(
                f"--{option}: {options.solver} has no such option; leave it out or take another --solver."
            )
        chosen[name] = not value if option == "plain" else value
    return make(**chosen)


def run(options: argparse.Namespace, inputs: Inputs) -> None:
    """Solve and write.

    Raises:
        SettingsError, DataError, ModuleError: For a mistake of the user.
    """
    from experiments.association.outputs import Record, log_to_wandb, print_results, start_wandb, write

    path = _out(options)
    folder = OutFolder(path, input_files(options))
    import torch

    torch.set_num_threads(1)  # small arrays: more threads only wait for one another
    solver = solver_of(options)
    is_complete(options.complete, options.events, inputs.picks.station, inputs.picks.phase)
    with folder as staging:
        wandb_run = start_wandb(staging, options, solver)
        try:
            started = time.process_time()
            prepared = prepare(inputs.source, inputs.stations.ids, inputs.has_s)
            check_provider(options, prepared, inputs.has_s)
            problem = problem_of(options, inputs, prepared)
            loading_cpu_s = time.process_time() - started
            association = _solve(problem, solver, options)
            record = Record(options, solver, inputs, prepared, problem, association, loading_cpu_s)
            write(staging, record)
            log_to_wandb(wandb_run, staging, record)
        finally:
            if wandb_run is not None:
                wandb_run.finish()
        folder.finish()
    if not options.quiet:
        print_results(folder.path, record)


def _solve(problem: "Problem", solver: "Solver", options: argparse.Namespace) -> "Association":
    from experiments.association.associate import associate

    return associate(problem, solver, seed=options.seed, progress=not options.quiet)


def _out(options: argparse.Namespace) -> Path:
    # Under a sweep agent every run has the same options but its own numbers.
    run_id = os.environ.get("WANDB_RUN_ID")
    return Path(options.out) / run_id if under_sweep_agent() and run_id else Path(options.out)
