"""Ours, run as the others are: python our_adapter.py request.npz answer.npz, with the suite's own python.

What is run is what `make associate` runs, its filters included. The travel-time tables are made before and not counted.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from experiments.association.problem import Picks, Stations
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.travel_times.layered import LayeredTravelTimes
from experiments.catalogue.filters import Filters, default_filters
from experiments.catalogue.store import PickStore
from experiments.catalogue.stored import associate_stored

BLOCK = 50_000


def main(request_path: str, answer_path: str) -> None:
    """Associate and write the answer."""
    torch.set_num_threads(1)
    request = np.load(request_path)
    asked = json.loads(str(request["settings"]))
    station, phase, times = request["pick_station"], request["pick_phase"], request["pick_time_s"]
    speeds = {0: request["vp_km_s"], 1: request["vs_km_s"]}
    travel = LayeredTravelTimes(request["stations_km"], request["depth_km"], speeds, request["bounds_km"], error_s=0.01)
    stations = Stations(tuple(str(n) for n in range(len(request["stations_km"]))), request["stations_km"])
    blocks = (
        Picks(station[low : low + BLOCK], phase[low : low + BLOCK], times[low : low + BLOCK])
        for low in range(0, len(times), BLOCK)
    )
    filters: Filters = default_filters(len(np.unique(station)), bool((phase == 1).any()))
    least = asked["min_picks"]
    filters = Filters(**{**vars(filters), "min_picks": least})
    settings = CatalogueSettings(least_picks=max(5, least), **asked.get("association", {}))
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        found = associate_stored(blocks, stations, travel, settings, filters, PickStore(Path(folder)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        event, residual = np.array(found.store.column("event")), np.array(found.store.column("residual_s"))
    np.savez(
        answer_path,
        positions_km=found.events.positions_km,
        times_s=found.events.times_s,
        event_of_pick=event,
        residuals_s=np.where(event >= 0, residual, np.nan),
        cpu_s=cpu,
        wall_s=wall,
        version=version("seismic-lightning"),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
