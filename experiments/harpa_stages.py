"""HARPA's stages: the paper trains an autoencoder of wave speeds, then the field of travel times, then associates.

Ours has one more: `refine` trains the autoencoder again, with the frozen field as its teacher, to remember of a wave
speed what travel times need; preset `paper` leaves it out. Where the wave speed is known there is nothing to encode.
"""

from collections.abc import Mapping

from experiments.experiment import Stage

WAVE_SPEED_DATA = "datamodules.wave_speeds.WaveSpeedDataModule"
ASSOCIATION_DATA = "datamodules.association_trials.AssociationTrialsDataModule"
AUTOENCODER, FIELD = ("autoencoder.",), ("field.",)

# Settings of networks that the autoencoder has nothing to do with.
_FIELD_SETTINGS = (
    "model.field",
    "model.width",
    "model.depth",
    "model.w0",
    "model.latent_use",
    "model.modulator_width",
    "model.n_stations",
)
PICTURES = ("associations.png", "field_errors.png")


def _field(starts_from: str | None) -> Stage:
    return Stage("field", starts_from, settings={"model": {"stage": "field"}}, trains=FIELD, builds_on=AUTOENCODER)


def _association(starts_from: str, pictures: tuple[str, ...]) -> Stage:
    """Nothing is trained: problems are made with the data's true travel times and solved with the field's."""
    return Stage(
        "association",
        starts_from,
        settings={"model": {"stage": "evaluate"}},
        subcommands=("test",),
        callbacks="experiments.harpa_evaluation.association_callbacks",
        sources=("experiments.harpa_evaluation",),
        products=tuple(f"figures/{name}" for name in pictures),
        datamodule=ASSOCIATION_DATA,
    )


_AUTOENCODER = Stage(
    "autoencoder",
    settings={"model": {"stage": "autoencoder"}},
    datamodule=WAVE_SPEED_DATA,
    trains=AUTOENCODER,
    ignores=_FIELD_SETTINGS,
)
_REFINE = Stage(
    "refine", "field", settings={"model": {"stage": "refine"}}, datamodule=WAVE_SPEED_DATA, trains=AUTOENCODER
)
_PICTURES_OF_UNKNOWN = (*PICTURES, "wave_speeds.png")

KNOWN_SPEED = (_field(None), _association("field", PICTURES))
UNKNOWN_SPEED = (_AUTOENCODER, _field("autoencoder"), _REFINE, _association("refine", _PICTURES_OF_UNKNOWN))
AS_PUBLISHED = (_AUTOENCODER, _field("autoencoder"), _association("field", _PICTURES_OF_UNKNOWN))
VARIANTS: Mapping[str, tuple[Stage, ...]] = {
    "known_speed": KNOWN_SPEED,
    "unknown_speed": UNKNOWN_SPEED,
    "unknown_speed_as_published": AS_PUBLISHED,
}
KNOWN, UNKNOWN = ("overthrust",), ("grf", "gaussian")
"""Wave speeds that are given, and families of which one is to be found."""


def variant_of(wave_speed: str, preset: str) -> str:
    """The variant that a wave speed is run as."""
    if wave_speed not in UNKNOWN:
        return "known_speed"
    return "unknown_speed_as_published" if preset == "paper" else "unknown_speed"
