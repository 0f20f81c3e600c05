"""How UB-Diff's report is arranged."""

from experiments.report_layout import Chapter, Headline, Layout, Pivot

_FRECHET_COLUMNS = {
    "frechet": "generated",
    "frechet_floor": "floor",
    "frechet_ratio": "ratio",
    "reconstruction_frechet_ratio": "ratio of reconstructions",
    "frechet_ratio_of_training_maps": "ratio of training maps",
    "frechet_ratio_of_training_maps_sd": "its sd",
    "kid": "KID",
    "kid_sd": "its sd",
    "frechet_n": "n a side",
}
_FEATURES = {
    "": "PCA-64",
    "family_encoder/": "encoder of the family",
    "efficientnet/": "EfficientNet-Lite0 (ImageNet)",
}
_TRAINED_ON = {
    "real": "n real pairs",
    "generated": "generated pairs",
    "generated_and_real": "generated and n real pairs",
    "generated_maps_exact_simulator": "generated maps, exact simulator",
    "mean_map": "control: the mean training map",
    "nearest_gather": "control: map of the nearest training gather",
    "published": "published InversionNet (all data, GPU)",
}
_MEASURES = {"mae": "MAE", "mse": "MSE", "rmse": "RMSE", "ssim": "SSIM", "mae_m_s": "MAE (m/s)"}


def _frechet(modality: str, what: str) -> Pivot:
    measures = "|".join(_FRECHET_COLUMNS)
    return Pivot(
        f"Frechet distance of generated to held-out {what}, by the features it is taken in.",
        rf"{modality}/(?P<row>(?:\w+/)?)(?P<column>{measures})",
        "features",
        _FRECHET_COLUMNS,
        _FEATURES,
    )


LAYOUT = Layout(
    headlines=(
        Headline("velocity/frechet_ratio", "Frechet ratio, velocity", "1: as real maps among themselves"),
        Headline("seismic/frechet_ratio", "Frechet ratio, seismic", "1: as real gathers among themselves"),
        Headline("physics/residual_relative_l2", "Pair consistency, residual", "0: exact; 1: direct wave alone"),
        Headline("inversion/generated_and_real/mae", "Inversion MAE, generated and real", "trained on both"),
        Headline("inversion/real/mae", "Inversion MAE, real", "trained on the n real pairs alone"),
        Headline("sampling/pairs_per_second_core", "Pairs per CPU-second", "decoding included"),
    ),
    chapters=(
        Chapter("Generated pairs", pictures=("generated_pairs",), prefixes=("sampling/",)),
        Chapter(
            "How near to real data",
            "The floor is the distance of held-out samples to other held-out samples, as many on each side; the ratio "
            "is the distance over the floor, and 1 is as good as real. The paper (arXiv 2501.00941) gives improvements "
            "over other generators alone, 7 to 22 % on velocity and 8 to 10 % on seismic, in other features: they are "
            "not comparable with a distance in this table.",
            pictures=("frechet",),
            prefixes=("velocity/frechet", "seismic/frechet", "velocity/nearest", "seismic/nearest", "velocity/recon"),
            pivots=(_frechet("velocity", "velocity maps"), _frechet("seismic", "gathers")),
        ),
        Chapter(
            "Do the pairs belong together",
            "The map of each generated pair goes through the exact wave equation, and the generated gather is held "
            "against the result. Relative L2 is dominated by the direct wave; the residual figure divides the same "
            "error by what is left without it.",
            pictures=("physics", "generated_against"),
            prefixes=("physics/",),
            list_first=True,
            pivots=(
                Pivot(
                    "By shot.",
                    r"physics/shot_(?P<row>\d+)/(?P<column>\w+)",
                    "shot",
                    {"relative_l2": "relative L2", "residual_relative_l2": "residual relative L2"},
                ),
            ),
        ),
        Chapter(
            "Are they useful",
            "Inversion networks of one kind and one training length, told apart by what they learned from, on held-out "
            "real pairs; velocity in OpenFWI's normalisation, -1 to 1.",
            pictures=("inver",),
            prefixes=("inversion/",),
            pivots=(
                Pivot(
                    "Held-out error by training set.",
                    rf"inversion/(?P<row>\w+)/(?P<column>{'|'.join(_MEASURES)})",
                    "trained on",
                    _MEASURES,
                    _TRAINED_ON,
                ),
            ),
        ),
        Chapter(
            "On field-like gathers",
            "The same networks on the same held-out gathers with noise, dead traces, missing frequencies or another "
            "wavelet.",
            pictures=("field",),
            pivots=(
                Pivot(
                    "MAE by effect and training set.",
                    r"inversion/(?P<column>\w+)/field/(?P<row>\w+)/mae",
                    "effect",
                    _TRAINED_ON,
                ),
                Pivot(
                    "SSIM by effect and training set.",
                    r"inversion/(?P<column>\w+)/field/(?P<row>\w+)/ssim",
                    "effect",
                    _TRAINED_ON,
                ),
            ),
        ),
        Chapter(
            "Reconstruction of held-out pairs",
            "What autoencoder and seismic decoder reach from true maps, before anything is generated.",
            pictures=("reconstructions",),
            prefixes=("velocity/mae", "velocity/ssim", "seismic/mae", "seismic/relative", "seismic/residual"),
        ),
        Chapter("The shared latent", pictures=("latent",), prefixes=("latent/",)),
        Chapter("Training", pictures=("training_curves",)),
    ),
    signatures="experiments.failure_signatures.failure_signatures",
    reference="without_two_step",
)

PAPER_VALUES = (
    ("FID on velocity maps over the best rival", "7 to 22 % better (its own features: no distance here compares)"),
    ("FID on gathers over the best rival", "8 to 10 % better (likewise)"),
    ("InversionNet's MAE on FlatVel-A, OpenFWI's benchmark, all 24,000 pairs, on GPUs", ".0131"),
    ("the same on CurveVel-A", ".0685"),
)
"""What the paper (arXiv 2501.00941) and OpenFWI's benchmark have."""
