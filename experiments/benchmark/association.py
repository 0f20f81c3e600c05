"""The association solvers on the same problems. Accuracy over many seeds is `make bench-association`."""

from collections.abc import Sequence
from pathlib import Path

from experiments.benchmark.timing import Section, Timing

SOLVERS = {"gauss_newton": "known/8x20", "psgld": "psgld/8x20"}
"""Solver -> row of `experiments.association_benchmark_rows`."""


def measure(seeds: Sequence[int], data_root: Path | None, cache_root: Path) -> Section:
    """Known speed, 8 events, 20 stations, one table for truth and solver."""
    from experiments.association_benchmark_rows import ROWS, Bench

    bench, timings = Bench(data_root, cache_root, cache_root), []
    for solver, name in SOLVERS.items():
        row = next(row for row in ROWS if row.name == name)
        row.measure(bench, len(seeds))  # compiled functions and tables are loaded
        found = [row.measure(bench, seed) for seed in seeds]
        accuracy = sum(each["accuracy"] for each in found) / len(found)
        seconds = [each["cpu_s"] for each in found]
        timings.append(Timing.of(f"association, {solver}, a solve", seconds, f"8 x 20, ACC {accuracy:.3f}"))
    return Section(timings, {"association, psgld / gauss_newton": timings[1].median_s / timings[0].median_s})
