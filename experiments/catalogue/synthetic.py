"""A synthetic catalogue as files, with the truth beside: a day of picks, or any other duration and rate.

python -m experiments.catalogue.synthetic folder --events 5000 --duration_s 86400

The model written is a profile over depth; the medium that the picks come from deviates from it in three dimensions.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datamodules.errors import DataError
from experiments.association.geography import LocalProjection
from experiments.errors import SettingsError

if TYPE_CHECKING:
    from datamodules.simulate.catalogues import CatalogueSimulation, SimulatedCatalogue

CENTRE = (42.8, 13.1)  # latitude and longitude, in the Apennines
START = datetime(2026, 1, 1, tzinfo=UTC)


def write_catalogue(folder: Path, simulation: "CatalogueSimulation", workers: int = 1) -> "SimulatedCatalogue":
    """Write `stations.csv`, `picks.csv` (with `true_event_index`), `velocity_1d.csv` and `true_events.csv`.

    Args:
        folder: Where; made where it does not exist.
        simulation: What is wanted.
        workers: Threads for travel times.

    Raises:
        SettingsError: If the folder cannot be made.
    """
    from datamodules.simulate.catalogues import PROFILE, simulate_catalogue

    simulated = simulate_catalogue(simulation, workers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be made ({error.strerror}); name a folder to write to.") from error
    projection = LocalProjection(*CENTRE)
    names = [f"SY.S{number:03d}" for number in range(simulation.n_stations)]
    stations = simulated.stations_km
    latitude, longitude = projection.to_degrees(stations[:, 0], stations[:, 1])
    _write(folder / "stations.csv", "station_id,latitude,longitude,elevation_m",
           ((names[i], f"{latitude[i]:.6f}", f"{longitude[i]:.6f}", f"{-1000 * stations[i, 2]:.0f}")
            for i in range(len(names))))  # fmt: skip
    _write(folder / "picks.csv", "station_id,phase_time,phase_type,phase_score,true_event_index",
           ((names[station], iso(time), "PS"[phase], f"{score:.3f}", event) for station, phase, time, score, event in
            zip(simulated.station.tolist(), simulated.phase.tolist(), simulated.time_s.tolist(),
                simulated.score.tolist(), simulated.event.tolist(), strict=True)))  # fmt: skip
    _write(folder / "velocity_1d.csv", "depth_km,vp_km_s,vs_km_s", PROFILE)
    places = simulated.event_positions_km
    latitude, longitude = projection.to_degrees(places[:, 0], places[:, 1])
    n_picks = np.bincount(simulated.event[simulated.event >= 0], minlength=len(places))
    _write(folder / "true_events.csv", "event_index,time,latitude,longitude,depth_km,magnitude,n_picks",
           ((i, iso(simulated.event_times_s[i]), f"{latitude[i]:.6f}", f"{longitude[i]:.6f}", f"{places[i, 2]:.3f}",
             f"{simulated.magnitudes[i]:.2f}", int(n_picks[i])) for i in range(len(places))))  # fmt: skip
    return simulated


def iso(time_s: float) -> str:
    """A time of the catalogue, ISO-8601 UTC."""
    return (START + timedelta(seconds=float(time_s))).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
    beside.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.catalogue.synthetic", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--duration_s", type=float, default=86_400.0)
    parser.add_argument("--stations", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    # Imported here, so that --help does not wait for numba.
    from datamodules.simulate.catalogues import CatalogueSimulation

    try:
        simulation = CatalogueSimulation(options.events, options.duration_s, options.stations, seed=options.seed)
        simulated = write_catalogue(options.folder, simulation)
    except (SettingsError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {len(simulated.event_times_s):,} synthetic events and {len(simulated.time_s):,} picks "
          f"into {options.folder}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
