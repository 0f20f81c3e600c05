"""GaMMA, run by the python of its own environment (`pip install GMMA pandas`).

python gamma_adapter.py request.npz answer.npz: see `tools.py` for what stands in both. Nothing of the suite is imported
here. GaMMA tells no residuals; those it is judged by are computed from its hypocentres.
"""

import json
import resource
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np


def main(request_path: str, answer_path: str) -> None:
    """Associate and write the answer."""
    pandas, gamma = import_module("pandas"), import_module("gamma.utils")

    request = np.load(request_path)
    settings = json.loads(str(request["settings"]))
    (x0, y0, _), (x1, y1, z1) = request["bounds_km"].tolist()
    names = [f"ST{number:04d}" for number in range(len(request["stations_km"]))]
    stations = pandas.DataFrame(request["stations_km"], columns=["x(km)", "y(km)", "z(km)"])
    stations["id"] = names
    picks = pandas.DataFrame(
        {
            "id": np.array(names)[request["pick_station"]],
            "type": np.array(["p", "s"])[request["pick_phase"]],
            "timestamp": pandas.to_datetime(request["pick_time_s"], unit="s"),
            "prob": request["pick_score"],
        }
    )
    speeds = {"p": settings.pop("p_velocity"), "s": settings.pop("s_velocity")}
    config: dict[str, Any] = {
        "dims": ["x(km)", "y(km)", "z(km)"],
        "x(km)": (x0, x1),
        "y(km)": (y0, y1),
        "z(km)": (0.0, z1),
        "use_dbscan": True,
        "use_amplitude": False,
        "vel": speeds,
        "dbscan_eps": float(gamma.estimate_eps(stations, speeds["p"])),
        "bfgs_bounds": ((x0 - 1, x1 + 1), (y0 - 1, y1 + 1), (0.0, z1 + 1), (None, None)),
        "ncpu": 1,
    }
    spacing_km = settings.pop("eikonal_h_km", None)
    if spacing_km:
        depths, keep = np.unique(request["depth_km"], return_index=True)
        config["eikonal"] = {
            "vel": {
                "z": depths.tolist(),
                "p": request["vp_km_s"][keep].tolist(),
                "s": request["vs_km_s"][keep].tolist(),
            },
            "h": spacing_km,
            "xlim": [x0, x1],
            "ylim": [y0, y1],
            "zlim": [0.0, z1],
        }
    method = settings.pop("method", "BGMM")
    config.update(settings)
    wall, cpu = time.perf_counter(), _cpu_s()
    found, assigned = gamma.association(picks, stations, config, 0, method)
    wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu

    index = {entry["event_index"]: number for number, entry in enumerate(found)}
    place = np.array([[entry[name] for name in config["dims"]] for entry in found], float).reshape(-1, 3)
    times = np.array([datetime.fromisoformat(entry["time"]).replace(tzinfo=UTC).timestamp() for entry in found], float)
    event = np.full(len(picks), -1)
    for pick, name, _ in assigned:
        event[pick] = index[name]
    np.savez(
        answer_path,
        positions_km=place,
        times_s=times,
        event_of_pick=event,
        residuals_s=np.full(len(picks), np.nan),
        cpu_s=cpu,
        wall_s=wall,
        version=version("GMMA"),
    )


def _cpu_s() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
