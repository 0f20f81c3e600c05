"""Event and pick F1 of the tools over the event rate, and what they take."""

from pathlib import Path
from typing import Any

from callbacks import figures

_COLOURS = {"ours": "#0072B2", "PyOcto": "#D55E00", "GaMMA": "#009E73"}
_MARKERS = {"ours": "o", "PyOcto": "s", "GaMMA": "^"}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw and write the picture.

    Args:
        rows: Of each catalogue and tool.
        path: The PNG.
    """
    figure = figures.new_figure(11.0, 3.8)
    axes = figure.subplots(1, 3)
    rates = [row for row in rows if row["duration_s"] != 86_400.0]
    for place, (name, title) in zip(axes, (("event_f1", "event F1"), ("pick_f1", "pick F1"),
                                           ("cpu_s", "CPU-s of the association")), strict=True):  # fmt: skip
        for tool, colour in _COLOURS.items():
            mine = sorted((row for row in rates if row["tool"] == tool), key=lambda row: row["per_minute"])
            if mine:
                place.plot([row["per_minute"] for row in mine], [row[name] for row in mine], color=colour,
                           marker=_MARKERS[tool], markersize=4.5, linewidth=1.4, label=tool)  # fmt: skip
        place.set_xscale("log")
        place.set_xlabel("events a minute", fontsize=8)
        place.set_title(title, fontsize=9, loc="left")
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(labelsize=7)
        if name == "cpu_s":
            place.set_yscale("log")
        else:
            place.set_ylim(0, 1.02)
            place.grid(axis="y", color="0.92")
    axes[0].legend(fontsize=8, frameon=False)
    figures.save(figure, path, "synthetic catalogues with truth; the medium has three dimensions and no tool knows it")
