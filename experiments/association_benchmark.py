"""`make bench-association`: how good and how fast the association runner is, on one thread, over fixed seeds.

python -m experiments.association_benchmark [--data_root DIR] [--only known noise psgld/8x20] [--seeds 0-19]

Prints a table and writes it, with every single solve, as JSON, and the growth with events and stations as a picture.
Called again it goes on where it was stopped; what other sources computed is computed anew. CPU seconds are process
time of one solve, after tables and compiled functions are loaded.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.errors import SettingsError
from experiments.settings import nearest
from experiments.terminal import calm_progress

GROWTH, CHAINS = "growth", "psgld/one_after_another"


def seeds_of(text: str) -> list[int]:
    """`0-19` or `0,3,5` as numbers.

    Raises:
        SettingsError: If it is neither.
    """
    try:
        if "-" in text:
            first, last = map(int, text.split("-"))
            return list(range(first, last + 1))
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds {text}: wanted numbers such as 0-19 or 0,3,5.") from None


def chosen_rows(only: Sequence[str] | None, names: Sequence[str]) -> list[str]:
    """Rows whose names are, or begin with, one of those wanted.

    Raises:
        SettingsError: If one of those wanted is the beginning of no row.
    """
    if not only:
        return list(names)
    for wanted in only:
        if not any(name.startswith(wanted) for name in names):
            raise SettingsError(f"--only {wanted}: there is no such row; {nearest(wanted, names)}")
    return [name for name in names if name.startswith(tuple(only))]


def line(name: str, found: dict[str, float], goal: str, met: bool | None) -> str:
    """One line of the printed table."""

    def cell(key: str, form: str) -> str:
        return format(found[key], form) if key in found else ""

    verdict = "" if met is None else "yes" if met else "NO"
    return (
        f"{name:24} {cell('accuracy', '.3f'):>6} {cell('accuracy_min', '.3f'):>6} {cell('oracle_accuracy', '.3f'):>6} "
        f"{cell('confusion_factor', '.2f'):>5} {cell('e_l_s', '.3f'):>6} {cell('location_error_km', '.2f'):>6} "
        f"{cell('wave_speed_rmse_km_s', '.2f'):>6} {cell('cpu_s', '.2f'):>8} {verdict:>4}  {goal}"
    )


HEADER = (
    f"{'':24} {'ACC':>6} {'least':>6} {'oracle':>6} {'CF':>5} {'e_l s':>6} {'loc km':>6} {'c km/s':>6} {'CPU-s':>8} "
    f"{'met':>4}  goal"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.association_benchmark",
        description="Accuracy and CPU time of the association runner, on one thread, over fixed seeds.",
    )
    made.add_argument("--only", nargs="+", metavar="ROW", help="rows, or beginnings of their names (default: all)")
    made.add_argument("--seeds", default="0-19", help="such as 0-19 or 0,3,5 (default: 0-19)")
    made.add_argument("--data_root", type=Path, help="folder with overthrust_32.npy; without it, a stand-in")
    made.add_argument("--cache_root", type=Path, default=Path("cache"), help="for travel times (default: cache)")
    made.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    made.add_argument("--out", type=Path, help="folder of the results (default: <run_root>/association_benchmark)")
    made.add_argument("--list", action="store_true", help="list the rows and stop")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; the exit code."""
    options = parser().parse_args(arguments)
    calm_progress()
    from datamodules.errors import DataError
    from lightning_modules.errors import ModuleError

    try:
        return _run(options)
    except (SettingsError, DataError, ModuleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; call again to go on.", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    from experiments.association_benchmark_rows import ROWS

    rows = {row.name: row for row in ROWS}
    names = [*rows, CHAINS, GROWTH]
    if options.list:
        for name in names:
            print(f"{name:24} {rows[name].says if name in rows else ''}")
        return 0
    names, seeds = chosen_rows(options.only, names), seeds_of(options.seeds)
    out: Path = options.out or options.run_root / "association_benchmark"
    from experiments.association_benchmark_run import BenchmarkRun

    run = BenchmarkRun(options.data_root, options.cache_root, options.run_root, out, seeds)
    print(HEADER, flush=True)
    table: dict[str, dict[str, Any]] = {}
    for name in names:
        if name == GROWTH:
            table[name] = run.growth()
        elif name == CHAINS:
            table[name] = run.one_chain_after_another()
        else:
            found, met = run.row(rows[name])
            table[name] = {"means": found, "goal": rows[name].goal, "met": met, "paper": rows[name].paper}
            print(line(name, found, rows[name].goal, met), flush=True)
    run.write(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
