"""Files of a small simulated earth, with the truth beside them."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

START = datetime(2026, 1, 1, 23, 59, 58, 500_000)
SPEED_KM_S, VP_VS = 6.0, 1.73
BOUNDS = ["--bounds_km", "0", "60", "0", "60", "0", "30"]

_RNG = np.random.default_rng(7)
STATIONS_KM = np.c_[_RNG.uniform(0, 60, (10, 2)), np.zeros(10)]
EVENTS_KM = np.c_[_RNG.uniform(5, 55, (3, 2)), _RNG.uniform(5, 25, 3)]
ORIGIN_TIMES_S = np.array([0.25, 1.5, 2.0])


class Case(NamedTuple):
    """Files of a simulated problem, and its truth in order of time and of picks."""

    arguments: list[str]
    out: Path
    positions_km: np.ndarray
    times_s: np.ndarray
    event_of_pick: np.ndarray


def case_of(folder: Path, iso=False, geographic=None, s_waves=True, shape=lambda rows: rows) -> Case:
    folder.mkdir(parents=True, exist_ok=True)
    stations, events, origin = STATIONS_KM, EVENTS_KM, ORIGIN_TIMES_S
    distance = np.linalg.norm(events[:, None] - stations[None], axis=-1)
    rows = [
        (origin[i] + distance[i, j] / SPEED_KM_S * (VP_VS if phase == "S" else 1), f"XX.{j:02d}", phase, i)
        for phase in ("P", "S")[: 1 + s_waves]
        for i in range(len(events))
        for j in range(len(stations))
    ]
    rows = shape(sorted(rows))
    with (folder / "picks.csv").open("w") as file:
        file.write("note,station_id,phase_time,phase_type,phase_score\n")
        for time, station, phase, event in rows:
            text = f"{(START + timedelta(seconds=time)).isoformat()}Z" if iso else f"{time:.9f}"
            file.write(f'"event {event}, true",{station},{text},{phase},0.5\n')
    with (folder / "stations.csv").open("w") as file:
        if geographic:
            latitude, longitude = geographic.to_degrees(stations[:, 0], stations[:, 1])
            file.write("station_id,latitude,longitude,elevation_m\n")
            for j, station in enumerate(stations):
                file.write(f"XX.{j:02d},{latitude[j]:.8f},{longitude[j]:.8f},{-1000 * station[2]}\n")
        else:
            file.write("station_id,x_km,y_km,z_km\n")
            for j, station in enumerate(stations):
                file.write(f"XX.{j:02d},{','.join(map(str, station))}\n")
    out = folder / "out"
    arguments = ["--picks", str(folder / "picks.csv"), "--stations", str(folder / "stations.csv"), "--out", str(out)]
    arguments += ["--cache_root", str(folder / "cache"), "--workers", "1"]
    return Case(arguments, out, events, origin, np.array([row[3] for row in rows]))


class Family:
    """A homogeneous earth of unknown speed, 4 to 8 km/s, as a trained field would offer it."""

    n_latent, rmse_s = 1, 0.01

    def __init__(self, stations_km):
        self.station_positions_km = torch.as_tensor(stations_km)
        self.bounds_km = torch.tensor([[0.0, 0.0, 0.0], [60.0, 60.0, 60.0]], dtype=torch.float64)
        self.latent_bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64)

    def eval(self):
        return self

    def requires_grad_(self, _):
        return self

    def wave_speed(self, latent):
        return (4 + 4 * latent[..., :1, None, None]).expand(7, 7, 7).clone()
