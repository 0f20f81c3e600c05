"""Runs an associator in a process of its own and measures it.

Every tool gets the same request and gives the same answer, as `.npz` files. Request: `stations_km (station, 3)`, `pick_
station`, `pick_phase` (0 P, 1 S), `pick_time_s`, `pick_score`, `bounds_km (2, 3)`, the 1-D model `depth_km, vp_km_s,
vs_km_s`, and `settings`, JSON of the tool's own. Answer: `positions_km`, `times_s`, `event_of_pick` (-1: none),
`residuals_s` as the tool tells them (NaN where it does not), `cpu_s` of the association alone, `version`.

An answer is kept, and used again for the same request; so is that a tool was stopped, unless it is given more.
"""

import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.catalogue_comparison.measured_process import Measured, measure
from experiments.errors import SettingsError
from experiments.run_folder import read_json, write_bytes, write_json

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Request:
    """Picks to be associated.

    Args:
        stations_km: `(station, 3)`, z down.
        station: `(pick,)` int.
        phase: `(pick,)` int, 0 P, 1 S.
        time_s: `(pick,)`, in order.
        score: `(pick,)`, of the picker.
        bounds_km: `(2, 3)`, where events may be.
        depth_km: `(node,)`, of the 1-D model.
        vp_km_s: `(node,)`.
        vs_km_s: `(node,)`.
    """

    stations_km: np.ndarray
    station: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray
    score: np.ndarray
    bounds_km: np.ndarray
    depth_km: np.ndarray
    vp_km_s: np.ndarray
    vs_km_s: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """What stands in the file."""
        names = {"station": "pick_station", "phase": "pick_phase", "time_s": "pick_time_s", "score": "pick_score"}
        return {names.get(name, name): value for name, value in vars(self).items()}

    def shuffled(self, seed: int) -> "Request":
        """The same picks, with the names of the stations that have picks exchanged at random: no event is true."""
        heard = np.unique(self.station)
        other = np.arange(len(self.stations_km))
        other[heard] = np.random.default_rng(seed).permutation(heard)
        return replace(self, station=other[self.station])


@dataclass(frozen=True)
class Tool:
    """An associator.

    Args:
        name: Its name.
        python: The interpreter of its environment.
        adapter: The file that runs it.
        settings: Its own.
    """

    name: str
    python: Path
    adapter: Path
    settings: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a tool found, and what it took.

    Args:
        tool: Its name.
        version: Its version.
        positions_km: `(event, 3)`.
        times_s: `(event,)`.
        event_of_pick: `(pick,)` int, -1 for none.
        residuals_s: `(pick,)`, as it tells them; NaN where it does not.
        cpu_s: Of the association.
        process_cpu_s: Of the whole process, imports and travel times included.
        peak_mb: Largest resident set.
    """

    tool: str
    version: str
    positions_km: np.ndarray
    times_s: np.ndarray
    event_of_pick: np.ndarray
    residuals_s: np.ndarray
    cpu_s: float
    process_cpu_s: float
    peak_mb: float


def tools(pyocto: Path | None, gamma: Path | None, min_picks: int, request: Request) -> list[Tool]:
    """Ours and those whose environments are given, with the settings that their documentation advises.

    PyOcto (docs, "How to set the parameters"): a 1-D model; `time_before` about the longest S travel time; all else as
    its defaults are, but the picks an event must have. GaMMA (its README): BGMM, the 1-D model by its eikonal solver,
    DBSCAN's radius by its own `estimate_eps`, five times as many components as events.

    Args:
        pyocto: Python of PyOcto's environment; None to leave it out.
        gamma: Python of GaMMA's.
        min_picks: Picks an event must have, for all of them.
        request: What they will be asked, for the longest S travel time.

    Raises:
        SettingsError: When there is no such python.
    """
    extent_km = np.linalg.norm(request.bounds_km[1] - request.bounds_km[0])
    longest_s = float(np.ceil(0.5 * extent_km / request.vs_km_s.min()))
    few = min(3, min_picks // 3)
    found = [Tool("ours", Path(sys.executable), _HERE / "our_adapter.py", {"min_picks": min_picks})]
    if pyocto is not None:
        settings = {"delta_km": 0.5, "tolerance": 1.5, "pick_match_tolerance": 1.5, "time_before": longest_s,
                    "n_picks": min_picks, "n_p_picks": few, "n_s_picks": few, "n_p_and_s_picks": few}  # fmt: skip
        found.append(Tool("PyOcto", pyocto, _HERE / "pyocto_adapter.py", settings))
    if gamma is not None:
        settings = {"p_velocity": 6.0, "s_velocity": 3.4, "oversample_factor": 5, "dbscan_min_samples": 3,
                    "min_picks_per_eq": min_picks, "max_sigma11": 2.0, "eikonal_h_km": 1.0}  # fmt: skip
        found.append(Tool("GaMMA", gamma, _HERE / "gamma_adapter.py", settings))
    for tool in found:
        if not tool.python.exists():
            raise SettingsError(f"{tool.name}: there is no python at {tool.python}; give that of its environment.")
    return found


class StoppedError(SettingsError):
    """A tool was given so much time, and took it."""


def _stopped(tool: Tool, after: str) -> StoppedError:
    return StoppedError(f"{tool.name} was stopped after {after}; give it more, or smaller catalogues.")


def run(
    tool: Tool, request: Request, folder: Path, timeout_s: float = 7200.0, limit_cpu_s: float | None = None
) -> Answer:
    """Run a tool, or take its answer to the same request from the folder.

    Args:
        tool: The tool.
        request: What it is asked.
        folder: Where answers are kept.
        timeout_s: On the clock of the wall.
        limit_cpu_s: CPU seconds of the whole process, which do not depend on what else the machine does; None for any.

    Raises:
        StoppedError: When it takes more than it was given.
        SettingsError: When it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(tool, request)
    kept = folder / f"{tool.name.lower()}-{key}.npz"
    gave_up = kept.with_suffix(".stopped.json")
    if not kept.exists():
        before_s = (read_json(gave_up) or {}).get("limit_cpu_s", 0.0)
        if limit_cpu_s is not None and limit_cpu_s <= before_s:
            raise _stopped(tool, f"{before_s:g} CPU-s")
        with tempfile.TemporaryDirectory() as scratch:
            asked, answered = Path(scratch) / "request.npz", Path(scratch) / "answer.npz"
            np.savez(asked, **request.arrays(), settings=json.dumps(tool.settings))  # type: ignore[arg-type]
            try:
                measured = _answered(tool, asked, answered, timeout_s, limit_cpu_s)
            except StoppedError:
                if limit_cpu_s is not None:
                    write_json(gave_up, {"limit_cpu_s": limit_cpu_s})
                raise
            answer = dict(np.load(answered))
            np.savez(asked, **answer, process_cpu_s=measured.cpu_s, peak_mb=measured.peak_mb)
            write_bytes(kept, asked.read_bytes())
    content = np.load(kept)
    names = ("positions_km", "times_s", "event_of_pick", "residuals_s")
    numbers = ("cpu_s", "process_cpu_s", "peak_mb")
    return Answer(tool.name, str(content["version"]), *(content[name] for name in names),
                  *(float(content[name]) for name in numbers))  # fmt: skip


def _key(tool: Tool, request: Request) -> str:
    digest = hashlib.sha256(json.dumps(tool.settings, sort_keys=True).encode() + tool.adapter.read_bytes())
    if tool.name == "ours":  # of this code, as it stands
        for path in sorted((_HERE.parent / "association" / "stream").glob("*.py")):
            digest.update(path.read_bytes())
    for name, values in sorted(request.arrays().items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _answered(tool: Tool, asked: Path, answered: Path, timeout_s: float, limit_cpu_s: float | None) -> Measured:
    root = {"PYTHONPATH": str(_HERE.parents[1])} if tool.name == "ours" else {}
    command = [str(tool.python), "-W", "ignore", str(tool.adapter), str(asked), str(answered)]
    measured = measure(command, root, timeout_s, limit_cpu_s)
    if measured.stopped:
        raise _stopped(tool, measured.stopped)
    if measured.status or not answered.exists():
        why = measured.said[-1][:200] if measured.said else "no word"
        raise SettingsError(f"{tool.name} failed ({why}); mend its environment or leave it out.")
    return measured
