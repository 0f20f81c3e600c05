"""PyOcto, run by the python of its own environment (`pip install pyocto==0.2.2 pandas pyrocko`).

python pyocto_adapter.py request.npz answer.npz: see `tools.py` for what stands in both. Nothing of the suite is
imported here. The travel-time table is made by PyOcto's own `create_model`, as its documentation has it, and its time
is not counted.
"""

import json
import resource
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import numpy as np


def main(request_path: str, answer_path: str) -> None:
    """Associate and write the answer."""
    pandas, pyocto = import_module("pandas"), import_module("pyocto")

    request = np.load(request_path)
    settings = json.loads(str(request["settings"]))
    (x0, y0, z0), (x1, y1, z1) = request["bounds_km"].tolist()
    names = [f"ST{number:04d}" for number in range(len(request["stations_km"]))]
    stations = pandas.DataFrame(request["stations_km"], columns=["x", "y", "z"])
    stations["id"] = names
    picks = pandas.DataFrame(
        {
            "station": np.array(names)[request["pick_station"]],
            "phase": np.array(["P", "S"])[request["pick_phase"]],
            "time": request["pick_time_s"],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        diagonal_km = float(np.hypot(x1 - x0, y1 - y0))
        # Its model may not have two nodes at one depth.
        depths, keep = np.unique(request["depth_km"], return_index=True)
        model = pandas.DataFrame({"depth": depths, "vp": request["vp_km_s"][keep], "vs": request["vs_km_s"][keep]})
        pyocto.VelocityModel1D.create_model(model, settings.pop("delta_km"), diagonal_km + 10, z1 + 10, path)
        velocity = pyocto.VelocityModel1D(
            path,
            tolerance=settings.pop("tolerance"),
            association_cutoff_distance=settings.pop("association_cutoff_distance", None),
            surface_p_velocity=float(request["vp_km_s"][0]),
            surface_s_velocity=float(request["vs_km_s"][0]),
        )
        associator = pyocto.OctoAssociator(
            xlim=(x0, x1), ylim=(y0, y1), zlim=(max(z0, 0.0), z1), velocity_model=velocity, n_threads=1, **settings
        )
        wall, cpu = time.perf_counter(), _cpu_s()
        events, assignments = associator.associate(picks, stations)
        wall, cpu = time.perf_counter() - wall, _cpu_s() - cpu

    event = np.full(len(picks), -1)
    residual = np.full(len(picks), np.nan)
    place, times = np.zeros((0, 3)), np.zeros(0)
    if len(events):
        index = {int(name): number for number, name in enumerate(events["idx"])}
        place, times = events[["x", "y", "z"]].to_numpy(float), events["time"].to_numpy(float)
        pick = assignments["pick_idx"].to_numpy(int)
        event[pick] = [index[int(name)] for name in assignments["event_idx"]]
        residual[pick] = assignments["residual"].to_numpy(float)
    np.savez(
        answer_path,
        positions_km=place,
        times_s=times,
        event_of_pick=event,
        residuals_s=residual,
        cpu_s=cpu,
        wall_s=wall,
        version=pyocto.__version__,
    )


def _cpu_s() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
