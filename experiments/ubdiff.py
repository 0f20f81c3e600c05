"""UB-Diff: paired velocity maps and seismic gathers from unbalanced data (arXiv 2501.00941).

python -m experiments.ubdiff run --dataset FlatVel-A --preset tiny --seed 0 --data_root DIR
"""

import sys

from experiments.experiment import COMMON_SHORTHANDS, Experiment, Link, Shorthand
from experiments.program import main
from experiments.ubdiff_figures import FIGURES, METRICS
from experiments.ubdiff_stages import DENOISER_SETTINGS, SEISMIC_DECODER_SETTINGS, VARIANTS


def n_time_samples(time_stride: int) -> int:
    """Samples a trace keeps of OpenFWI's 1,000 when every `time_stride`-th is taken, the first included."""
    return -(-1000 // max(1, time_stride))


def seismic_log_range(dataset: str) -> tuple[float, float]:
    """Log amplitudes that the family's normalisation maps to -1 and 1; the data module checks the name."""
    from datamodules.errors import DataError
    from datamodules.normalization import OpenFWINormalization
    from datamodules.openfwi_families import family_named

    try:
        normalization = OpenFWINormalization.of(family_named(dataset))
    except DataError as error:
        raise ValueError(str(error)) from error
    return normalization.log_seismic_minimum, normalization.log_seismic_maximum


EXPERIMENT = Experiment(
    paper="ubdiff",
    title="UB-Diff: paired velocity maps and seismic gathers from unbalanced data (arXiv 2501.00941).",
    module="lightning_modules.ubdiff.module.UBDiffModule",
    datamodule="datamodules.openfwi.OpenFWIDataModule",
    subject="data.dataset",
    variants=VARIANTS,
    shorthands=(
        Shorthand("dataset", "OpenFWI family, such as FlatVel-A", lambda v: {"data.dataset": v}),
        Shorthand(
            "data_root", "folder with OpenFWI's files; without it, synthetic data", lambda v: {"data.data_root": v}
        ),
        *COMMON_SHORTHANDS,
        Shorthand("full_rate", "keep OpenFWI's 1 ms sampling", lambda _: {"data.time_stride": 1}, is_flag=True),
    ),
    links=(
        Link("data.time_stride", "model.n_time", n_time_samples),
        Link("data.dataset", "model.seismic_log_range", seismic_log_range),
        Link("seed_everything", "data.seed"),
        Link("seed_everything", "model.sampling_seed"),
    ),
    shared=(
        "seed_everything",
        "data.dataset",
        "data.data_root",
        "data.n_maps",
        "data.n_pairs",
        "data.time_stride",
        "model.latent_dim",
        "model.velocity_",
        *SEISMIC_DECODER_SETTINGS,
        *DENOISER_SETTINGS,
    ),
    metrics=METRICS,
    figures=FIGURES,
)


if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
