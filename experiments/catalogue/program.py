"""The program behind `make associate`: read, associate window by window, filter, write, report.

Input is read and checked before anything is computed. Results are made beside `--out` and renamed, so that they are
whole or not there; what the association has done is kept beside as well, and an interrupted run goes on from there.
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.out_folder import OutFolder
from experiments.association.files.pick_stream import PickStream, utc_start
from experiments.association.files.stations import StationTable, read_stations
from experiments.association.sources import Source, read_source
from experiments.catalogue import options as command_line
from experiments.catalogue.reference import Reference, read_reference
from experiments.terminal import calm_progress, exit_status

_FEWEST_STATIONS = 3


@dataclass(frozen=True)
class Inputs:
    """What was read, before anything is computed.

    Args:
        stations: The stations.
        stream: The picks.
        source: What is known of travel times.
        reference: A catalogue to compare with; None without.
        start: What 0 s on the picks' clock stands for, UTC.
    """

    stations: StationTable
    stream: PickStream
    source: Source
    reference: Reference | None
    start: datetime

    @property
    def has_s(self) -> bool:
        """Whether there are S picks."""
        return bool(self.stream.facts.counts[:, 1].any())

    @property
    def heard(self) -> np.ndarray:
        """`(station,)` bool, those with picks."""
        return np.asarray(self.stream.facts.counts.sum(axis=1) > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; a user's mistake is one sentence on stderr.

    Returns:
        Exit status: 0 for results, 2 for a mistake in options or files, 130 when interrupted.
    """
    calm_progress()

    def work() -> None:
        options = command_line.parse(arguments)
        run(options, read_inputs(options))

    return exit_status(work, "the same command goes on from here.")


def read_inputs(options: argparse.Namespace) -> Inputs:
    """Read and check all that is given.

    Raises:
        DataError: When something in a file is wrong.
        SettingsError: When an option does not fit the files.
    """
    centre = tuple(options.centre) if options.centre else None
    stations = read_stations(options.stations, options.station_columns, centre, recognise=True)
    stream = PickStream(options.picks, stations.ids, options.pick_columns, options.skip_unknown_stations)
    heard = stream.facts.counts.sum(axis=1) > 0
    if heard.sum() < _FEWEST_STATIONS:
        raise DataError(
            f"{options.picks}: there are picks of {int(heard.sum())} of the {len(heard)} stations; at least "
            f"{_FEWEST_STATIONS} are wanted, better eight, to tell where an event was."
        )
    if options.speeds.bounds_km is None and options.speeds.source in ("velocity_1d", "p_speed_km_s"):
        options.speeds.bounds_km = command_line.default_bounds_km(stations, heard)
    source = read_source(options.speeds, stations, bool(stream.facts.counts[:, 1].any()))
    start = utc_start(stream.facts.clock)
    reference = read_reference(options.reference, start, stations.projection) if options.reference else None
    return Inputs(stations, stream, source, reference, start)


def run(options: argparse.Namespace, inputs: Inputs) -> None:
    """Associate and write.

    Raises:
        SettingsError, DataError, ModuleError: For a mistake of the user.
    """
    folder = OutFolder(options.out, command_line.input_files(options))
    checkpoint = folder.path.with_name(f".{folder.path.name}.checkpoint")
    if options.fresh:
        shutil.rmtree(checkpoint, ignore_errors=True)

    import torch

    from experiments.catalogue import outputs
    from experiments.catalogue.run import associate_and_filter

    torch.set_num_threads(1)  # small arrays: more threads only wait for one another
    with folder as staging:
        wandb_run = outputs.start_wandb(staging, options)
        try:
            wall = time.perf_counter()
            result = associate_and_filter(options, inputs, staging / "picks.store", checkpoint)
            outputs.write(staging, options, inputs, result, time.perf_counter() - wall)
            outputs.log_to_wandb(wandb_run, staging)
            shutil.rmtree(staging / "picks.store")
        finally:
            if wandb_run is not None:
                wandb_run.finish()
        folder.finish()
    shutil.rmtree(checkpoint, ignore_errors=True)
    if not options.quiet:
        outputs.print_results(folder.path)
