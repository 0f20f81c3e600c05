"""How CPU time and memory of a solve grow with the number of events and of stations.

Each point is solved in a process of its own, so that its peak memory is its own. The problems are those of the known
overthrust model with one table for truth and solver; `python -m experiments.association_growth EVENTS STATIONS SEED`
solves one and prints its figures as JSON.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVENTS_AT_100_STATIONS = (8, 16, 32, 64, 100)
STATIONS_AT_16_EVENTS = (20, 50, 100, 200)
POINTS = tuple(
    dict.fromkeys([*((m, 100) for m in EVENTS_AT_100_STATIONS), *((16, n) for n in STATIONS_AT_16_EVENTS), (100, 200)])
)
"""(events, stations)."""

Point = Mapping[str, float]


def key_of(n_events: int, n_stations: int, seed: int) -> str:
    """Name of a point's result."""
    return f"growth/{n_events}x{n_stations}/seed{seed}"


def measure_here(n_events: int, n_stations: int, seed: int, data_root: Path | None, cache_root: Path) -> Point:
    """Solve one problem in this process.

    Returns:
        `accuracy`, `cpu_s`, `table_bytes`, `memory_before_bytes` and `peak_memory_bytes` of the process.
    """
    from callbacks.stage_resources import peak_memory_bytes
    from datamodules.simulate.arrivals import random_stations
    from experiments.association_benchmark_rows import Bench
    from experiments.association_trials import Setting, judged, point_times, solved, trial_of

    bench = Bench(data_root, cache_root, Path())
    stations_km = random_stations(n_stations, seed)
    table = bench.table(stations_km)
    # Compiled functions are loaded by a small problem first.
    few = trial_of(Setting(n_events=2), seed, point_times(table), stations_km, table)
    solved(few, "gauss_newton", seed)
    trial = trial_of(Setting(n_events=n_events), seed, point_times(table), stations_km, table)
    before = peak_memory_bytes()
    found = judged(trial, solved(trial, "gauss_newton", seed))
    return {
        "n_events": n_events,
        "n_stations": n_stations,
        "accuracy": found["accuracy"],
        "cpu_s": found["cpu_s"],
        "confusion_factor": trial.confusion_factor,
        "table_bytes": 4.0 * n_stations * bench.model.wave_speed_km_s.size,
        "memory_before_bytes": float(before),
        "peak_memory_bytes": float(peak_memory_bytes()),
    }


def measure(n_events: int, n_stations: int, seed: int, data_root: Path | None, cache_root: Path) -> Point:
    """`measure_here` in a new process."""
    command = [sys.executable, "-m", "experiments.association_growth", str(n_events), str(n_stations), str(seed)]
    command += [str(cache_root), *([str(data_root)] if data_root else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    found: Point = json.loads(done.stdout.splitlines()[-1])
    return found


def growth_figure(points: Sequence[Point]) -> "Figure":
    """CPU seconds and memory against events (left) and stations (right)."""
    from callbacks.figures import new_figure

    figure = new_figure(9.0, 3.6)
    axes = figure.subplots(1, 2)
    for panel, fixed, along, at in zip(
        axes, ("n_stations", "n_events"), ("n_events", "n_stations"), (100, 16), strict=True
    ):
        mine = [point for point in points if point[fixed] == at]
        values = sorted({point[along] for point in mine})

        def mean(name: str, mine: list[Point] = mine, along: str = along, values: Any = values) -> list[float]:
            groups = [[point[name] for point in mine if point[along] == value] for value in values]
            return [sum(group) / len(group) for group in groups]

        panel.plot(values, mean("cpu_s"), "o-", color="C0", label="CPU-s a solve")
        for value, seconds, accuracy in zip(values, mean("cpu_s"), mean("accuracy"), strict=True):
            panel.annotate(
                f"ACC {accuracy:.3f}", (value, seconds), fontsize=6, xytext=(3, 5), textcoords="offset points"
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(values, [f"{value:g}" for value in values])
        panel.minorticks_off()
        panel.set_xlabel(f"{along[2:]} ({at} {fixed[2:]})", fontsize=8)
        panel.set_ylabel("CPU-s, one thread", fontsize=8, color="C0")
        memory = panel.twinx()
        grown = [b - a for a, b in zip(mean("memory_before_bytes"), mean("peak_memory_bytes"), strict=True)]
        memory.plot(values, [byte / 2**20 for byte in mean("peak_memory_bytes")], "s--", color="C1")
        memory.plot(values, [byte / 2**20 for byte in grown], "^:", color="C2")
        memory.set_ylabel("MiB: peak of the process (squares), added by the solve (triangles)", fontsize=6, color="C1")
        for each in (panel, memory):
            each.tick_params(labelsize=7)
    figure.suptitle("Growth of a Gauss-Newton solve, known overthrust, one table", fontsize=10)
    return figure


def main(arguments: Sequence[str]) -> int:
    """Solve one problem and print its figures."""
    import torch

    torch.set_num_threads(1)
    n_events, n_stations, seed = map(int, arguments[:3])
    data_root = Path(arguments[4]) if len(arguments) > 4 else None
    print(json.dumps(measure_here(n_events, n_stations, seed, data_root, Path(arguments[3]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
