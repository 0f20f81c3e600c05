"""Pictures of an association: arrivals by station, sources in the volume, their way there (HARPA, Figs. 4-7, 10, 15).

Functions draw into axes they are given or give a matplotlib figure; arrays in, in km and s, z down. They neither read
nor compute anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

UNASSOCIATED_COLOUR = (0.75, 0.75, 0.75, 1.0)
SPEED_CMAP, DIFFERENCE_CMAP = "viridis", "RdBu_r"


@dataclass(frozen=True)
class DrawnAssociation:
    """What is drawn of one solved problem.

    Args:
        station: `(pick,)` int, station of each pick, in the order in which they are drawn from below.
        time_s: `(pick,)`, pick times.
        true_event: `(pick,)` int, event of each pick; -1 for none.
        found_event: `(pick,)` int, the event it was given, in the numbering of the true events; -1 for none.
        stations_km: `(station, 3)`.
        true_positions_km: `(event, 3)`.
        found_positions_km: `(event, 3)`, the estimate of each true event; NaN where there is none.
        title: What it is, with its figures of merit.
        trajectories_km: `(iteration, event, 3)`, estimates on the way.
    """

    station: Array
    time_s: Array
    true_event: Array
    found_event: Array
    stations_km: Array
    true_positions_km: Array
    found_positions_km: Array
    title: str
    trajectories_km: Array | None = None


def event_colours(n: int) -> Array:
    """Colours `(n + 1, 4)` that neighbours in number can be told apart by; the last, at -1, is of no event."""
    from matplotlib import colormaps

    if n <= 10:
        colours = colormaps["tab10"](np.arange(n))
    elif n <= 20:
        colours = colormaps["tab20"](np.arange(n))
    else:
        # Steps of the golden ratio around the hue circle, in three brightnesses.
        hue = colormaps["hsv"]((np.arange(n) * 0.618034) % 1.0)
        colours = hue * np.array([1.0, 0.75, 0.5])[np.arange(n) % 3][:, None]
        colours[:, 3] = 1.0
    return np.vstack([colours.reshape(n, 4), UNASSOCIATED_COLOUR])


def draw_arrivals(axes: "Axes", drawn: DrawnAssociation, size: float = 44.0) -> None:
    """A line a station, a disk a pick: its inner colour is the true event, its outer ring the one it was given.

    What was given to another event is edged in black.
    """
    from matplotlib.ticker import MaxNLocator

    colours = event_colours(len(drawn.true_positions_km))
    rows = np.asarray(drawn.station, float)
    for row in np.unique(rows):
        axes.axhline(row, color="0.88", lw=0.6, zorder=0)
    wrong: list[float] = np.where(drawn.found_event == drawn.true_event, 0.0, 0.7).tolist()
    axes.scatter(drawn.time_s, rows, s=size, c=colours[drawn.found_event], linewidths=wrong, edgecolors="k", zorder=1)
    axes.scatter(drawn.time_s, rows, s=0.42 * size, c="white", linewidths=0, zorder=2)
    axes.scatter(drawn.time_s, rows, s=0.26 * size, c=colours[drawn.true_event], linewidths=0, zorder=3)
    axes.set_xlabel("arrival time (s)", fontsize=7)
    axes.set_ylabel("station", fontsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(drawn.title, fontsize=8)
    axes.tick_params(labelsize=6)
    axes.margins(x=0.02, y=0.02)


def volume_axes(figure: "Figure", place: Any, bounds_km: Array) -> Any:
    """Three-dimensional axes of the domain, z down.

    Args:
        figure: The figure.
        place: A cell of its grid.
        bounds_km: `(2, 3)`, lowest and highest x, y, z.
    """
    axes: Any = figure.add_subplot(place, projection="3d")
    low, high = np.asarray(bounds_km, float)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_zlim(high[2], low[2])
    for axis, name in (("x", "x (km)"), ("y", "y (km)"), ("z", "z (km)")):
        getattr(axes, f"set_{axis}label")(name, fontsize=6, labelpad=-8)
        axes.tick_params(axis=axis, labelsize=5, pad=-4)
    axes.computed_zorder = False  # what it computes puts some sources behind the faces
    axes.view_init(elev=22, azim=-60)
    axes.set_box_aspect((1, 1, 1), zoom=0.9)
    return axes


def draw_speed_on_faces(axes: Any, speed_km_s: Array, bounds_km: Array, limits: tuple[float, float], cmap: str) -> Any:
    """Values `(nx, ny, nz)` on the three far faces of volume axes: x least, y greatest, z greatest."""
    low, high = np.asarray(bounds_km, float)
    x, y, z = (np.linspace(low[i], high[i], speed_km_s.shape[i]) for i in range(3))
    levels = np.linspace(limits[0], limits[1], 24)
    values = np.clip(speed_km_s, limits[0], limits[1])
    settings: dict[str, Any] = {"levels": levels, "cmap": cmap, "antialiased": False, "zorder": 0}
    grid_y, grid_z = np.meshgrid(y, z, indexing="ij")
    axes.contourf(values[0], grid_y, grid_z, zdir="x", offset=low[0], **settings)
    grid_x, grid_z = np.meshgrid(x, z, indexing="ij")
    axes.contourf(grid_x, values[:, -1], grid_z, zdir="y", offset=high[1], **settings)
    grid_x, grid_y = np.meshgrid(x, y, indexing="ij")
    return axes.contourf(grid_x, grid_y, values[:, :, -1], zdir="z", offset=high[2], **settings)


def draw_sources(axes: Any, drawn: DrawnAssociation) -> None:
    """Stations (diamonds), true sources (circles), estimates (crosses), and a line from each to its estimate."""
    true, found = drawn.true_positions_km, drawn.found_positions_km
    above: dict[str, Any] = {"depthshade": False, "zorder": 10}
    diamond = {"marker": "D", "s": 7, "c": "limegreen", "edgecolors": "k", "linewidths": 0.3}
    axes.scatter(*drawn.stations_km.T, label="stations", **diamond, **above)
    circle = {"marker": "o", "s": 26, "facecolors": "none", "edgecolors": "k", "linewidths": 0.9}
    axes.scatter(*true.T, label="true sources", **circle, **above)
    axes.scatter(*found.T, marker="x", s=18, c="k", linewidths=0.9, label="estimates", **above)
    for a, b in zip(true, found, strict=True):
        axes.plot(*np.stack([a, b]).T, color="0.3", lw=0.6, zorder=9)


def draw_trajectories(axes: Any, drawn: DrawnAssociation) -> None:
    """The way of each estimate from its start to its end, in the colour of its event."""
    colours = event_colours(len(drawn.true_positions_km))
    ways = drawn.trajectories_km
    if ways is not None:
        for j in range(ways.shape[1]):
            axes.plot(*ways[:, j].T, color=colours[j % (len(colours) - 1)], lw=0.8)
            axes.scatter(*ways[:1, j].T, marker=".", s=10, color=colours[j % (len(colours) - 1)])
    axes.scatter(
        *drawn.true_positions_km.T,
        marker="o",
        s=26,
        facecolors="none",
        edgecolors="k",
        linewidths=0.9,
        depthshade=False,
    )


def associations(
    rows: Sequence[DrawnAssociation],
    bounds_km: Array,
    speeds_km_s: Sequence[Array | None],
    title: str,
) -> "Figure":
    """One row a solution: arrivals left, sources in the volume on the wave speed, trajectories right.

    Args:
        rows: The solutions.
        bounds_km: `(2, 3)`, the domain.
        speeds_km_s: For each row the wave speed `(nx, ny, nz)` on the volume's far faces, or None.
        title: Above all.
    """
    with_ways = any(row.trajectories_km is not None for row in rows)
    figure = new_figure(11.0 if with_ways else 8.2, 3.6 * len(rows) + 0.6)
    widths = (1.35, 1.0, 1.0) if with_ways else (1.35, 1.0)
    grid = figure.add_gridspec(len(rows), len(widths), width_ratios=widths)
    for i, (row, speed) in enumerate(zip(rows, speeds_km_s, strict=True)):
        draw_arrivals(figure.add_subplot(grid[i, 0]), row, size=_disk_size(row))
        axes = volume_axes(figure, grid[i, 1], bounds_km)
        if speed is not None:
            limits = (float(speed.min()), float(speed.max()) + 1e-9)
            image = draw_speed_on_faces(axes, speed, bounds_km, limits, SPEED_CMAP)
            figure.colorbar(image, ax=axes, shrink=0.5, pad=0.1, label="km/s").ax.tick_params(labelsize=5)
        draw_sources(axes, row)
        if i == 0:
            axes.legend(fontsize=5, loc="upper left")
        if row.trajectories_km is not None:
            ways = volume_axes(figure, grid[i, 2], bounds_km)
            draw_trajectories(ways, row)
            ways.set_title("trajectories", fontsize=8)
    figure.suptitle(
        f"{title}\ninner disk: true event; outer ring: event found, edged in black where that is another", fontsize=9
    )
    return figure


def _disk_size(drawn: DrawnAssociation) -> float:
    """Disks that many stations and picks leave room for."""
    n_stations = max(1, len(drawn.stations_km))
    return float(np.clip(44.0 * 20 / n_stations, 12.0, 44.0))
