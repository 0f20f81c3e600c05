"""HARPA: phase association at high event rates, over a wave speed that need not be known (Shi et al. 2024).

python -m experiments.harpa run --wave_speed overthrust --preset tiny --seed 0 --data_root DIR

Which stages there are follows from the wave speed: the overthrust model is known, random fields are not.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from experiments import program
from experiments.errors import SettingsError
from experiments.experiment import COMMON_SHORTHANDS, Experiment, Link, Shorthand, Stage
from experiments.harpa_report import FIGURES, METRICS
from experiments.harpa_stages import KNOWN, UNKNOWN, VARIANTS, variant_of
from experiments.settings import last_value, nested, parse_options, read_yaml

SUBJECT = "data.wave_speed"


EXPERIMENT = Experiment(
    paper="harpa",
    title="HARPA: high-rate phase association with travel-time neural fields (Shi, de Hoop and Dokmanic 2024).",
    module="lightning_modules.harpa.module.HarpaTraveltimeModule",
    datamodule="datamodules.travel_times.TravelTimeDataModule",
    subject=SUBJECT,
    variants=VARIANTS,
    shorthands=(
        Shorthand("wave_speed", f"one of {', '.join((*KNOWN, *UNKNOWN))}", lambda v: {SUBJECT: v}),
        Shorthand(
            "data_root",
            "folder with overthrust_32.npy; without it, a synthetic model that is like it",
            lambda v: {"data.data_root": v},
        ),
        *COMMON_SHORTHANDS,
    ),
    links=(
        Link("model.n_stations", "data.n_stations"),
        Link("seed_everything", "data.seed"),
        Link("seed_everything", "model.sampling_seed"),
    ),
    shared=(
        "seed_everything",
        "data.wave_speed",
        "data.data_root",
        "data.n_modes",
        "data.max_fields",
        "model.latent_dim",
        "model.n_stations",
    ),
    metrics=METRICS,
    figures=FIGURES,
)


def experiment_of(wave_speed: str, preset: str = "tiny") -> Experiment:
    """The experiment whose default variant is the one that a wave speed is run as."""
    first = variant_of(wave_speed, preset)
    variants: Mapping[str, tuple[Stage, ...]] = {first: VARIANTS[first], **VARIANTS}
    return replace(EXPERIMENT, variants=variants)


def subject_and_preset(arguments: Sequence[str] | None) -> tuple[str, str]:
    """The wave speed and the preset that a command line names, by an option or in its settings file; else the defaults.

    What is wrong with the command line is left to `program.main` to say.
    """
    options, dotted = program.parser_of(EXPERIMENT).parse_known_args(arguments)
    preset = options.preset
    if preset is None:
        import torch

        preset = "paper" if torch.cuda.is_available() else "tiny"
    try:
        layers = [("file", read_yaml(options.config))] if options.config else []
        layers.append(("short", nested(f"shared.{SUBJECT}", options.wave_speed) if options.wave_speed else {}))
        layers.append(("dotted", parse_options(dotted)))
        return str(last_value(SUBJECT, layers) or KNOWN[0]), preset
    except SettingsError:
        return KNOWN[0], preset


def main(arguments: Sequence[str] | None = None) -> int:
    """Run HARPA's command line; see `experiments.program.main`."""
    return program.main(experiment_of(*subject_and_preset(arguments)), arguments)


if __name__ == "__main__":
    sys.exit(main())
