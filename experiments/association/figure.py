"""One picture of a solve: map and depth sections, arrivals by station in the colours of their events, residuals."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks import figures
from experiments.association.outputs import Record, counts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NONE, _STATION = "0.62", "0.25"
# Far apart from neighbour to neighbour and dark enough on white; more events go round the circle again.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#A5AA00", "#8C564B",
            "#E73F74", "#1B2A6B", "#66C2A5")  # fmt: skip
_MARKERS = ("o", "D")
_MANY_PICKS, _MANY_STATIONS, _FEW_EVENTS = 3000, 60, 40


def draw(record: Record, path: Path) -> None:
    """Draw and write the picture.

    Args:
        record: The solve.
        path: The PNG.
    """
    figure = figures.new_figure(13.6, 8.0)
    halves = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.1))
    volume = halves[0].subgridspec(2, 2, width_ratios=(2.0, 1), height_ratios=(2.0, 1))
    arrivals = halves[1].subgridspec(2, 1, height_ratios=(3.2, 1))
    n_events = len(record.association.events)
    colours = np.array([_COLOURS[number % len(_COLOURS)] for number in range(n_events)] + [_NONE])
    plan = figure.add_subplot(volume[0, 0])
    _draw_volume(record, plan, figure.add_subplot(volume[1, 0]), figure.add_subplot(volume[0, 1]), colours)
    _draw_facts(record, figure.add_subplot(volume[1, 1]))
    _draw_arrivals(record, figure.add_subplot(arrivals[0]), colours)
    _draw_residuals(record, figure.add_subplot(arrivals[1]))
    figures.save(figure, path, f"{record.options.picks.name}, {record.options.stations.name}: solver "
                 f"{record.options.solver}, seed {record.options.seed}")  # fmt: skip


def _draw_volume(record: Record, plan: "Axes", below: "Axes", beside: "Axes", colours: np.ndarray) -> None:
    """Seen from above (x, y), from the south (x, z) and from the side (z, y)."""
    stations, events = record.stations.positions_km, record.association.events.positions_km
    errors = np.nan_to_num(record.association.position_errors_km)
    east, north = ("x (km, east)", "y (km, north)") if record.stations.projection else ("x (km)", "y (km)")
    names = (east, north, "z (km, down)")
    everything = np.concatenate([stations, events]) if len(events) else stations
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.05 * max(float((high - low).max()), 1.0)
    # As many kilometres across as up, on a square: the map is not stretched.
    wide = float((high - low)[:2].max()) / 2
    middle = (low + high)[:2] / 2
    low[:2], high[:2] = middle - wide, middle + wide
    size = 34 * min(1.0, (_FEW_EVENTS / max(len(events), 1)) ** 0.5)
    for axes, across, up in ((plan, 0, 1), (below, 0, 2), (beside, 2, 1)):
        axes.scatter(stations[:, across], stations[:, up], marker="^", s=26, c="white", edgecolors=_STATION,
                     linewidths=0.9, zorder=2)  # fmt: skip
        if len(events):
            axes.errorbar(events[:, across], events[:, up], xerr=errors[:, across], yerr=errors[:, up], fmt="none",
                          ecolor="0.7", elinewidth=0.7, zorder=1)  # fmt: skip
            axes.scatter(events[:, across], events[:, up], marker="o", s=size, c=colours[:-1], edgecolors="white",
                         linewidths=0.5, zorder=3)  # fmt: skip
            if len(events) <= _FEW_EVENTS and axes is plan:
                for number, position in enumerate(events):
                    axes.annotate(str(number), (position[0], position[1]), xytext=(4, 3), fontsize=7,
                                  textcoords="offset points", color=colours[number])  # fmt: skip
        axes.set_xlim(low[across] - margin, high[across] + margin)
        axes.set_ylim(low[up] - margin, high[up] + margin)
        if up == 2:
            axes.invert_yaxis()
        axes.set_xlabel(names[across], fontsize=8)
        axes.set_ylabel(names[up], fontsize=8)
        _plain(axes)
    plan.set_title(f"{len(events)} events, {len(stations)} stations", fontsize=9, loc="left")


def _draw_facts(record: Record, axes: "Axes") -> None:
    """The legend, where no section stands."""
    from matplotlib.lines import Line2D

    marks: list[Any] = [
        Line2D([], [], marker="^", color="none", markerfacecolor="white", markeredgecolor=_STATION, label="station"),
        Line2D([], [], marker="o", color="none", markerfacecolor=_COLOURS[0], markeredgecolor="white", markersize=7,
               label="event, with standard errors"),
        Line2D([], [], marker=_MARKERS[0], color="none", markerfacecolor=_COLOURS[1], markeredgecolor="none",
               markersize=5, label="P pick, in its event's colour"),
    ]  # fmt: skip
    if record.inputs.has_s:
        marks.append(Line2D([], [], marker=_MARKERS[1], color="none", markerfacecolor=_COLOURS[1],
                            markeredgecolor="none", markersize=5, label="S pick"))  # fmt: skip
    marks.append(
        Line2D([], [], marker="x", color="none", markeredgecolor=_NONE, markersize=5, label="pick of no event")
    )
    axes.legend(handles=marks, loc="center", fontsize=8, frameon=False)
    axes.set_axis_off()


def _draw_arrivals(record: Record, axes: "Axes", colours: np.ndarray) -> None:
    """Picks over time, one line a station, the stations in order of their first pick's mean place in time."""
    picks, member = record.picks, record.association.event_of_pick
    n_stations = len(record.stations.ids)
    times, start = picks.time_s - picks.time_s.min(), picks.clock.text(float(picks.time_s.min()))
    middle = np.full(n_stations, np.inf)
    counts = np.bincount(picks.station, minlength=n_stations)
    sums = np.bincount(picks.station, times, minlength=n_stations)
    np.divide(sums, counts, out=middle, where=counts > 0)
    order = np.argsort(middle, kind="stable")[::-1]
    row = np.empty(n_stations, int)
    row[order] = np.arange(n_stations)
    many = len(picks) > _MANY_PICKS
    unit, scale = ("h", 3600.0) if np.ptp(times) > 7200 else ("s", 1.0)
    axes.hlines(np.arange(n_stations), 0, float(times.max()) / scale, color="0.92", linewidth=0.6, zorder=0)
    for phase, marker in enumerate(_MARKERS):
        for chosen, mark, size in ((member < 0, "x", 12), (member >= 0, marker, 17)):
            mine = chosen & (picks.phase == phase)
            if mine.any():
                axes.scatter(times[mine] / scale, row[picks.station[mine]], marker=mark, s=3 if many else size,
                             c=colours[member[mine]], linewidths=0.9 if mark == "x" else 0.0, rasterized=many,
                             zorder=1 if mark == "x" else 2)  # fmt: skip
    axes.set_xlabel(f"time ({unit} after {start}{'' if picks.clock.is_iso else ' s'})", fontsize=8)
    if n_stations <= _MANY_STATIONS:
        axes.set_yticks(np.arange(n_stations), [record.stations.ids[number] for number in order],
                        fontsize=6 if n_stations <= _FEW_EVENTS else 4.5)  # fmt: skip
    else:
        axes.set_ylabel("station", fontsize=8)
    axes.set_ylim(-0.8, n_stations - 0.2)
    found = counts_of(record)
    axes.set_title(f"arrivals: {found['n_associated']} of {found['n_picks']} picks associated", fontsize=9, loc="left")
    _plain(axes)


def _draw_residuals(record: Record, axes: "Axes") -> None:
    """Histogram of what is left, by phase."""
    residuals, phase = record.association.residuals_s, record.picks.phase
    member = record.association.event_of_pick >= 0
    if not member.any():
        axes.text(0.5, 0.5, "no pick is associated", ha="center", va="center", fontsize=9, transform=axes.transAxes)
        axes.set_axis_off()
        return
    # A few outliers must not squeeze the rest into one bar.
    reach = max(float(np.percentile(np.abs(residuals[member]), 99.5)), 1e-6)
    unit, scale = ("s", 1.0) if reach > 0.1 else ("ms", 1e3) if reach > 1e-4 else ("µs", 1e6)
    bins = np.linspace(-reach, reach, 41) * scale
    values = [residuals[member & (phase == k)] * scale for k in (0, 1)]
    shown = [k for k in (0, 1) if len(values[k])]
    axes.hist([np.clip(values[k], bins[0], bins[-1]) for k in shown], bins=bins.tolist(), stacked=True,
              color=[("#0072B2", "#E69F00")[k] for k in shown], label=["PS"[k] for k in shown])  # fmt: skip
    rms = float(np.sqrt(np.mean(residuals[member] ** 2))) * scale
    axes.set_title(f"residuals: rms {rms:.3g} {unit}", fontsize=9, loc="left")
    axes.set_xlabel(f"pick minus predicted arrival ({unit})", fontsize=8)
    axes.set_ylabel("picks", fontsize=8)
    if len(shown) > 1:
        axes.legend(frameon=False, fontsize=8)
    _plain(axes)


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
