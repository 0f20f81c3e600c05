"""UB-Diff's stages, and those of its ablation without two steps and of the baseline generators.

Every variant ends with the same three steps: it generates pairs, inversion networks learn from them, and `evaluate`
judges both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiments.experiment import Stage
from experiments.ubdiff_figures import FIGURES

BASELINES = "lightning_modules.ubdiff_baselines.module.SeparateLatentsModule"
AUTOENCODER_CALLBACKS = "experiments.ubdiff_evaluation.autoencoder_callbacks"
SAMPLES = "samples.npz"
TRAINING_SETS = ("real", "generated", "generated_and_real", "generated_maps_exact_simulator")

# Weights by the stage that trains them.
VELOCITY_SIDE = ("networks.encoder.", "networks.to_velocity_latent.", "networks.velocity_decoder.")
SEISMIC_SIDE = ("networks.to_seismic_latent.", "networks.seismic_decoder.", "networks.direct_wave.")
DENOISER = ("networks.denoiser.", "networks.averaged_denoiser.", "networks.latent_scaler.")

# Settings of networks and data that the early stages have nothing to do with.
_SAMPLING = ("model.sampler", "model.n_sampling_steps", "model.n_refinements", "data.n_generated", "data.n_test_pairs")
SEISMIC_DECODER_SETTINGS = (
    "model.seismic_",
    "model.cnn_",
    "model.single_token_",
    "model.kirchhoff_",
    "model.direct_wave",
)
DENOISER_SETTINGS = ("model.denoiser", "model.unet_", "model.prediction", "model.n_diffusion_steps")
_DENOISING = (*DENOISER_SETTINGS, "model.ema_decay", *_SAMPLING)
_SEISMIC = (
    *SEISMIC_DECODER_SETTINGS,
    "model.n_time",
    "model.amplitude_weight",
    "model.freeze",
    "model.thaw_after",
    "data.time_stride",
    "data.n_pairs",
    "data.n_validation_pairs",
)


def inversion_stage(training_set: str) -> Stage:
    """The stage that trains an inversion network on one training set."""
    generated = training_set != "real"
    return Stage(
        f"inversion_{training_set}",
        settings={"data": {"training_set": training_set}},
        module="lightning_modules.inversion.module.InversionNetModule",
        datamodule="datamodules.inversion.InversionDataModule",
        group="inversion",
        reads={"data.samples": SAMPLES} if generated else {},
        ignores=("data.n_test_", *(() if generated else ("data.n_generated", "data.real_share", "data.mixed_epochs"))),
    )


def judged(
    stages: tuple[Stage, ...], model: Mapping[str, Any] | None = None, module: str | None = None
) -> tuple[Stage, ...]:
    """Training stages, and what follows in every variant: generation, inversion networks, evaluation."""
    last, model = stages[-1].name, {"stage": "evaluate", **(model or {})}
    return (
        *stages,
        Stage(
            "generate",
            last,
            settings={"model": model, "data": {"content": "velocity"}},
            subcommands=("predict",),
            callbacks="experiments.ubdiff_evaluation.generation_callbacks",
            sources=("callbacks.sample_writer",),
            products=(SAMPLES,),
            module=module,
        ),
        *(inversion_stage(training_set) for training_set in TRAINING_SETS),
        Stage(
            "evaluate",
            last,
            settings={"model": model, "data": {"content": "pairs"}},
            subcommands=("test", "predict"),
            callbacks="experiments.ubdiff_evaluation.evaluation_callbacks",
            sources=("experiments.ubdiff_evaluation",),
            products=tuple(f"figures/{name}" for name in FIGURES if name != "training_curves.png"),
            uses=tuple(f"inversion_{training_set}" for training_set in TRAINING_SETS),
            module=module,
        ),
    )


def _training(content: Mapping[str, str]) -> tuple[Stage, Stage, Stage]:
    """UB-Diff's three training stages; `content` says which data the first and the last see."""
    return (
        Stage(
            "autoencoder",
            settings={"model": {"stage": "autoencoder"}, "data": {"content": content["autoencoder"]}},
            callbacks=AUTOENCODER_CALLBACKS,
            trains=VELOCITY_SIDE,
            ignores=(*_SEISMIC, *_DENOISING),
        ),
        Stage(
            "paired",
            "autoencoder",
            settings={"model": {"stage": "paired"}, "data": {"content": "pairs"}},
            trains=(*VELOCITY_SIDE, *SEISMIC_SIDE),
            ignores=_DENOISING,
        ),
        Stage(
            "diffusion",
            "paired",
            settings={"model": {"stage": "diffusion"}, "data": {"content": content["diffusion"]}},
            trains=DENOISER,
            builds_on=("networks.encoder.",),
            ignores=(*_SEISMIC, *_SAMPLING),
        ),
    )


def _without_two_step() -> tuple[Stage, ...]:
    """UB-Diff w/o opt: all but the denoiser trained jointly, from scratch, and everything on the n pairs alone."""
    _, paired, diffusion = _training({"autoencoder": "maps_of_pairs", "diffusion": "maps_of_pairs"})
    jointly = {"model": {"stage": "paired", "freeze": "none"}, "data": {"content": "pairs"}}
    # Which n of the maps are pairs decides what the denoiser sees.
    ignores = tuple(name for name in diffusion.ignores if name != "data.n_pairs")
    return judged(
        (
            replace(paired, starts_from=None, settings=jointly, callbacks=AUTOENCODER_CALLBACKS),
            replace(diffusion, ignores=ignores),
        )
    )


def _baseline(name: str) -> tuple[Stage, ...]:
    """A rival of the same size and length of training, which sees the n pairs alone."""
    trained = [
        Stage(
            stage,
            before,
            settings={
                "model": {"stage": stage, "baseline": name},
                "data": {"content": "pairs" if stage == "paired" else "maps_of_pairs"},
            },
            callbacks=AUTOENCODER_CALLBACKS if stage == "autoencoder" else None,
            module=BASELINES,
        )
        for before, stage in ((None, "autoencoder"), ("autoencoder", "paired"), ("paired", "diffusion"))
    ]
    return judged(tuple(trained), {"baseline": name}, BASELINES)


VARIANTS: Mapping[str, tuple[Stage, ...]] = {
    "ub_diff": judged(_training({"autoencoder": "velocity", "diffusion": "velocity"})),
    "without_two_step": _without_two_step(),
    "joint": _baseline("joint"),
    "unpaired": _baseline("unpaired"),
}
