"""The paper's Fig. 2: a classifier of one volcano on held-out events of its own, and on the other volcano.

python -m experiments.cubism_generalisation --source Llaima --target Deception --preset tiny --seed 0

Source-Only is trained on all but one of the stratified folds of each volcano, and judged on that fold and on all events
of the other volcano: ten runs of `experiments.cubism`, two at a time, that a second call skips or goes on with.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.cubism_table import DEFAULT_SOURCE, DEFAULT_TARGET, EXIT_FAILED_RUN
from experiments.errors import SettingsError
from experiments.terminal import EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_USAGE

METHOD = "source-only"
MEASURES = {"accuracy": "accuracy", "f1": "macro F1"}
WHERE = {"held_out": "held-out fold of its own", "target": "the other volcano"}
PICTURE, CAPTION = (
    "generalisation.png",
    "Source-Only on a held-out stratified fold of its own volcano and on all of the other; bars: mean over folds, "
    "lines: standard deviation (the paper's Fig. 2).",
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.cubism_generalisation",
        description="How well a classifier of one volcano does on its own and on another (the paper's Fig. 2).",
        epilog="Dotted options, such as --transfer.trainer.max_epochs 10, hold for every run.",
        allow_abbrev=False,
    )
    made.add_argument("--source", default=DEFAULT_SOURCE, help=f"one volcano (default: {DEFAULT_SOURCE})")
    made.add_argument("--target", default=DEFAULT_TARGET, help=f"the other (default: {DEFAULT_TARGET})")
    made.add_argument("--folds", type=int, default=5, help="stratified folds of each (default: 5)")
    made.add_argument("--seed", type=int, default=0, help="of the folds and of training (default: 0)")
    made.add_argument("--preset", default="tiny", help="preset of every run (default: tiny)")
    made.add_argument("--data_root", help="folder with the volcanoes' files; without it, synthetic twins")
    made.add_argument("--cache_root", default="cache", help="folder for what is made once (default: cache)")
    made.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    made.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each (default: 2)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, draw, write; the exit code, and errors in one sentence on standard error."""
    options, dotted = parser().parse_known_args(arguments)
    from datamodules.errors import DataError
    from experiments.side_by_side import TerminatedError, sigterm_as_exception
    from lightning_modules.errors import ModuleError

    try:
        with sigterm_as_exception():
            return _run(options, tuple(dotted))
    except (SettingsError, DataError, ModuleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted; call again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except TerminatedError:
        print("stopped by SIGTERM; call again to go on.", file=sys.stderr)
        return EXIT_TERMINATED


@dataclass(frozen=True)
class Fold:
    """One run: trained on all but one fold of a volcano.

    Args:
        source: The volcano it is trained on, by its short name.
        target: The other.
        name: Of the run's folder.
        arguments: What follows `python -m experiments.cubism`.
    """

    source: str
    target: str
    name: str
    arguments: tuple[str, ...]


def folds(options: argparse.Namespace, dotted: tuple[str, ...]) -> list[Fold]:
    """All runs, those of the first volcano first.

    Raises:
        SettingsError: If there are fewer than two folds.
    """
    from experiments.cubism import volcano_label
    from experiments.cubism_runs import Direction, Plan

    if options.folds < 2:
        raise SettingsError(f"--folds {options.folds}: wanted 2 or more.")
    there = Direction(options.source, options.target)
    made = []
    for direction in (there, Direction(options.target, options.source)):
        for fold in range(options.folds):
            chosen = (f"--shared.data.n_folds={options.folds}", f"--shared.data.validation_fold={fold}")
            plan = Plan(
                (direction,), (METHOD,), (options.seed,), options.preset, None,
                *(options.data_root, options.cache_root, options.run_root), (*chosen, *dotted),
            )  # fmt: skip
            name = f"{direction.label}-{METHOD}-fold{fold}of{options.folds}-{options.preset}-seed{options.seed}"
            arguments = list(plan.arguments(direction, METHOD, options.seed))
            arguments[arguments.index("--name") + 1] = name
            labels = volcano_label(direction.source), volcano_label(direction.target)
            made.append(Fold(*labels, name, tuple(arguments)))
    return made


def _run(options: argparse.Namespace, dotted: tuple[str, ...]) -> int:
    from experiments.side_by_side import Job, run_side_by_side

    runs = folds(options, dotted)
    out: Path = (
        options.run_root / "cubism" / "tables" / f"generalisation-{runs[0].source}-{runs[0].target}-{options.preset}"
    )
    jobs = [Job(run.name, "experiments.cubism", run.arguments) for run in runs]
    failed = run_side_by_side(jobs, out / "logs", options.jobs, what="folds")
    write(runs, options.run_root / "cubism", out, options.preset, options.seed)
    print(f"folds: {out / PICTURE}", file=sys.stderr)
    return EXIT_FAILED_RUN if failed else 0


def write(runs: Sequence[Fold], root: Path, out: Path, preset: str, seed: int) -> None:
    """Draw and write what the finished runs say: a picture, and JSON beside it; log both to W&B.

    Args:
        runs: The runs.
        root: Folder that holds theirs.
        out: Where picture and JSON go.
        preset: Of the runs.
        seed: Likewise.
    """
    from callbacks import figures, transfer_figures
    from experiments import wandb_run
    from experiments.ablation_table import Spread
    from experiments.provenance import provenance
    from experiments.run_folder import RunFolder, read_json, write_json

    values: dict[str, dict[str, dict[int, float]]] = {}
    sentences: list[str] = []
    for i, run in enumerate(runs):
        folder = RunFolder(root / run.name)
        metrics = read_json(folder.metrics) or {}
        for where in WHERE if metrics else ():
            judged = run.source if where == "held_out" else run.target
            for measure in MEASURES:
                by_measure = values.setdefault(f"{run.source} to {judged}", {})
                by_measure.setdefault(measure, {})[i] = float(metrics[f"{where}/{measure}"])
        data: Mapping[str, Any] = (read_json(folder.provenance) or {}).get("data", {})
        sentences += [data["sentence"]] if data.get("sentence") not in (None, *sentences) else []
    found = {bar: {measure: Spread(each) for measure, each in of.items()} for bar, of in values.items()}
    content = {
        "caption": CAPTION,
        "results": {bar: {measure: each.as_json() for measure, each in of.items()} for bar, of in found.items()},
        "provenance": provenance({"sentences": sentences}, seed),
    }
    write_json(out / "generalisation.json", content)
    if not found:
        return
    bars = {bar: {MEASURES[m]: (each.mean, each.sd or 0.0) for m, each in of.items()} for bar, of in found.items()}
    figure = transfer_figures.generalisation(bars)
    figures.save(figure, out / PICTURE, figures_foot(sentences, preset))
    run_of_wandb = wandb_run.start(
        out, "cubism_generalisation", [], {"preset": preset, "seed": seed, "data": sentences}
    )
    if run_of_wandb is not None:
        import wandb

        numbers = {f"{bar}/{m}": each.mean for bar, of in found.items() for m, each in of.items()}
        run_of_wandb.summary.update(numbers)
        run_of_wandb.log({"generalisation": wandb.Image(str(out / PICTURE))})
        run_of_wandb.finish()


def figures_foot(sentences: Sequence[str], preset: str) -> str:
    """The foot of the picture: what the data are."""
    kind = "synthetic twins, not recorded at these volcanoes" if "synthetic" in " ".join(sentences) else "real events"
    return f"{kind}; Source-Only, preset {preset}"


if __name__ == "__main__":
    sys.exit(main())
