"""The command line that all papers share: run, fit, validate, test, predict, data.

Nothing heavy is imported before a command is chosen: `--help` answers at once.
"""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import SettingsError
from experiments.experiment import Experiment
from experiments.settings import (
    COMMAND_LINE,
    Settings,
    StageBlocks,
    flattened,
    last_value,
    merge,
    nearest,
    nested,
    parse_options,
    presets,
    read_preset,
    read_yaml,
    resolve,
)
from experiments.terminal import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    calm_progress,
    refused_by_the_folder,
)

if TYPE_CHECKING:
    from experiments.pipeline import Pipeline

_DOTTED = """\
Every setting has a dotted name, which works on the command line and as a key of a W&B sweep:
  --shared.model.latent_dim 64           for all stages
  --diffusion.trainer.max_epochs 3       for one stage
--print_config lists them all with their values. Order: defaults < preset < --config FILE < options.
"""


def parser_of(experiment: Experiment) -> argparse.ArgumentParser:
    """The paper's parser; dotted options are left over for `settings.parse_options`."""
    parser = argparse.ArgumentParser(prog=f"python -m experiments.{experiment.paper}", description=experiment.title)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    texts = {
        "run": "run all stages: skip what is finished, resume what is not",
        "fit": "fit one stage",
        "validate": "validate one stage's final weights",
        "test": "test one stage's final weights on held-out data",
        "predict": "predict with one stage's final weights",
        "data": "prepare and verify the data ahead of time",
    }
    for name, text in texts.items():
        command = commands.add_parser(
            name, help=text, description=text, epilog=_DOTTED, formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )  # fmt: skip
        if name in ("fit", "validate", "test", "predict"):
            command.add_argument("--stage", required=True, help=f"such as {', '.join(experiment.stage_names)}")
        command.add_argument(
            "--variant", default=next(iter(experiment.variants)), help=f"one of {', '.join(experiment.variants)}"
        )
        command.add_argument(
            "--preset",
            help=f"one of {', '.join(presets(experiment.paper))}; without a GPU the default is tiny, else paper",
        )
        command.add_argument("--config", type=Path, help="a settings file of your own, on top of the preset")
        command.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
        command.add_argument("--name", help="name of the run's folder (default: what it runs on, preset and seed)")
        command.add_argument(
            "--no_adoption",
            action="store_true",
            help="train every stage here, even where another run below run_root has finished the very same one",
        )
        command.add_argument(
            "--log_checkpoints", action="store_true", help="send the final weights of a run to W&B, as an artifact"
        )
        command.add_argument("--print_config", action="store_true", help="print the resolved settings and stop")
        for shorthand in experiment.shorthands:
            if shorthand.is_flag:
                command.add_argument(f"--{shorthand.name}", action="store_true", default=None, help=shorthand.help)
            else:
                command.add_argument(f"--{shorthand.name}", help=shorthand.help)
    return parser


def layers_of(experiment: Experiment, options: argparse.Namespace, dotted: Sequence[str]) -> list[tuple[str, Settings]]:
    """The settings layers that a command line stands for, lowest first."""
    own = {stage.name: dict(stage.settings) for stage in experiment.stages}
    layers: list[tuple[str, Settings]] = [("the suite", own)]
    layers.append((f"preset {options.preset}", read_preset(experiment.paper, options.preset)))
    layers += [(origin, dict(content)) for origin, content in experiment.layers]
    if options.config:
        layers.append((str(options.config), read_yaml(options.config)))
    short: Settings = {}
    for shorthand in experiment.shorthands:
        value = getattr(options, shorthand.name)
        if value is not None:
            try:
                expanded = shorthand.expand(value)
            except ValueError:
                raise SettingsError(f"--{shorthand.name} {value}: wanted a whole number.") from None
            for name, content in expanded.items():
                short = merge(short, nested(f"shared.{name}", content))
    layers.append((COMMAND_LINE, short))
    layers.append((COMMAND_LINE, parse_options(dotted)))
    return layers


def settings_of(experiment: Experiment, options: argparse.Namespace, dotted: Sequence[str]) -> dict[str, Settings]:
    """The merged settings of every stage of a variant that a command line stands for."""
    from experiments.cli import accepted_settings, load

    stages = [
        StageBlocks(
            stage.name,
            stage.group,
            accepted_settings(load(experiment.module_of(stage)), load(experiment.datamodule_of(stage))),
        )
        for stage in experiment.stages
    ]
    layers = layers_of(experiment, options, dotted)
    subject = str(last_value(experiment.subject, layers))
    return resolve(stages, layers, variant=options.variant, subject=subject, other_blocks=experiment.blocks)


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """Run a paper's command line; the exit code, and errors in one sentence on standard error."""
    options, dotted = parser_of(experiment).parse_known_args(arguments)
    pipeline: Pipeline | None = None
    quiet()
    from datamodules.errors import DataError
    from experiments.pipeline import InterruptedRunError
    from lightning_modules.errors import ModuleError

    try:
        pipeline = _prepare(experiment, options, dotted)
        if options.print_config:
            _print_config(pipeline)
        elif options.command == "run":
            pipeline.run()
        elif options.command == "data":
            pipeline.prepare_data()
        else:
            pipeline.run_one(options.stage, options.command)
        return 0
    except (SettingsError, DataError, ModuleError) as error:
        return _fail(pipeline, f"error: {error}", EXIT_USAGE)
    except InterruptedRunError as error:
        return _fail(pipeline, str(error), EXIT_TERMINATED)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into an exit
        return _fail(pipeline, "interrupted; call again to go on.", EXIT_INTERRUPTED)
    except OSError as error:
        if pipeline is not None and hasattr(pipeline, "folder") and not pipeline.folder.root.exists():
            gone = "the run folder was deleted or moved while the run was at work; give the command again."
            return _fail(pipeline, f"error: {pipeline.folder.root}: {gone}", EXIT_FAILED)
        if not (sentence := refused_by_the_folder(error)):
            _fail(pipeline, "stopped by an unforeseen error:", EXIT_FAILED)
            raise
        return _fail(pipeline, sentence, EXIT_FAILED)
    except BaseException:
        _fail(pipeline, "stopped by an unforeseen error:", EXIT_FAILED)
        raise


def _prepare(experiment: Experiment, options: argparse.Namespace, dotted: Sequence[str]) -> "Pipeline":
    from experiments.pipeline import Pipeline
    from experiments.run_folder import RunFolder
    from experiments.wandb_run import under_sweep_agent

    if options.variant not in experiment.variants:
        raise SettingsError(
            f"--variant {options.variant}: there is no such variant; {nearest(options.variant, experiment.variants)}"
        )
    experiment = experiment.as_variant(options.variant)
    if options.preset is None:
        import torch

        options.preset = "paper" if torch.cuda.is_available() else "tiny"
        seen = "a GPU is" if torch.cuda.is_available() else "no GPU is"
        print(f"{experiment.paper}: no preset was named and {seen} seen: taking {options.preset}", file=sys.stderr)
    if "stage" in options and options.stage not in experiment.stage_names:
        raise SettingsError(
            f"--stage {options.stage}: there is no such stage; {nearest(options.stage, experiment.stage_names)}"
        )
    settings = settings_of(experiment, options, dotted)
    pipeline = Pipeline(experiment, settings, adopts=not options.no_adoption, sends_checkpoints=options.log_checkpoints)
    pipeline.validate()
    name = options.name or _run_name(experiment, options.preset, pipeline.resolved)
    if under_sweep_agent() and os.environ.get("WANDB_RUN_ID"):
        name = f"{name}-{os.environ['WANDB_RUN_ID']}"
    pipeline.folder = RunFolder(options.run_root / experiment.paper / name)
    return pipeline


def _run_name(experiment: Experiment, preset: str, resolved: dict[str, Settings]) -> str:
    settings = flattened(resolved[experiment.stages[0].name])
    variant = "" if experiment.is_default_variant else f"-{experiment.variant}"
    label = experiment.run_label(settings) if experiment.run_label else settings[experiment.subject]
    return f"{label}-{preset}{variant}-seed{settings['seed_everything']}"


def _print_config(pipeline: "Pipeline") -> None:
    import yaml

    print(yaml.safe_dump(pipeline.resolved, sort_keys=False), end="")


def _fail(pipeline: "Pipeline | None", message: str, code: int) -> int:
    if pipeline is not None:
        pipeline.abandon()
    print(message, file=sys.stderr)
    return code


def quiet() -> None:
    """Keep the libraries' chatter out of the output; warnings that say something to the user stay."""
    # OpenMP's threads wait for one another by spinning; where other work shares the cores, that made a training step
    # twenty times slower. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    calm_progress()
    import lightning.pytorch  # noqa: F401 - sets its own level when it is imported

    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in QUIET_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)


# Each with its reason; the tests use the same list.
QUIET_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.13, internal
    r".*does not have many workers.*",  # maps are memory-mapped: workers would only add processes
    r"Checkpoint directory .* exists and is not empty.*",  # that is what a resume looks like
    r".*The number of training batches .* is smaller than the logging interval.*",  # tiny data sets
)
