"""The figures by name: who makes each, what it shows, and what the paper has."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One figure.

    Args:
        make: Import path of `(Context) -> Made`.
        caption: What it shows.
        paper: The paper's values, by name.
    """

    make: str
    caption: str
    paper: Mapping[str, str]


_HERE = "experiments.harpa_figures"

GALLERY: Mapping[str, Entry] = {
    "fig1": Entry(
        f"{_HERE}.known_speed.figure_1",
        "Overthrust: two events 20 s apart and four within 2 s (Fig. 1e-g).",
        {"text": "the two are easily associated, among the four the order of arrivals carries no significance"},
    ),
    "fig4": Entry(
        f"{_HERE}.known_speed.figure_4",
        "Association at four confusion factors, known overthrust, 8 x 20.",
        {"CF .88": "ACC .975, e_l .04 s", "CF .42": "ACC .988, e_l .03 s", "CF .05": "ACC 1, e_l .02 s",
         "CF .02": "ACC 1, e_l .03 s"},
    ),
    "fig5": Entry(
        f"{_HERE}.known_speed.figure_5",
        "Known overthrust, 8 x 20, CF .93: arrivals, sources, trajectories.",
        {"CF .93": "ACC .950, e_l .03 s"},
    ),
    "fig6": Entry(
        f"{_HERE}.unknown_speed.figure_6",
        "Unknown random-field speed, 8 x 20, CF .94: arrivals, sources, speed found and its error.",
        {"8x20, CF .94": "ACC .913, e_l .07 s, wave speed RMSE .78 km/s, location RMSE 3.48 km"},
    ),
    "fig7": Entry(
        f"{_HERE}.unknown_speed.figure_7",
        "Unknown random-field speed, sixteen events, fifty and twenty stations.",
        {"16x50, CF .98": "ACC .720, e_l .10 s, location 3.18 km, wave speed 1.94 km/s",
         "16x20, CF .90": "ACC .284, e_l .29 s"},
    ),
    "fig8": Entry(
        f"{_HERE}.event_station_grid.figure_8",
        "Accuracy and relative errors against events and stations, unknown speed (up to 2 fields, L = 4).",
        {"text": "mean CF .80; bars in the figure alone: more stations and more events help the wave speed"},
    ),
    "fig9": Entry(
        f"{_HERE}.robustness.figure_9",
        "Wrong wave speeds (a: fixed-speed field, b: generative field), missing and spurious picks (c).",
        {"text": "heat maps alone, 20 trials a cell: (b) is much more robust than (a); at small CF both are accurate",
         "p_n .05, p_m .1, CF .88": "ACC .756 (its authors' log)"},
    ),
    "fig10": Entry(
        f"{_HERE}.known_speed.figure_10",
        "The same start with noise (SGLD) and without (SGD), known overthrust, 8 x 20, CF .85.",
        {"SGLD": "ACC .925, e_l .02 s", "SGD": "ACC .375, e_l .59 s"},
    ),
    "fig11": Entry(f"{_HERE}.wave_speed_samples.figure_11", "Background wave speed.", {}),
    "fig12": Entry(f"{_HERE}.wave_speed_samples.figure_12", "Gaussian random fields, alpha = 2.5.", {}),
    "fig13": Entry(
        f"{_HERE}.wave_speed_samples.figure_13", "Unseen wave speeds and what the autoencoder makes of them, L = 6.", {}
    ),
    "fig14": Entry(f"{_HERE}.wave_speed_samples.figure_14", "Gaussian-perturbation wave speeds.", {}),
    "fig15": Entry(
        f"{_HERE}.unknown_speed.figure_15",
        "Unknown Gaussian-perturbation speed, 8 x 20, CF .79.",
        {"8x20, CF .79": "ACC .963, e_l .02 s"},
    ),
}  # fmt: skip
