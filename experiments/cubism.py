"""Cubism: co-balanced mixup for the transfer of a volcano-seismic classifier (Keramati et al. 2022), and its rivals.

python -m experiments.cubism run --source Llaima --target Deception --method cubism --preset tiny --seed 0
python -m experiments.cubism run --method all ...         all methods, two at a time, and their table
python -m experiments.cubism classify --checkpoint FILE --waveforms FOLDER --out catalogue.csv
python -m experiments.cubism twins --out FOLDER           synthetic twins of the two volcanoes, as files
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments import program
from experiments.cubism_methods import ALL, DEFAULT, METHODS, read_method
from experiments.cubism_report import FIGURES, METRICS
from experiments.cubism_stages import STAGES
from experiments.errors import SettingsError
from experiments.experiment import COMMON_SHORTHANDS, Experiment, Link, Shorthand
from experiments.terminal import EXIT_USAGE

SOURCE, TARGET = "data.source", "data.target"


def volcano_label(name: Any) -> str:
    """A volcano's name as a part of a file name: that of the folder, where it is one."""
    return Path(str(name)).name or "volcano"


def run_label(method: str, settings: Mapping[str, Any]) -> str:
    """What a run's name begins with: source, target, method."""
    return f"{volcano_label(settings[SOURCE])}-{volcano_label(settings[TARGET])}-{method}"


EXPERIMENT = Experiment(
    paper="cubism",
    title="Cubism: co-balanced mixup for unsupervised volcano-seismic knowledge transfer (Keramati et al. 2022).",
    module="lightning_modules.cubism.module.CubismModule",
    datamodule="datamodules.spectrograms.SpectrogramDataModule",
    subject=SOURCE,
    variants=dict.fromkeys(sorted(METHODS, key=lambda name: name != DEFAULT), STAGES),
    shorthands=(
        Shorthand("source", "the labelled volcano: Llaima, Deception, NVCh, CAU or a folder", lambda v: {SOURCE: v}),
        Shorthand("target", "the volcano whose labels are not used, likewise", lambda v: {TARGET: v}),
        Shorthand("method", f"one of {', '.join(METHODS)}, or all (default: {DEFAULT})", lambda _: {}),
        Shorthand(
            "data_root",
            "folder with the volcanoes' files; without it, synthetic twins",
            lambda v: {"data.data_root": v},
        ),
        *COMMON_SHORTHANDS,
    ),
    links=(
        Link("seed_everything", "data.seed"),
        Link("seed_everything", "model.sampling_seed"),
        Link("data.size", "model.image_size"),
    ),
    # `evaluate` judges what `transfer` made, on the very same pictures.
    shared=(
        "seed_everything",
        "data.",
        "model.generator",
        "model.adversary",
        "model.representation",
        "model.batch_statistics",
        "model.backbone_",
        "model.head_units",
        "model.flow_",
        "model.shared_sigma",
        "model.vae_",
    ),
    metrics=METRICS,
    figures=FIGURES,
)


def experiment_of(method: str) -> Experiment:
    """The experiment with the settings of one method, which is its default variant.

    Raises:
        SettingsError: If there is no such method.
    """
    settings = read_method(method)
    variants = dict.fromkeys(sorted(METHODS, key=lambda name: name != method), STAGES)
    return replace(
        EXPERIMENT,
        variants=variants,
        layers=((f"method {method}", settings),),
        run_label=lambda resolved: run_label(method, resolved),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Cubism's command line; see `experiments.program.main`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["classify"]:
        from experiments.cubism_classify import main as classify

        return classify(arguments[1:])
    if arguments[:1] == ["twins"]:
        from experiments.cubism_twins import main as twins

        return twins(arguments[1:])
    options, _ = program.parser_of(EXPERIMENT).parse_known_args(arguments)
    # A W&B sweep may name the method as it names the variants of the other experiments.
    method = options.method or options.variant
    if options.method and options.variant not in (DEFAULT, options.method):
        print(f"error: --method {options.method} --variant {options.variant}: give one of the two.", file=sys.stderr)
        return EXIT_USAGE
    if method == ALL:
        from experiments.cubism_table import all_methods

        return all_methods(arguments)
    try:
        return program.main(experiment_of(method), arguments)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
