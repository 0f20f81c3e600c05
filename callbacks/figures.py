"""Pictures of velocity maps and gathers, in one style.

Functions take arrays in physical units and give a matplotlib figure; they neither read nor compute anything.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]

KM_PER_CELL = 0.01
FOOT_SIZE = 7
VELOCITY_CMAP, SEISMIC_CMAP = "viridis", "seismic"


def save(figure: "Figure", path: Path, provenance: str = "") -> Path:
    """Write a PNG beside and rename it; what the data are stands at its foot, in as many lines as it takes."""
    if provenance:
        figure.supxlabel(_in_lines(provenance, figure.get_figwidth()), fontsize=FOOT_SIZE, color="0.35")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    figure.savefig(beside, format="png", dpi=110)
    beside.replace(path)
    return path


def _in_lines(text: str, width_inches: float) -> str:
    """Break lines of a figure's foot where they would leave the figure."""
    # Most letters are narrower than .58 of the font's size, which is in points of 1/72 inch.
    n_letters = max(20, int(width_inches * 72 / (0.58 * FOOT_SIZE)))
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, n_letters) or [""])


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that no window and no global state knows of; inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_velocity(axes: "Axes", velocity_m_s: Array, vmin: float, vmax: float, title: str = "") -> Any:
    """A velocity map `(70, 70)` over distance and depth."""
    n = velocity_m_s.shape[0] * KM_PER_CELL
    image = axes.imshow(velocity_m_s, cmap=VELOCITY_CMAP, vmin=vmin, vmax=vmax, extent=(0, n, n, 0))
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)
    return image


def draw_gather(axes: "Axes", gather: Array, time_step_s: float, clip: float, title: str = "") -> Any:
    """One shot's gather `(time, receiver)` over distance and time, amplitude clipped at +-`clip`."""
    n_time, n_receivers = gather.shape
    extent = (0, n_receivers * KM_PER_CELL, n_time * time_step_s, 0)
    image = axes.imshow(gather, cmap=SEISMIC_CMAP, vmin=-clip, vmax=clip, extent=extent, aspect="auto")
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)
    return image


def velocity_limits(*maps: Array) -> tuple[float, float]:
    """Common colour limits of several maps, m/s."""
    return min(float(m.min()) for m in maps), max(float(m.max()) for m in maps)


def gather_clip(gather: Array) -> float:
    """A clip that shows reflections beside the direct wave, which is many times stronger."""
    return max(float(np.percentile(np.abs(gather), 97)), 1e-6)


def reconstructions(
    velocity: Array, velocity_back: Array, seismic: Array, seismic_back: Array, time_step_s: float, shot: int = 2
) -> "Figure":
    """Held-out truth above, reconstruction below: maps left, one shot's gather right.

    Args:
        velocity: True maps `(n, 70, 70)`, m/s.
        velocity_back: Reconstructed maps.
        seismic: True gathers `(n, shot, time, receiver)`.
        seismic_back: Reconstructed gathers.
        time_step_s: Sampling of the gathers.
        shot: Which shot is drawn.
    """
    n = len(velocity)
    figure = new_figure(2.2 * n, 9.0)
    axes = figure.subplots(4, n, squeeze=False)
    low, high = velocity_limits(velocity)
    image: Any = None
    for i in range(n):
        clip = gather_clip(seismic[i, shot])
        mae = float(np.abs(velocity_back[i] - velocity[i]).mean())
        draw_velocity(axes[0, i], velocity[i], low, high, "held-out map")
        image = draw_velocity(axes[1, i], velocity_back[i], low, high, f"reconstructed, MAE {mae:.0f} m/s")
        draw_gather(axes[2, i], seismic[i, shot], time_step_s, clip, "exact gather")
        draw_gather(axes[3, i], seismic_back[i, shot], time_step_s, clip, "decoded gather")
    figure.colorbar(image, ax=axes[:2, :], shrink=0.5, label="m/s").ax.tick_params(labelsize=6)
    _label_first_column(axes, ("depth (km)", "depth (km)", "time (s)", "time (s)"))
    figure.suptitle(f"Held-out pairs and their reconstruction from the map (shot {shot + 1} of 5)", fontsize=10)
    return figure


def generated_pairs(velocity: Array, seismic: Array, time_step_s: float, shot: int = 2) -> "Figure":
    """Generated maps `(n, 70, 70)` above their generated gathers `(n, shot, time, receiver)`."""
    n = len(velocity)
    figure = new_figure(1.9 * n, 4.6)
    axes = figure.subplots(2, n, squeeze=False)
    low, high = velocity_limits(velocity)
    image: Any = None
    for i in range(n):
        image = draw_velocity(axes[0, i], velocity[i], low, high, f"pair {i}")
        draw_gather(axes[1, i], seismic[i, shot], time_step_s, gather_clip(seismic[i, shot]))
    figure.colorbar(image, ax=axes[0, :], shrink=0.8, label="m/s").ax.tick_params(labelsize=6)
    _label_first_column(axes, ("depth (km)", "time (s)"))
    figure.suptitle(f"Generated pairs: map above, gather of shot {shot + 1} of 5 below", fontsize=10)
    return figure


def physics_traces(
    velocity: Array,
    seismic: Array,
    simulated: Array,
    time_step_s: float,
    shot: int = 2,
    reflections: Array | None = None,
) -> "Figure":
    """Generated seismic beside the exact simulation of the generated map, trace by trace (the paper's Figure 6).

    Args:
        velocity: Generated maps `(n, 70, 70)`, m/s.
        seismic: Generated gathers `(n, shot, time, receiver)`.
        simulated: Exact gathers of the same maps.
        time_step_s: Sampling.
        shot: Which shot is drawn.
        reflections: Exact gathers less their direct wave, which set the scale; guessed from the gathers where missing.
    """
    n = len(velocity)
    figure = new_figure(13.5, 3.0 * n)
    axes = figure.subplots(n, 5, squeeze=False, gridspec_kw={"width_ratios": (1, 1, 1, 1, 1.7)})
    time_s = np.arange(seismic.shape[2]) * time_step_s
    for i in range(n):
        exact, made = simulated[i, shot], seismic[i, shot]
        clip, said = gather_clip(exact), ""
        if reflections is not None:
            own = reflections[i, shot]
            # What the strongest of the reflections reaches: the direct wave above it is cut off.
            clip = max(float(np.percentile(np.abs(own), 98)), 1e-6)
            said = f": residual {np.sqrt(np.square(made - exact).sum() / max(np.square(own).sum(), 1e-30)):.2f}"
        draw_velocity(axes[i, 0], velocity[i], *velocity_limits(velocity[i]), "generated map")
        draw_gather(axes[i, 1], made, time_step_s, clip, "generated gather")
        draw_gather(axes[i, 2], exact, time_step_s, clip, "exact gather of that map")
        draw_gather(axes[i, 3], made - exact, time_step_s, clip, f"difference, same scale{said}")
        receivers = range(5, exact.shape[1], 12)
        for offset, receiver in enumerate(receivers):
            for trace, style, label in ((exact, "k", "exact"), (made, "r--", "generated")):
                drawn = offset + (trace[:, receiver] / (2.5 * clip)).clip(-0.48, 0.48)
                axes[i, 4].plot(time_s, drawn, style, lw=0.8, label=None if offset else label)
        axes[i, 4].set_yticks(range(len(receivers)), [f"{receiver * KM_PER_CELL:.2f}" for receiver in receivers])
        axes[i, 4].set_title("traces by receiver (km), direct wave cut off", fontsize=8)
        axes[i, 4].tick_params(labelsize=6)
        axes[i, 4].legend(fontsize=6, loc="upper right")
        axes[i, 4].set_xlabel("time (s)", fontsize=7)
    _label_first_column(axes, ("depth (km)",) * n)
    figure.suptitle(
        f"Generated seismic against the exact simulation of the generated map (shot {shot + 1} of 5)", fontsize=10
    )
    return figure


def training_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> "Figure":
    """Logged numbers of each stage against its step; one row a stage, losses left, other figures right.

    Args:
        histories: Stage -> lines such as `{"step": 10, "train/loss": 0.3}`.
    """
    figure = new_figure(9.0, 2.6 * max(1, len(histories)))
    axes = figure.subplots(max(1, len(histories)), 2, squeeze=False)
    for row, (stage, lines) in enumerate(histories.items()):
        names = sorted({name for line in lines for name in line if "/" in name})
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line]
            column = 0 if name.endswith("loss") else 1
            marker = "." if len(points) < 30 else None
            axes[row, column].plot(*zip(*points, strict=True), lw=1.0, marker=marker, ms=3, label=name)
        for column, title in enumerate(("loss", "other figures")):
            panel = axes[row, column]
            if not panel.lines:
                panel.axis("off")
                continue
            panel.set_title(f"{stage}: {title}", fontsize=9)
            panel.set_xlabel("step", fontsize=7)
            if all(value > 0.0 for line in panel.lines for value in line.get_ydata()):
                panel.set_yscale("log")
            panel.tick_params(labelsize=6, which="both")
            panel.legend(fontsize=6)
    return figure


def _label_first_column(axes: Any, labels: Sequence[str]) -> None:
    for below in axes[-1]:
        if below.images:
            below.set_xlabel("distance (km)", fontsize=7)
    for row, label in enumerate(labels):
        axes[row, 0].set_ylabel(label, fontsize=7)
