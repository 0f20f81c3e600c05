"""Pictures of Frechet distances."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (
    ("generated", "{key}/frechet_ratio", "tab:red"),
    ("held-out samples, reconstructed by the autoencoder", "{key}/reconstruction_frechet_ratio", "tab:orange"),
    ("training samples (a perfect generator)", "{key}/frechet_ratio_of_training_{samples}", "tab:blue"),
)
OTHER = "/..."
SPACES = {"": "principal components", "/family_encoder": "family encoder", "/efficientnet": "ImageNet", OTHER: ""}


def frechet_ratios(metrics: Mapping[str, float], features: Mapping[str, str]) -> "Figure":
    """Frechet distance over the same-n real-to-real floor, for each modality and feature network.

    Args:
        metrics: As `FrechetEvaluation` gives them; what is not there is not drawn.
        features: Name and digest of the feature network by figure.

    Where there were too few samples to measure anything the picture says so.
    """
    from matplotlib.ticker import LogFormatter

    spaces = [key.removesuffix("/frechet") for key in features if f"{key}_ratio" in metrics]
    spaces.sort(key=lambda key: (_modality(key) != "velocity", list(SPACES).index(_suffix(key)), key))
    if not spaces:
        figure = new_figure(5.0, 2.0)
        figure.text(0.5, 0.5, "too few samples for a Frechet distance", ha="center")
        return figure
    figure = new_figure(2.6 + 1.4 * len(spaces), 5.6)
    axes = figure.subplots()
    for k, (label, pattern, color) in enumerate(KINDS):
        names = [pattern.format(key=key, samples=_samples(key)) for key in spaces]
        drawn = [
            (place, metrics[name], metrics.get(f"{name}_sd")) for place, name in enumerate(names) if name in metrics
        ]
        if not drawn:
            continue
        places, values, spreads = zip(*drawn, strict=True)
        errors = [spread or 0.0 for spread in spreads] if any(spreads) else None
        bars = axes.bar(
            np.array(places) + 0.27 * (k - 1), values, 0.25, label=label, color=color, yerr=errors, error_kw={"lw": 0.8}
        )
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axes.axhline(1.0, color="k", lw=0.9, ls="--", label="floor: held-out against held-out, same n")
    axes.set_yscale("log")
    for ticks_of in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks_of(LogFormatter())  # 4, not 4 times 10 to the 0
    ticks = [f"{_modality(key)}\n{_space(key)}\nn = {metrics[f'{key}/frechet_n']:.0f}" for key in spaces]
    axes.set_xticks(range(len(spaces)), ticks, fontsize=8)
    axes.set_xlim(-0.6, len(spaces) - 0.4)
    axes.margins(y=0.2)
    axes.set_ylabel("Frechet distance / floor", fontsize=8)
    axes.tick_params(axis="y", labelsize=7, which="both")
    axes.legend(fontsize=7)
    axes.set_title("Frechet distance to held-out samples, as a ratio to the floor", fontsize=10)
    axes.set_xlabel(caption(features), fontsize=6.5, color="0.25", loc="left")
    return figure


def caption(features: Mapping[str, str]) -> str:
    """The feature networks, name and digest, one a line."""
    return "\n".join(f"{key.removesuffix('/frechet')}: {network}" for key, network in sorted(features.items()))


def _modality(key: str) -> str:
    return key.split("/")[0]


def _suffix(key: str) -> str:
    suffix = key.removeprefix(_modality(key))
    return suffix if suffix in SPACES else OTHER


def _samples(key: str) -> str:
    return "maps" if _modality(key) == "velocity" else "gathers"


def _space(key: str) -> str:
    return SPACES[_suffix(key)] or key.split("/", 1)[1]
