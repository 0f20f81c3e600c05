"""A synthetic network with a minute of picks, as files to try the runner on, with the truth beside.

python -m experiments.association.example example

Twelve events within 40 s at 24 stations, P and S in a medium that changes with depth only. Of the picks 15 % are
missing, a tenth are spurious, and all have an error of .05 s. Everything follows from the seed.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from experiments.association.geography import LocalProjection
from experiments.errors import SettingsError
from experiments.run_folder import write_text

CENTRE = (42.8, 13.1)  # latitude and longitude, in the Apennines
START = datetime(2026, 1, 1, 23, 59, 30)
MODEL = ((0.0, 5.0, 2.9), (8.0, 6.0, 3.45), (20.0, 6.6, 3.8), (40.0, 7.4, 4.25))  # depth km, P and S speed km/s
BOUNDS_KM = np.array([[-45.0, -45.0, 0.0], [45.0, 45.0, 20.0]])
PICK_NOISE_S, P_MISSING, SPURIOUS_PER_CHANNEL = 0.05, 0.15, 1.1


def write_example(folder: Path, seed: int = 0, n_events: int = 12, n_stations: int = 24) -> None:
    """Write `stations.csv`, `picks.csv`, `velocity_1d.csv` and `true_events.csv`.

    Args:
        folder: Where; made where it does not exist.
        seed: Decides everything.
        n_events: Events, uniform in the volume and in 40 s.
        n_stations: Stations, uniform in the area, up to 2 km high.

    Raises:
        SettingsError: If the folder cannot be made.
    """
    import torch

    from experiments.association.travel_times.layered import LayeredTravelTimes
    from experiments.association.travel_times.provider import PHASES

    draw = np.random.default_rng(seed)
    stations_km = np.c_[draw.uniform(-40, 40, (n_stations, 2)), -draw.uniform(0, 2, n_stations)]
    events_km = np.c_[draw.uniform(-40, 40, (n_events, 2)), draw.uniform(2, 15, n_events)]
    origins_s = np.sort(draw.uniform(0, 40, n_events))
    depths, *speeds = np.array(MODEL).T
    channels = np.array([(station, phase) for phase in (0, 1) for station in range(n_stations)])
    travel = LayeredTravelTimes(stations_km, depths, dict(enumerate(speeds)), BOUNDS_KM)
    arrivals_s = origins_s[:, None] + travel.times(torch.from_numpy(events_km), channels).numpy()
    picked = [
        (arrivals_s[event, row] + draw.normal(0, PICK_NOISE_S), *channels[row], event)
        for event in range(n_events)
        for row in range(len(channels))
        if draw.random() >= P_MISSING
    ]
    for station, phase in channels:
        picked += [(draw.uniform(0, 60), station, phase, -1) for _ in range(draw.poisson(SPURIOUS_PER_CHANNEL))]

    projection = LocalProjection(*CENTRE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be made ({error.strerror}); name a folder to write to.") from error
    names = [f"SY.{station:02d}" for station in range(n_stations)]
    latitude, longitude = projection.to_degrees(stations_km[:, 0], stations_km[:, 1])
    _write(
        folder / "stations.csv",
        "station_id,latitude,longitude,elevation_m",
        [
            (names[i], f"{latitude[i]:.6f}", f"{longitude[i]:.6f}", f"{-1000 * stations_km[i, 2]:.0f}")
            for i in range(n_stations)
        ],
    )
    _write(
        folder / "picks.csv",
        "station_id,phase_time,phase_type,true_event_index",
        [(names[station], _iso(time), PHASES[phase], event) for time, station, phase, event in sorted(picked)],
    )
    _write(folder / "velocity_1d.csv", "depth_km,vp_km_s,vs_km_s", MODEL)
    latitude, longitude = projection.to_degrees(events_km[:, 0], events_km[:, 1])
    _write(
        folder / "true_events.csv",
        "event_index,time,latitude,longitude,depth_km",
        [
            (i, _iso(origins_s[i]), f"{latitude[i]:.6f}", f"{longitude[i]:.6f}", f"{events_km[i, 2]:.3f}")
            for i in range(n_events)
        ],
    )


def _iso(time_s: float) -> str:
    return (START + timedelta(seconds=float(time_s))).isoformat(timespec="microseconds") + "Z"


def _write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    write_text(path, text.getvalue())


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.association.example", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        write_example(options.folder, options.seed)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote a synthetic network and its picks into {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
