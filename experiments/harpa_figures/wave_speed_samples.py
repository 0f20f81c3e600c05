"""Figures 11 to 14: the wave speeds, and what the autoencoder makes of unseen ones."""

import numpy as np

from callbacks.wave_speed_figures import recovered_wave_speeds, wave_speeds
from datamodules.simulate.wave_speeds import (
    EXTENT_KM,
    background,
    gaussian_perturbation_wave_speeds,
    gaussian_random_field_modes,
)
from experiments.association.metrics import wave_speed_rmse_km_s
from experiments.harpa_figures.context import UNKNOWN, Context, Made

BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [EXTENT_KM, EXTENT_KM, EXTENT_KM]])
SYNTHETIC = "synthetic, as the paper describes them (Sections 5.5 and 5.6)"
N_SHOWN = 4


def figure_11(context: Context) -> Made:
    """The background."""
    speed = background()
    figure = wave_speeds([speed], BOUNDS_KM, ["5 to 25 km/s"], "Figure 11: background wave speed")
    return Made({"": figure}, {"least_km_s": float(speed.min()), "largest_km_s": float(speed.max())}, SYNTHETIC)


def figure_12(context: Context) -> Made:
    """Patterns of which the random-field speeds are made."""
    modes = gaussian_random_field_modes(N_SHOWN)
    names = [f"pattern {i}" for i in range(N_SHOWN)]
    figure = wave_speeds(list(modes), BOUNDS_KM, names, "Figure 12: Gaussian random fields, alpha = 2.5")
    return Made({"": figure}, {"sd_km_s": [float(mode.std()) for mode in modes]}, SYNTHETIC)


def figure_13(context: Context) -> Made:
    """Unseen wave speeds, and what comes back from their codes."""
    trained = context.trained(UNKNOWN)
    truths, back, errors = [], [], []
    for index in trained.test_indices[:50]:
        truth = trained.wave_speeds_km_s[int(index)]
        latent = trained.latent_of(truth)
        assert latent is not None
        truths.append(truth)
        back.append(trained.wave_speed_of(latent))
        errors.append(wave_speed_rmse_km_s(back[-1], truth))
    mean = float(np.sqrt(np.mean(np.square(errors))))
    figure = recovered_wave_speeds(
        truths[:2],
        back[:2],
        BOUNDS_KM,
        ["unseen speed 1", "unseen speed 2"],
        f"Figure 13: unseen wave speeds through the autoencoder (L = {int(trained.field.n_latent)}); RMSE over "
        f"{len(errors)} of them {mean:.2f} km/s",
        "autoencoder",
    )
    results = {"n": len(errors), "rmse_km_s": mean, "rmse_of_each_km_s": errors}
    return Made({"": figure}, results, trained.data.source.sentence)


def figure_14(context: Context) -> Made:
    """Wave speeds of the Gaussian-perturbation set."""
    speeds = gaussian_perturbation_wave_speeds(N_SHOWN)
    names = [f"sample {i}" for i in range(N_SHOWN)]
    figure = wave_speeds(list(speeds), BOUNDS_KM, names, "Figure 14: Gaussian-perturbation wave speeds")
    return Made({"": figure}, {"least_km_s": float(speeds.min()), "largest_km_s": float(speeds.max())}, SYNTHETIC)
