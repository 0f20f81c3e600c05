"""Pictures: the tools' F1 and CPU over the event rate, and CPU and memory over the days of a catalogue."""

from pathlib import Path
from typing import Any

import numpy as np

from callbacks import figures

_COLOURS = {"ours": "#0072B2", "PyOcto": "#D55E00", "GaMMA": "#009E73"}
_MARKERS = {"ours": "o", "PyOcto": "s", "GaMMA": "^"}


def draw_rates(rows: list[dict[str, Any]], path: Path, provenance: str) -> None:
    """Scores over the rate.

    Args:
        rows: Of each catalogue and tool; those of tools that were stopped have no scores, and leave a gap.
        path: The PNG.
        provenance: What the catalogues are.
    """
    figure = figures.new_figure(11.0, 3.8)
    axes = figure.subplots(1, 3)
    rates = [row for row in rows if row["duration_s"] != 86_400.0]
    for place, (name, title) in zip(axes, (("event_f1", "event F1"), ("pick_f1", "pick F1"),
                                           ("cpu_s", "CPU-s of the association")), strict=True):  # fmt: skip
        for tool, colour in _COLOURS.items():
            mine = sorted((row for row in rates if row["tool"] == tool), key=lambda row: row["per_minute"])
            if mine:
                # No line leads past a rate at which a tool was stopped.
                place.plot([row["per_minute"] for row in mine], [row.get(name, np.nan) for row in mine], color=colour,
                           marker=_MARKERS[tool], markersize=4.5, linewidth=1.4, label=tool)  # fmt: skip
        place.set_xscale("log")
        place.set_xlabel("events a minute", fontsize=8)
        place.set_title(title, fontsize=9, loc="left")
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(labelsize=7)
        if name == "cpu_s":
            if any("failed" not in row for row in rates):
                place.set_yscale("log")
        else:
            place.set_ylim(0, 1.02)
            place.grid(axis="y", color="0.92")
    if rates:
        axes[0].legend(fontsize=8, frameon=False)
    figures.save(figure, path, provenance)


def draw_growth(rows: list[dict[str, Any]], path: Path, provenance: str) -> None:
    """CPU and memory over the days.

    Args:
        rows: Of each catalogue.
        path: The PNG.
        provenance: What the catalogues are.
    """
    figure = figures.new_figure(7.6, 3.4)
    axes = figure.subplots(1, 2)
    days = [row["days"] for row in rows]
    for place, names, title in zip(axes, (("cpu_s", "association_cpu_s"), ("peak_mb",)),
                                   ("CPU-s", "peak memory, MB"), strict=True):  # fmt: skip
        for name, colour in zip(names, ("#0072B2", "#999999"), strict=False):
            label = {"cpu_s": "whole program", "association_cpu_s": "association"}.get(name)
            place.plot(
                days, [row[name] for row in rows], "o-", color=colour, markersize=4.5, linewidth=1.4, label=label
            )
        place.set_xscale("log")
        place.set_xticks(days, [f"{n:,}" for n in days])
        place.minorticks_off()
        place.set_xlabel("days", fontsize=8)
        place.set_title(title, fontsize=9, loc="left")
        place.spines[["top", "right"]].set_visible(False)
        place.tick_params(labelsize=7)
    axes[0].set_yscale("log")
    axes[0].legend(fontsize=8, frameon=False)
    axes[1].set_ylim(0, 1.1 * max(row["peak_mb"] for row in rows))
    figures.save(figure, path, provenance)
