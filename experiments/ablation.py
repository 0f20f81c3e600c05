"""Run a named ablation grid, row by row and seed by seed, and write its table.

python -m experiments.ablation ubdiff --grid freeze --dataset FlatVel-A --preset tiny --seeds 0,1,2 --data_root DIR

Each row is a whole `run` of the experiment in a process and a folder of its own: what is finished is skipped, what was
interrupted goes on, and a row that fails does not stop the others. Dotted options hold for every row.
"""

import argparse
import importlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from experiments.ablation_grid import ALL, GRID_ROOT, Grid, grid_named, read_grids
from experiments.ablation_plan import Options, PlannedRow, check_rows, plan_rows
from experiments.errors import SettingsError
from experiments.experiment import Experiment
from experiments.terminal import EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_USAGE, calm_progress

if TYPE_CHECKING:
    from tqdm import tqdm

EXIT_FAILED_ROW = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a grid's command line; the exit code, and errors in one sentence on standard error."""
    given, dotted = _parser().parse_known_args(arguments)
    calm_progress()
    signal.signal(signal.SIGTERM, _stop)
    from datamodules.errors import DataError

    try:
        experiment = _experiment(given.paper)
        if given.grid is None:
            _list_grids(given.paper)
            return 0
        grid = grid_named(given.paper, given.grid)
        options = Options(
            *(given.dataset, given.preset, given.config, given.data_root, given.cache_root, given.run_root),
            tuple(dotted),
        )
        seeds = _seeds(given.seeds)
        return _run(experiment, grid, options, seeds, table_only=given.table_only, dry_run=given.dry_run)
    except (SettingsError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted; call again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except _TerminatedError:
        print("stopped by SIGTERM; call again to go on.", file=sys.stderr)
        return EXIT_TERMINATED


def _run(
    experiment: Experiment, grid: Grid, options: Options, seeds: Sequence[int], *, table_only: bool, dry_run: bool
) -> int:
    planned = plan_rows(experiment, grid, options)
    possible = [row for row in planned if row.impossible is None]
    runs = [(row, seed) for seed in seeds for row in possible]  # one seed's rows first: an early table has all rows
    if dry_run:
        for row, seed in runs:
            print(shlex.join(row.command(experiment.paper, options, seed)))
        return 0
    for row in planned:
        if row.impossible:
            print(f"ablation: row {row.name} is left out: {row.impossible}", file=sys.stderr)
    from experiments.ablation_table import write_table

    folder = options.run_root / experiment.paper / "ablations" / f"{options.label}-{grid.name}"
    failed: list[str] = []
    if not table_only:
        print(f"ablation: {len(runs)} runs; checking the settings of {len(possible)} rows", file=sys.stderr, flush=True)
        check_rows(experiment, possible, options, seeds[0])
        folder.mkdir(parents=True, exist_ok=True)
        try:
            failed = _run_rows(experiment.paper, runs, options, folder / "logs")
        finally:
            write_table(experiment, grid, planned, options, seeds, folder)
    else:
        write_table(experiment, grid, planned, options, seeds, folder)
    print(f"ablation: the table is {folder / 'table.md'}", file=sys.stderr)
    if failed:
        print(f"ablation: failed: {', '.join(failed)}; the logs are in {folder / 'logs'}", file=sys.stderr)
    return EXIT_FAILED_ROW if failed else 0


def _run_rows(paper: str, runs: Sequence[tuple[PlannedRow, int]], options: Options, logs: Path) -> list[str]:
    """Run them one after the other; names of those that failed."""
    from tqdm import tqdm

    logs.mkdir(parents=True, exist_ok=True)
    failed = []
    with tqdm(runs, unit="run", desc="ablation") as bar:
        for row, seed in bar:
            name = row.run_name(options, seed)
            bar.set_postfix_str(name, sys.stderr.isatty())
            log = logs / f"{name}.log"
            code = _run_one(row.command(paper, options, seed), log, bar, name)
            if code == EXIT_INTERRUPTED:
                raise KeyboardInterrupt
            if code:
                failed.append(name)
                bar.write(f"ablation: {name} failed (exit code {code}): {_last_line(log)}", file=sys.stderr)
    return failed


def _run_one(command: list[str], log: Path, bar: "tqdm[Any]", name: str) -> int:
    """Run one process to its end, its output into the log, its stage into the progress bar."""
    with log.open("w", encoding="utf-8") as file:
        file.write(shlex.join(command) + "\n")
        file.flush()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    file.write(line)
                    file.flush()
                    if ": stage " in line:
                        # In a log file a line a row is enough.
                        bar.set_postfix_str(f"{name}: {line.partition(': stage ')[2].strip()}", sys.stderr.isatty())
            except BaseException as error:
                _end(process, by_keyboard=isinstance(error, KeyboardInterrupt))
                raise
        return process.returncode


def _end(process: "subprocess.Popen[str]", *, by_keyboard: bool) -> None:
    """Let a run stop; it keeps its last epoch and goes on there next time."""
    if by_keyboard:  # a terminal sends Ctrl-C to the run too
        try:
            process.wait(timeout=20)
            return
        except subprocess.TimeoutExpired:
            pass
    process.terminate()
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    return lines[-1]


class _TerminatedError(BaseException):
    """SIGTERM came; as an exception, so that the run that is under way is stopped too."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def _experiment(paper: str) -> Experiment:
    if not (GRID_ROOT / f"{paper}.yaml").exists():
        known = ", ".join(sorted(path.stem for path in GRID_ROOT.glob("*.yaml") if path.stem != "quick"))
        raise SettingsError(f"{paper}: there are no ablations of this name; known are: {known}.")
    found: Experiment = importlib.import_module(f"experiments.{paper}").EXPERIMENT
    return found


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds {text}: wanted whole numbers with commas between, such as 0,1,2.") from None
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise SettingsError(f"--seeds {text}: wanted each seed once and none below 0, such as 0,1,2.")
    return seeds


def _list_grids(paper: str) -> None:
    for name, grid in read_grids(paper).items():
        print(f"{name:12} {grid.question}\n{'':12} rows: {', '.join(row.name for row in grid.rows)}")
    print(f"{ALL:12} all of them")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.ablation",
        description="Run a named grid of ablations and write one table with mean and spread over seeds.",
        epilog="Dotted options, such as --paired.trainer.max_epochs 10, hold for every row.",
        allow_abbrev=False,
    )
    parser.add_argument("paper", help="the experiment, such as ubdiff")
    parser.add_argument("--grid", help="name of the grid, or all; without it the grids are listed")
    parser.add_argument("--dataset", default="FlatVel-A", help="family (default: FlatVel-A)")
    parser.add_argument("--preset", default="tiny", help="preset of every row (default: tiny)")
    parser.add_argument("--config", type=Path, help="a settings file on top of the preset, such as grids/quick.yaml")
    parser.add_argument("--seeds", default="0,1,2", help="seeds with commas between (default: 0,1,2)")
    parser.add_argument("--data_root", help="folder with the data set's files; without it, synthetic data")
    parser.add_argument("--cache_root", default="cache", help="folder for what is made once (default: cache)")
    parser.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    parser.add_argument("--table_only", action="store_true", help="only write the table, from the runs that are there")
    parser.add_argument("--dry_run", action="store_true", help="only print the command lines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
