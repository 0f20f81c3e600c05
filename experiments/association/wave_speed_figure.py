"""The wave speed that a solve has estimated: two depths and two sections, with stations and events."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from callbacks import figures
from experiments.association.files.grids import Grid

if TYPE_CHECKING:
    from experiments.association.outputs import Record

_SHALLOW, _DEEP = 0.2, 0.6  # of the grid's depth


def draw(wave_speed_km_s: np.ndarray, grid: Grid, record: "Record", path: Path) -> None:
    """Draw and write the picture.

    Args:
        wave_speed_km_s: `(nx, ny, nz)`.
        grid: Its nodes.
        record: The solve.
        path: The PNG.
    """
    low, high = grid.bounds_km
    events, stations = record.association.events.positions_km, record.stations.positions_km
    middle = np.median(events, axis=0) if len(events) else (low + high) / 2
    cuts = [(2, low[2] + share * (high[2] - low[2])) for share in (_SHALLOW, _DEEP)] + [(1, middle[1]), (0, middle[0])]
    figure = figures.new_figure(15.0, 4.0)
    panels = figure.subplots(1, 4)
    limits = float(wave_speed_km_s.min()), float(wave_speed_km_s.max())
    image = None
    for axes, (across, at) in zip(panels, cuts, strict=True):
        first, second = (axis for axis in range(3) if axis != across)
        node = int(np.clip(round((at - low[across]) / grid.spacing_km), 0, grid.shape[across] - 1))
        image = axes.imshow(
            np.take(wave_speed_km_s, node, axis=across).T, cmap=figures.VELOCITY_CMAP, vmin=limits[0], vmax=limits[1],
            extent=(low[first], high[first], low[second], high[second]), origin="lower",
        )  # fmt: skip
        for places, marker, colours in ((stations, "^", ("white", "black")), (events, "o", ("#D55E00", "white"))):
            axes.plot(
                places[:, first], places[:, second], marker, color=colours[0], markeredgecolor=colours[1], markersize=5,
                clip_on=False,
            )  # fmt: skip
        axes.set_xlim(low[first], high[first])
        axes.set_ylim(low[second], high[second])
        if second == 2:
            axes.invert_yaxis()
        axes.set_title(f"{'xyz'[across]} = {low[across] + node * grid.spacing_km:.1f} km", fontsize=9)
        axes.set_xlabel(f"{'xyz'[first]} (km)", fontsize=8)
        axes.set_ylabel(f"{'xyz'[second]} (km{', down' if second == 2 else ''})", fontsize=8)
        axes.tick_params(labelsize=7)
    assert image is not None
    bar = figure.colorbar(image, ax=panels, shrink=0.85)
    bar.set_label("estimated wave speed (km/s)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figures.save(figure, path, f"{record.options.picks.name}: all stations (triangles) and events (dots), "
                 "wherever they lie across the section")  # fmt: skip
