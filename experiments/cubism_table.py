"""`make table-cubism`: the paper's Table 2, seven methods in both directions over five seeds, with the controls beside.

python -m experiments.cubism_table --source Llaima --target Deception --preset tiny --seeds 0-4

Each run is one of `experiments.cubism` in a process of one thread, two at a time; what is finished is skipped and what
was stopped goes on. The table is made of finished runs alone: markdown, HTML, CSV, JSON, pictures of all methods.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.cubism_methods import ALL, METHODS
from experiments.errors import SettingsError
from experiments.settings import nearest
from experiments.terminal import EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_USAGE

EXIT_FAILED_RUN = 1
DEFAULT_SOURCE, DEFAULT_TARGET = "Llaima", "Deception"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.cubism_table",
        description="Cubism and its rivals in both directions over several seeds, as one table.",
        epilog="Dotted options, such as --transfer.trainer.max_epochs 10, hold for every run.",
        allow_abbrev=False,
    )
    made.add_argument("--source", default=DEFAULT_SOURCE, help=f"volcano (default: {DEFAULT_SOURCE})")
    made.add_argument("--target", default=DEFAULT_TARGET, help=f"volcano (default: {DEFAULT_TARGET})")
    made.add_argument("--one_way", action="store_true", help="from source to target alone, not back")
    made.add_argument("--methods", default=ALL, help=f"some of {','.join(METHODS)}, with commas (default: all)")
    made.add_argument("--seeds", default="0-4", help="such as 0-4 or 0,3 (default: 0-4)")
    made.add_argument("--preset", default="tiny", help="preset of every run (default: tiny)")
    made.add_argument("--config", type=Path, help="a settings file on top of preset and method")
    made.add_argument("--data_root", help="folder with the volcanoes' files; without it, synthetic twins")
    made.add_argument("--cache_root", default="cache", help="folder for what is made once (default: cache)")
    made.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    made.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each (default: 2)")
    made.add_argument("--main_only", action="store_true", help="leave out the part with our own preprocessing")
    made.add_argument("--table_only", action="store_true", help="only write the table, from the runs that are there")
    made.add_argument("--dry_run", action="store_true", help="only print the command lines")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and write the table; the exit code, and errors in one sentence on standard error."""
    options, dotted = parser().parse_known_args(arguments)
    from datamodules.errors import DataError
    from experiments.side_by_side import TerminatedError, sigterm_as_exception
    from lightning_modules.errors import ModuleError

    try:
        with sigterm_as_exception():
            return _run(options, dotted)
    except (SettingsError, DataError, ModuleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted; call again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except TerminatedError:
        print("stopped by SIGTERM; call again to go on.", file=sys.stderr)
        return EXIT_TERMINATED


def all_methods(arguments: Sequence[str]) -> int:
    """What `experiments.cubism run --method all` does: every method in one direction with one seed, and their table."""
    from experiments.cubism import EXPERIMENT
    from experiments.program import parser_of

    options, dotted = parser_of(EXPERIMENT).parse_known_args(arguments)
    if options.command != "run":
        print(f"error: {options.command} --method all: name one method; all of them have `run`.", file=sys.stderr)
        return EXIT_USAGE
    single = {"name": options.name, "no_adoption": options.no_adoption, "log_checkpoints": options.log_checkpoints}
    for name, value in single.items():
        if value:
            print(f"error: --{name} with --method all: it is an option of one run; name a method.", file=sys.stderr)
            return EXIT_USAGE
    passed = ["--source", options.source or DEFAULT_SOURCE, "--target", options.target or DEFAULT_TARGET, "--one_way"]
    passed.append("--main_only")
    passed += ["--seeds", options.seed or "0", "--run_root", str(options.run_root)]
    for name in ("preset", "config", "data_root", "cache_root"):
        if getattr(options, name) is not None:
            passed += [f"--{name}", str(getattr(options, name))]
    if options.devices:
        dotted = ["--shared.trainer.devices", options.devices, *dotted]
    return main([*passed, *dotted])


def _run(options: argparse.Namespace, dotted: Sequence[str]) -> int:
    from experiments import cubism_runs, cubism_table_files
    from experiments.cubism_runs import Direction, Plan
    from experiments.side_by_side import run_side_by_side

    there = Direction(options.source, options.target)
    plan = Plan(
        (there,) if options.one_way else (there, Direction(options.target, options.source)),
        _methods(options.methods),
        _seeds(options.seeds),
        options.preset,
        *(options.config, options.data_root, options.cache_root, options.run_root),
        tuple(dotted),
    )
    if options.jobs < 1:
        raise SettingsError(f"--jobs {options.jobs}: wanted 1 or more.")
    beside = None if options.main_only else plan.with_our_preprocessing()
    jobs = [job for each in (plan, beside) if each for job in each.jobs()]
    if options.dry_run:
        for job in jobs:
            print(shlex.join(job.command))
        return 0
    failed: list[str] = []
    if options.table_only:
        cubism_table_files.write(plan, beside)
    else:
        print(f"table: {len(jobs)} runs; checking the settings of each method", file=sys.stderr, flush=True)
        cubism_runs.check(plan)
        plan.folder.mkdir(parents=True, exist_ok=True)
        try:
            failed = run_side_by_side(jobs, plan.folder / "logs", options.jobs, what="table")
        finally:
            cubism_table_files.write(plan, beside)
    print(f"table: {plan.folder / 'table.md'}", file=sys.stderr)
    if failed:
        print(f"table: failed: {', '.join(failed)}; the logs are in {plan.folder / 'logs'}", file=sys.stderr)
    return EXIT_FAILED_RUN if failed else 0


def _methods(text: str) -> tuple[str, ...]:
    names = tuple(METHODS) if text == ALL else tuple(text.split(","))
    for name in names:
        if name not in METHODS:
            raise SettingsError(f"--methods {name}: there is no such method; {nearest(name, METHODS)}")
    return names


def _seeds(text: str) -> tuple[int, ...]:
    first, dash, last = text.partition("-")
    try:
        seeds: Any = range(int(first), int(last) + 1) if dash else [int(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"--seeds {text}: wanted whole numbers, such as 0-4 or 0,3.") from None
    if not seeds or len(set(seeds)) < len(seeds):
        raise SettingsError(f"--seeds {text}: wanted each seed once, such as 0-4 or 0,3.")
    return tuple(seeds)


if __name__ == "__main__":
    sys.exit(main())
