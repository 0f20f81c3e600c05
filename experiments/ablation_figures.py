"""The figure of an ablation: one line a strategy, one point a row, with its spread over seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from callbacks import figures
from experiments.ablation_grid import Grid
from experiments.ablation_table import COLUMNS, RowResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart without colour too, and safe for most colour-blind readers (Okabe and Ito).
_STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#56B4E9", "v"), ("#000000", "P")]


def draw(grid: Grid, results: Sequence[RowResult], path: Path, provenance: str) -> str | None:
    """Draw a grid's figure.

    Args:
        grid: With the names of what stands on the two axes; `at` is the row's own place.
        results: Its rows.
        path: The PNG to write.
        provenance: What the data are, for the figure's foot.

    Returns:
        A caption, or None where no row has both figures.
    """
    assert grid.figure is not None
    x, y = grid.figure["x"], grid.figure["y"]
    lines: dict[str, list[RowResult]] = {}
    for result in results:
        if result.spread(y) and (x == "at" or result.spread(x)):
            # Synthetic maps are other data: no line joins them with the real ones.
            parts = (result.planned.row.line, "synthetic maps" if result.planned.synthetic else None)
            lines.setdefault(", ".join(filter(None, parts)), []).append(result)
    if not lines:
        return None
    figure = figures.new_figure(6.4, 4.4)
    axes = figure.subplots()
    for (colour, marker), (line, rows) in zip(_STYLES, lines.items(), strict=False):
        _draw_line(axes, rows, x, y, colour, marker, line)
    names = [_axis_name(grid, x), _axis_name(grid, y)]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    if x == "at":
        places = sorted({float(result.planned.row.at or 0) for rows in lines.values() for result in rows})
        if places[0] > 0 and places[-1] / places[0] > 4:
            axes.set_xscale("log")
        axes.set_xticks(places, [f"{place:,.10g}" for place in places], minor=False)
        axes.minorticks_off()
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if any(lines):
        axes.legend(frameon=False, fontsize=8, title=grid.figure.get("lines"), title_fontsize=8)
    figures.save(figure, path, provenance)
    spread = "bars: standard deviation over seeds"
    marks = "" if x == "at" else " Beside each point: its place on the line, such as the share of step 1's epochs."
    return f"{names[1]} against {names[0]}, {'one line a strategy, ' if any(lines) else ''}{spread}.{marks}"


def _draw_line(axes: "Axes", rows: list[RowResult], x: str, y: str, colour: str, marker: str, label: str) -> None:
    rows = sorted(rows, key=lambda result: float(result.planned.row.at or 0))
    heights = [spread for result in rows if (spread := result.spread(y))]
    widths = [None if x == "at" else result.spread(x) for result in rows]
    xs = [
        float(row.planned.row.at or 0) if width is None else width.mean for row, width in zip(rows, widths, strict=True)
    ]
    axes.errorbar(
        xs,
        [spread.mean for spread in heights],
        yerr=[spread.sd or 0.0 for spread in heights],
        xerr=None if x == "at" else [(width.sd or 0.0) if width else 0.0 for width in widths],
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=1.2,
        capsize=2,
        label=label or None,
    )
    for place, spread, result in zip(xs, heights, rows, strict=True):
        if x == "at":
            continue
        text = f"{result.planned.row.at:g}"
        axes.annotate(text, (place, spread.mean), xytext=(5, 4), textcoords="offset points", fontsize=7, color=colour)


def _axis_name(grid: Grid, name: str) -> str:
    if name != "at":
        return COLUMNS.get(name, name)
    return {"n_pairs": "training pairs n", "steps": "sampling steps", "latent": "length of the co-latent"}.get(
        grid.name, "place"
    )
