"""The comparison: a real day against a reference and with shuffled station names, synthetic catalogues at rising rates.

python -m experiments.catalogue_comparison real --picks ... --stations ... --velocity model.csv --reference ...
python -m experiments.catalogue_comparison synthetic --per_minute 1 6 30 --events 300 --days 500 5000
python -m experiments.catalogue_comparison growth --days 1 10 100

PyOcto and GaMMA run where `--pyocto` and `--gamma` name the python of their environments. Tables are written as
Markdown and JSON, and scores over the rate and growth over the days as pictures. A tool that takes more than
`--limit_cpu_s` is stopped, and the table says so.
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

from experiments.terminal import calm_progress, exit_status


def parser() -> argparse.ArgumentParser:
    """All options."""
    top = argparse.ArgumentParser(prog="python -m experiments.catalogue_comparison", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    real = commands.add_parser("real", help="a file of picks against a reference, and with shuffled station names")
    for name in ("picks", "stations", "velocity", "reference"):
        real.add_argument(f"--{name}", type=Path, required=True, metavar="CSV")
    real.add_argument("--hours", type=float, nargs=2, default=(0.0, 1e9), metavar=("FROM", "TO"), help="of the file")
    real.add_argument("--shuffles", type=int, default=1, metavar="N", help="runs with shuffled station names (1)")
    synthetic = commands.add_parser("synthetic", help="catalogues with truth at rising rates")
    synthetic.add_argument("--per_minute", type=float, nargs="+", default=(1, 3, 6, 12, 30, 60, 120), metavar="RATE")
    synthetic.add_argument("--events", type=int, default=300, metavar="N")
    synthetic.add_argument("--seed", type=int, default=0)
    synthetic.add_argument("--days", type=int, nargs="*", default=(), metavar="N", help="days with so many events, too")
    for command in (real, synthetic):
        command.add_argument("--pyocto", type=Path, metavar="PYTHON", help="of an environment with pyocto and pyrocko")
        command.add_argument("--gamma", type=Path, metavar="PYTHON", help="of an environment with GMMA and pandas")
        command.add_argument("--min_picks", type=int, default=8, metavar="N", help="of an event, for all tools (8)")
        command.add_argument("--timeout_s", type=float, default=7200.0, metavar="S", help="of one run of one tool")
        command.add_argument("--limit_cpu_s", type=float, metavar="S", help="CPU seconds of one run of one tool")
    days = commands.add_parser("growth", help="CPU and memory of `make associate` over synthetic days")
    days.add_argument("--days", type=int, nargs="+", default=(1, 10, 100), metavar="N")
    days.add_argument("--events_per_day", type=int, default=100, metavar="N")
    days.add_argument("--seed", type=int, default=0)
    for command in (real, synthetic, days):
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        Exit status.
    """
    calm_progress()

    def work() -> None:
        options = parser().parse_args(arguments)
        options.out.mkdir(parents=True, exist_ok=True)
        # Imported here, so that --help does not wait for torch.
        module = {"real": "against_reference", "synthetic": "rising_rates", "growth": "growth"}[options.command]
        importlib.import_module(f"experiments.catalogue_comparison.{module}").run_command(options)

    return exit_status(work, "answers so far are kept; the same command goes on from there.")
