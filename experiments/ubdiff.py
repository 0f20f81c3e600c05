"""UB-Diff: paired velocity maps and seismic gathers from unbalanced data (arXiv 2501.00941).

python -m experiments.ubdiff run --dataset FlatVel-A --preset tiny --seed 0 --data_root DIR
"""

import sys

from experiments.experiment import Experiment, Link, Shorthand, Stage
from experiments.program import main


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


METRICS = {
    "velocity/mae_m_s": "held-out velocity, mean absolute error (m/s)",
    "velocity/ssim": "held-out velocity, SSIM",
    "seismic/mae": "held-out seismic, mean absolute error, log-normalised to [-1, 1]",
    "seismic/relative_l2": "held-out seismic, relative L2",
    "seismic/residual_relative_l2": "held-out seismic, residual relative L2 (1 = direct wave alone)",
    "physics/relative_l2": "generated pairs against the exact operator, relative L2",
    "physics/residual_relative_l2": "generated pairs, residual relative L2 (1 = direct wave alone)",
    "physics/shuffled_residual_relative_l2": "control: the same with each map given another map's gather",
    "velocity/frechet": "generated maps, Frechet distance to held-out maps (PCA-64 features)",
    "velocity/frechet_floor": "floor: held-out maps against held-out maps, same n",
    "velocity/frechet_ratio": "ratio of the two",
    "velocity/frechet_ratio_of_training_maps": "control: the ratio that training maps score",
    "velocity/frechet_ratio_of_training_maps_sd": "its standard deviation over draws",
    "velocity/reconstruction_frechet_ratio": "control: the ratio that reconstructions score",
    "velocity/frechet_n": "maps on each side",
    "velocity/nearest_training_map_ratio": "distance to the nearest training map, generated over held-out (0: copies)",
    "seismic/frechet_ratio": "generated gathers, Frechet ratio to the floor (PCA-64 features)",
    "seismic/frechet_n": "gathers on each side",
    "sampling/pairs_per_second_core": "generated pairs per CPU-second, decoding included",
}

FIGURES = {
    "reconstructions.png": "Held-out pairs: truth and reconstruction.",
    "generated_pairs.png": "Generated pairs.",
    "generated_against_exact.png": "Generated seismic beside the exact simulation of the generated map.",
    "training_curves.png": "Training curves.",
}

EXPERIMENT = Experiment(
    paper="ubdiff",
    title="UB-Diff: paired velocity maps and seismic gathers from unbalanced data (arXiv 2501.00941).",
    module="lightning_modules.ubdiff.module.UBDiffModule",
    datamodule="datamodules.openfwi.OpenFWIDataModule",
    subject="data.dataset",
    stages=(
        Stage("autoencoder", settings={"model": {"stage": "autoencoder"}, "data": {"content": "velocity"}}),
        Stage("paired", "autoencoder", settings={"model": {"stage": "paired"}, "data": {"content": "pairs"}}),
        Stage("diffusion", "paired", settings={"model": {"stage": "diffusion"}, "data": {"content": "velocity"}}),
        Stage(
            "evaluate",
            "diffusion",
            settings={"model": {"stage": "evaluate"}, "data": {"content": "pairs"}},
            subcommands=("test", "predict"),
            callbacks="experiments.ubdiff_evaluation.evaluation_callbacks",
            sources=("experiments.ubdiff_evaluation",),
            products=("samples.npz", *(f"figures/{name}" for name in FIGURES if name != "training_curves.png")),
        ),
    ),
    shorthands=(
        Shorthand("dataset", "OpenFWI family, such as FlatVel-A", lambda v: {"data.dataset": v}),
        Shorthand(
            "data_root", "folder with OpenFWI's files; without it, synthetic data", lambda v: {"data.data_root": v}
        ),
        Shorthand("cache_root", "folder for what is made once (default: cache)", lambda v: {"data.cache_root": v}),
        Shorthand("seed", "seed of the run (default: 0)", lambda v: {"seed_everything": int(v)}),
        Shorthand("devices", "processes or GPUs per node", lambda v: {"trainer.devices": v if v == "auto" else int(v)}),
        Shorthand("nodes", "nodes, each with that many devices", lambda v: {"trainer.num_nodes": int(v)}),
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
        "model.seismic_",
        "model.cnn_",
        "model.single_token_",
        "model.denoiser",
        "model.unet_",
        "model.prediction",
        "model.n_diffusion_steps",
    ),
    metrics=METRICS,
    figures=FIGURES,
)


if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
