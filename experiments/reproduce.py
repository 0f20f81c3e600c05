"""Run a paper's table and figures from nothing, and compare with the values committed in `experiments/reference/`.

python -m experiments.reproduce --paper harpa --preset tiny

A reference file, `<paper>-<preset>.yaml`, lists programs with their options, the JSON file that each leaves below the
run folder, and values with their tolerances. The same machine and number of threads give the same numbers; others round
differently, and what is trained drifts apart: a tolerance says how far it may. `--write` takes the values of what was
run here as the new reference and keeps each tolerance.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.errors import SettingsError
from experiments.settings import flattened, nearest, read_yaml
from experiments.terminal import EXIT_USAGE

REFERENCES = Path(__file__).parent / "reference"
EXIT_DIFFERS = 1


@dataclass(frozen=True)
class Value:
    """A figure that is compared.

    Args:
        name: Dotted or slashed name in the JSON file.
        value: The reference.
        relative: Largest relative difference.
        absolute: Largest absolute difference; either suffices.
    """

    name: str
    value: float
    relative: float = 0.0
    absolute: float = 0.0

    def agrees(self, found: float | None) -> bool:
        """Whether a figure found here is within the tolerance."""
        if found is None:
            return False
        return abs(found - self.value) <= max(self.absolute, self.relative * abs(self.value))


@dataclass(frozen=True)
class Run:
    """One program of a reference.

    Args:
        program: Module, run as `python -m`.
        arguments: Its options, without folders.
        results: JSON file below the folder of all runs.
        values: What is compared in it.
    """

    program: str
    arguments: tuple[str, ...]
    results: str
    values: tuple[Value, ...]


def references() -> list[str]:
    """Names of the references there are."""
    return sorted(path.stem for path in REFERENCES.glob("*.yaml"))


def read_reference(name: str) -> tuple[Run, ...]:
    """Read `reference/<name>.yaml`.

    Raises:
        SettingsError: If there is no such reference.
    """
    if name not in references():
        raise SettingsError(f"{name}: there are no reference values of that; {nearest(name, references())}")
    content = read_yaml(REFERENCES / f"{name}.yaml")
    return tuple(
        Run(
            run["program"],
            tuple(str(part) for part in run["arguments"]),
            run["results"],
            tuple(Value(key, **entry) for key, entry in run["values"].items()),
        )
        for run in content["runs"]
    )


def found_in(path: Path) -> Mapping[str, Any]:
    """All figures of a results file by dotted name; none where the file is missing."""
    if not path.exists():
        return {}
    return flattened(json.loads(path.read_text(encoding="utf-8")))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare, write `reproduce/<paper>-<preset>.md` and `.json` below the run root; 1 where a value differs."""
    options = _parser().parse_args(arguments)
    try:
        return _reproduce(options)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments.reproduce", description=__doc__.partition("\n")[0])
    parser.add_argument("--paper", required=True, help="ubdiff, harpa or cubism")
    parser.add_argument("--preset", default="tiny", help="default: tiny")
    parser.add_argument("--run_root", type=Path, default=Path("runs/reproduce"), help="default: runs/reproduce")
    parser.add_argument("--cache_root", type=Path, default=Path("cache"), help="default: cache")
    parser.add_argument("--compare_only", action="store_true", help="compare what is there, run nothing")
    parser.add_argument("--write", action="store_true", help="take what was found as the new reference")
    return parser


def _reproduce(options: argparse.Namespace) -> int:
    name = f"{options.paper}-{options.preset}"
    runs = read_reference(name)
    for run in runs if not options.compare_only else ():
        folders = ["--run_root", str(options.run_root), "--cache_root", str(options.cache_root)]
        print(f"reproduce: python -m {run.program} {' '.join(run.arguments)}", file=sys.stderr, flush=True)
        status = _main_of(run.program)([*run.arguments, *folders])
        if status:
            raise SettingsError(f"{run.program} {' '.join(run.arguments)} ended with status {status}; see above.")
    compared = [
        (run, value, found_in(options.run_root / run.results).get(value.name)) for run in runs for value in run.values
    ]
    if options.write:
        _write_reference(name, options.run_root)
    differing = [value for _, value, found in compared if not value.agrees(found)]
    _write_results(options.run_root / f"{name}.md", name, compared)
    print(
        f"reproduce: {len(compared) - len(differing)} of {len(compared)} values of {name} agree; "
        f"see {options.run_root / f'{name}.md'}"
    )
    return EXIT_DIFFERS if differing and not options.write else 0


def _main_of(program: str) -> Any:
    module = importlib.import_module(program)
    if hasattr(module, "__path__"):  # a package: what `python -m` runs of it
        module = importlib.import_module(f"{program}.__main__")
    if program == "experiments.ubdiff":  # its `main` is the one that all papers share
        return lambda arguments: module.main(module.EXPERIMENT, arguments)
    return module.main


def _write_results(path: Path, name: str, compared: Sequence[tuple[Run, Value, float | None]]) -> None:
    from experiments.provenance import git_revision
    from experiments.run_folder import write_json, write_text

    rows = [
        f"| {run.results.rpartition('/')[0]} | {value.name} | {value.value:.6g} | "
        f"{'missing' if found is None else f'{found:.6g}'} | {_tolerance(value)} | "
        f"{'yes' if value.agrees(found) else '**no**'} |"
        for run, value, found in compared
    ]
    header = ["| run | figure | reference | found | tolerance | agrees |", "| --- | --- | ---: | ---: | ---: | --- |"]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [f"# {name}: reproduced at {git_revision()}", "", *header, *rows, ""]
    write_text(path, "\n".join(text))
    results = [
        {"run": run.results, "name": value.name, "reference": value.value, "found": found,
         "relative": value.relative, "absolute": value.absolute, "agrees": value.agrees(found)}
        for run, value, found in compared
    ]  # fmt: skip
    write_json(path.with_suffix(".json"), {"git_revision": git_revision(), "values": results})


def _tolerance(value: Value) -> str:
    parts = [f"{100 * value.relative:g} %"] if value.relative else []
    return " or ".join([*parts, *([f"{value.absolute:g}"] if value.absolute else [])]) or "none"


def _write_reference(name: str, run_root: Path) -> None:
    """Put the figures found here into the reference; its comments are kept at the top of the file only."""
    from experiments.provenance import git_revision
    from experiments.run_folder import write_text

    path = REFERENCES / f"{name}.yaml"
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    content = read_yaml(path)
    for run in content["runs"]:
        found = found_in(run_root / run["results"])
        for key, entry in run["values"].items():
            if key in found:
                value = float(found[key])
                entry["value"] = value if value.is_integer() else float(f"{value:.6g}")  # counts to the last digit
    content["git_revision"] = git_revision()
    write_text(path, "\n".join(comments) + "\n" + yaml.safe_dump(content, sort_keys=False))


if __name__ == "__main__":
    sys.exit(main())
