"""Pictures of what inversion networks make of held-out gathers; arrays in, a figure out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from callbacks.figures import draw_velocity, new_figure, velocity_limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]


_TRAINED_ON = {"generated_maps_exact_simulator": "generated maps,\nexact simulator"}


def _words(name: str) -> str:
    return _TRAINED_ON.get(name, name.replace("_", " "))


def inverted_maps(truth: Array, inverted: Mapping[str, Array], n: int = 5) -> "Figure":
    """Held-out maps in the first column, one column for each training set beside it.

    Args:
        truth: Held-out maps `(n, 70, 70)`, m/s.
        inverted: Trained on -> inverted maps, likewise.
        n: How many rows at most.
    """
    n = min(n, len(truth))
    figure = new_figure(2.1 * (1 + len(inverted)) + 0.6, 1.9 * n + 0.6)
    axes = figure.subplots(n, 1 + len(inverted), squeeze=False)
    low, high = velocity_limits(truth[:n])
    image: Any = None
    for row in range(n):
        image = draw_velocity(axes[row, 0], truth[row], low, high, "held-out map" if row == 0 else "")
        axes[row, 0].set_ylabel("depth (km)", fontsize=7)
        for column, (name, maps) in enumerate(inverted.items(), start=1):
            mae = float(np.abs(maps[row] - truth[row]).mean())
            title = f"trained on\n{_words(name)}\n" if row == 0 else ""
            draw_velocity(axes[row, column], maps[row], low, high, f"{title}MAE {mae:.0f} m/s")
    for below in axes[-1]:
        below.set_xlabel("distance (km)", fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="m/s").ax.tick_params(labelsize=6)
    figure.suptitle("Held-out gathers inverted by networks that learned from different pairs", fontsize=10)
    return figure


def field_robustness(mae: Mapping[str, Mapping[str, float]], n_pairs: int, mean_map_mae: float) -> "Figure":
    """Error under each field effect: a group of bars for each effect, a bar for each training set.

    Args:
        mae: Trained on -> effect -> normalised MAE, the same effects in each.
        n_pairs: How many held-out pairs it was measured on.
        mean_map_mae: Error of the mean training map, which needs no gather: what is above is worse than no inversion.
    """
    effects = list(next(iter(mae.values())))
    figure = new_figure(1.0 + 1.05 * len(effects), 4.2)
    axes = figure.subplots()
    width = 0.8 / len(mae)
    for k, (name, values) in enumerate(mae.items()):
        places = np.arange(len(effects)) + (k - (len(mae) - 1) / 2) * width
        axes.bar(
            places,
            [values[effect] for effect in effects],
            width * 0.92,
            label=f"trained on {_words(name)}".replace("\n", " "),
        )
        if effects[0] == "none":
            axes.axhline(values["none"], color=f"C{k}", lw=0.7, ls=":")
    axes.axhline(mean_map_mae, color="0.4", lw=0.8, ls="--", label="the mean training map")
    axes.set_xticks(range(len(effects)), [_broken(_words(effect)) for effect in effects], fontsize=8)
    axes.set_ylabel("velocity MAE, normalised to -1..1", fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    axes.legend(fontsize=7)
    axes.set_title(
        f"Inversion of {n_pairs} held-out gathers under field effects (dotted: untouched gathers)", fontsize=10
    )
    return figure


def _broken(words: str) -> str:
    """Words on two or three lines, as an axis has room for; a number stays with its unit."""
    lines = [""]
    for word in words.replace(" percent", " %").replace(" hz", " Hz").replace(" db", " dB").split():
        number_before = lines[-1].rpartition(" ")[2].isdigit()
        if lines[-1] and not number_before and len(lines[-1]) + len(word) > 7:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
