"""Pictures of wave speeds: a volume's sections, and truth, estimate and difference (HARPA, Figs. 6-7, 11-15).

Arrays `(nx, ny, nz)` in km/s, z down, over a domain in km; a matplotlib figure out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from callbacks.association_figures import DIFFERENCE_CMAP, SPEED_CMAP, draw_speed_on_faces, volume_axes
from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]


def sections(speed_km_s: Array) -> tuple[Array, Array]:
    """A vertical section `(nz, nx)` at mid y, and a horizontal `(ny, nx)` one at a third of the depth."""
    _, ny, nz = speed_km_s.shape
    return speed_km_s[:, ny // 2, :].T, speed_km_s[:, :, nz // 3].T


def draw_section(
    axes: "Axes", section: Array, limits: tuple[float, float], extent_km: tuple[float, float], cmap: str = SPEED_CMAP,
    title: str = "",
) -> Any:  # fmt: skip
    """One section; rows downwards."""
    image = axes.imshow(
        section, vmin=limits[0], vmax=limits[1], cmap=cmap, extent=(0, extent_km[0], extent_km[1], 0), aspect="equal"
    )
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)
    return image


def recovered_wave_speeds(
    truth_km_s: Sequence[Array],
    found_km_s: Sequence[Array],
    bounds_km: Array,
    names: Sequence[str],
    title: str,
    found_name: str = "recovered",
) -> "Figure":
    """Truth, estimate and their difference, in a vertical and a horizontal section each; a pair of rows a speed.

    Args:
        truth_km_s: True speeds, each `(nx, ny, nz)`.
        found_km_s: Estimates, likewise.
        bounds_km: `(2, 3)`, the domain.
        names: Of the rows.
        title: Above all.
        found_name: What the estimates are.
    """
    n = len(truth_km_s)
    figure = new_figure(7.6, 4.2 * n + 0.5)
    axes = figure.subplots(2 * n, 3, squeeze=False)
    size = np.asarray(bounds_km, float)[1] - np.asarray(bounds_km, float)[0]
    for i, (truth, found, name) in enumerate(zip(truth_km_s, found_km_s, names, strict=True)):
        limits = float(min(truth.min(), found.min())), float(max(truth.max(), found.max()))
        difference = found - truth
        reach = max(float(np.abs(difference).max()), 1e-3)
        rmse = float(np.sqrt(np.mean(np.square(difference))))
        panels = (
            (truth, limits, SPEED_CMAP, f"{name}: truth"),
            (found, limits, SPEED_CMAP, found_name),
            (difference, (-reach, reach), DIFFERENCE_CMAP, f"difference, RMSE {rmse:.2f} km/s"),
        )
        for j, (values, span, cmap, label) in enumerate(panels):
            vertical, horizontal = sections(values)
            draw_section(axes[2 * i, j], vertical, span, (size[0], size[2]), cmap, label)
            image = draw_section(axes[2 * i + 1, j], horizontal, span, (size[0], size[1]), cmap)
            if j:
                bar = figure.colorbar(image, ax=axes[2 * i : 2 * i + 2, j], shrink=0.6, label="km/s")
                bar.ax.tick_params(labelsize=6)
        axes[2 * i, 0].set_ylabel("z (km), at mid y", fontsize=7)
        axes[2 * i + 1, 0].set_ylabel("y (km), at a third of the depth", fontsize=7)
        axes[2 * i + 1, 1].set_xlabel("x (km)", fontsize=7)
    figure.suptitle(title, fontsize=9)
    return figure


def wave_speeds(speeds_km_s: Sequence[Array], bounds_km: Array, names: Sequence[str], title: str) -> "Figure":
    """Several speeds side by side, each on three faces of the volume, on one colour scale."""
    n = len(speeds_km_s)
    figure = new_figure(2.9 * n + 0.6, 3.3)
    grid = figure.add_gridspec(1, n)
    limits = (min(float(s.min()) for s in speeds_km_s), max(float(s.max()) for s in speeds_km_s) + 1e-9)
    drawn: list[Any] = []
    image: Any = None
    for i, (speed, name) in enumerate(zip(speeds_km_s, names, strict=True)):
        axes = volume_axes(figure, grid[0, i], bounds_km)
        image = draw_speed_on_faces(axes, speed, bounds_km, limits, SPEED_CMAP)
        axes.set_title(name, fontsize=8)
        drawn.append(axes)
    figure.colorbar(image, ax=drawn, shrink=0.7, pad=0.08, label="km/s").ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=9)
    return figure
