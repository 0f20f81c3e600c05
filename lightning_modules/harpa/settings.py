"""Networks from settings, and which settings can be."""

from collections.abc import Mapping
from typing import Any

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.station_field import StationField
from lightning_modules.harpa.travel_time_field import TravelTimeField
from lightning_modules.harpa.wave_speed_autoencoder import WaveSpeedAutoencoder

# What fixes the shape and meaning of the weights.
AUTOENCODER_SETTINGS = ("latent_dim", "autoencoder", "autoencoder_width", "autoencoder_depth", "n_components")
FIELD_SETTINGS = ("n_stations", "latent_dim", "field", "width", "depth", "w0", "latent_use", "modulator_width")


def build_autoencoder(settings: Mapping[str, Any]) -> WaveSpeedAutoencoder | None:
    """The autoencoder of a module with these settings; None where the wave speed is known.

    Raises:
        ModuleError: If a setting is impossible.
    """
    if settings["latent_dim"] == 0:
        return None
    return WaveSpeedAutoencoder(
        settings["latent_dim"],
        settings["autoencoder"],
        settings["autoencoder_width"],
        settings["autoencoder_depth"],
        settings["n_components"],
        settings["code_noise"],
    )


def build_field(settings: Mapping[str, Any]) -> StationField:
    """The travel-time network of a module with these settings.

    Raises:
        ModuleError: If a setting is impossible.
    """
    decoded = settings["latent_use"] == "decoded"
    return StationField(
        settings["n_stations"],
        settings["n_components"] if decoded and settings["latent_dim"] else settings["latent_dim"],
        settings["field"],
        settings["width"],
        settings["depth"],
        settings["w0"],
        "concat" if settings["latent_use"] == "concat" else "modulate",
        settings["modulator_width"],
    )


def compose(
    field: StationField, autoencoder: WaveSpeedAutoencoder | None, settings: Mapping[str, Any]
) -> TravelTimeField:
    """The travel-time field as the association uses it."""
    return TravelTimeField(field, autoencoder, settings["latent_use"])


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings from which nothing can be built.

    Raises:
        ModuleError: With the name of the setting, what was found and what is possible.
    """
    choices = {
        "stage": ("autoencoder", "field", "refine", "evaluate"),
        "latent_use": ("decoded", "modulate", "concat"),
        "optimizer": ("soap", "adamw"),
    }
    for name, possible in choices.items():
        if settings[name] not in possible:
            raise ModuleError(f"{name}: got {settings[name]!r}; give one of {', '.join(possible)}.")
    if settings["latent_dim"] < 0:
        raise ModuleError(
            f"latent_dim: got {settings['latent_dim']}; give 0 for a known wave speed, or 3 to 6 for an unknown one."
        )
    if settings["stage"] == "autoencoder" and settings["latent_dim"] == 0:
        raise ModuleError(
            "latent_dim: got 0, a known wave speed, in stage 'autoencoder'; give 3 to 6, or start with stage 'field'."
        )
    if settings["latent_dim"] and settings["latent_use"] == "decoded" and settings["autoencoder"] != "components":
        raise ModuleError(
            f"latent_use: got 'decoded' with autoencoder {settings['autoencoder']!r}, which has no components to tell "
            f"the field; give latent_use 'modulate' or 'concat', or autoencoder 'components'."
        )
    if settings["stage"] == "refine" and not (settings["latent_dim"] and settings["latent_use"] == "decoded"):
        raise ModuleError(
            "latent_use: stage 'refine' needs an unknown wave speed and a field that is told the decoded one; give "
            "latent_dim 3 to 6 and latent_use 'decoded', or leave the stage out."
        )
    if settings["times_weight"] < 0.0 or settings["times_points"] < 1:
        raise ModuleError(
            f"times_weight, times_points: got {settings['times_weight']} and {settings['times_points']}; give a number "
            f"of at least 0 and a whole number of at least 1."
        )
    if settings["stop_at_rmse"] < 0.0:
        raise ModuleError(f"stop_at_rmse: got {settings['stop_at_rmse']}; give a number of at least 0, 0 for never.")
