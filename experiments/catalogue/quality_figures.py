"""Pictures of the report: map and depth sections, events over time, residuals, differences to a reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks import figures
from experiments.catalogue.quality import Report, by_hour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_P, _S, _NEW, _GREY, _BAD = "#0072B2", "#E69F00", "0.55", "0.62", "#D55E00"


def draw(report: Report, folder: Path) -> None:
    """Draw all pictures into a folder."""
    foot = f"{report.options.picks.name}, {report.options.stations.name}, velocity {Path(report.options.velocity).name}"
    _map(report, folder / "map.png", foot)
    _time(report, folder / "hours.png", foot)
    _residuals(report, folder / "residuals.png", foot)
    if report.comparison is not None:
        _reference(report, folder / "reference.png", foot)


def _map(report: Report, path: Path, foot: str) -> None:
    """Seen from above, from the south and from the east; kilometres alike on all axes."""
    listed, stations = report.result.listed, report.inputs.stations.positions_km[report.inputs.heard]
    places = listed.events.positions_km
    everything = np.concatenate([stations, places]) if len(places) else stations
    low, high = everything.min(axis=0), everything.max(axis=0)
    low, high = low - 0.04 * (high - low).max(), high + 0.04 * (high - low).max()
    across, up, deep = high - low
    width = 9.5
    scale = (width - 2.2) / (across + deep)
    figure = figures.new_figure(width, (up + deep) * scale + 1.5)
    grid = figure.add_gridspec(2, 2, width_ratios=(across, deep), height_ratios=(up, deep))
    plan, below, beside = (figure.add_subplot(grid[place]) for place in ((0, 0), (1, 0), (0, 1)))
    picks = listed.events.n_p + listed.events.n_s
    order = np.argsort(picks, kind="stable")  # those with most picks on top
    size = 3 + 1.1 * np.sqrt(picks) ** 1.4
    hours = listed.events.times_s / 3600
    drawn: Any = None
    for axes, a, b in ((plan, 0, 1), (below, 0, 2), (beside, 2, 1)):
        axes.scatter(stations[:, a], stations[:, b], marker="^", s=26, c="white", edgecolors="0.25", linewidths=0.8,
                     zorder=3)  # fmt: skip
        if len(places):
            drawn = axes.scatter(places[order, a], places[order, b], s=size[order], c=hours[order], cmap="viridis",
                                 alpha=0.65, linewidths=0, zorder=2)  # fmt: skip
            gone = listed.outside
            axes.scatter(places[gone, a], places[gone, b], s=size[gone] + 9, facecolors="none", edgecolors=_BAD,
                         linewidths=0.6, zorder=2)  # fmt: skip
        axes.set_xlim(low[a], high[a])
        axes.set_ylim(low[b], high[b])
        if b == 2:
            axes.invert_yaxis()
        names = ("x (km, east)", "y (km, north)", "depth (km)")
        axes.set_xlabel(names[a], fontsize=8)
        axes.set_ylabel(names[b], fontsize=8)
        _plain(axes)
    beside.tick_params(labelleft=False)
    beside.set_ylabel("")
    if report.comparison is not None and report.inputs.reference is not None and len(report.comparison.missed):
        missed = report.inputs.reference.positions_km[report.comparison.missed]
        for axes, a, b in ((plan, 0, 1), (below, 0, 2), (beside, 2, 1)):
            axes.scatter(missed[:, a], missed[:, b], marker="x", s=30, c=_BAD, linewidths=1.2, zorder=4)
    corner = figure.add_subplot(grid[1, 1])
    corner.set_axis_off()
    corner.legend(handles=_legend(report), loc="center", fontsize=7.5, frameon=False)
    if drawn is not None:
        bar: Any = figure.colorbar(drawn, ax=corner, orientation="horizontal", fraction=0.12, pad=0.02)
        bar.set_label(f"hours after {report.inputs.start:%Y-%m-%d %H:%M}", fontsize=7.5)
        bar.ax.tick_params(labelsize=7)
        bar.solids.set(alpha=1)
    plan.set_title(f"{len(places):,} events, {len(stations)} stations with picks", fontsize=10, loc="left")
    figures.save(figure, path, foot)


def _legend(report: Report) -> list[Any]:
    from matplotlib.lines import Line2D

    def mark(marker: str, face: str, edge: str, size: float, label: str) -> Line2D:
        return Line2D([], [], marker=marker, color="none", markerfacecolor=face, markeredgecolor=edge, markersize=size,
                      label=label)  # fmt: skip

    marks = [
        mark("^", "white", "0.25", 5.5, "station"),
        mark("o", "#21918c", "none", 6, "event, larger with more picks"),
        mark("o", "none", _BAD, 6, f"outside the network ({int(report.result.listed.outside.sum())})"),
    ]
    if report.comparison is not None and len(report.comparison.missed):
        marks.append(mark("x", _BAD, _BAD, 5.5, "of the reference, missed"))
    return marks


def _time(report: Report, path: Path, foot: str) -> None:
    counts, picks, used = by_hour(report)
    figure = figures.new_figure(9.5, 4.6)
    events, arrivals = figure.subplots(2, 1, sharex=True)
    unit, per = ("day", 24) if len(counts) > 24 * 14 else ("hour", 1)
    pad = -len(counts) % per
    counts, picks, used = (np.pad(x, (0, pad)).reshape(-1, per).sum(axis=1) for x in (counts, picks, used))
    at = np.arange(len(counts)) + 0.5
    events.bar(at, counts, width=0.92, color=_P)
    events.set_ylabel(f"events a {unit}", fontsize=8)
    arrivals.bar(at, picks, width=0.92, color="0.85", label="picks")
    arrivals.bar(at, used, width=0.92, color=_S, label="associated")
    arrivals.set_ylabel(f"picks a {unit}", fontsize=8)
    arrivals.legend(fontsize=7.5, frameon=False, ncols=2, loc="upper right")
    arrivals.set_ylim(0, 1.22 * max(1, picks.max(initial=1)))
    arrivals.set_xlabel(f"{unit}s after {report.inputs.start:%Y-%m-%d %H:00} UTC", fontsize=8)
    for axes in (events, arrivals):
        _plain(axes)
    figures.save(figure, path, foot)


def _residuals(report: Report, path: Path, foot: str) -> None:
    residuals, heard = report.residuals, np.flatnonzero(report.inputs.heard)
    figure = figures.new_figure(9.5, 6.2)
    grid = figure.add_gridspec(2, 1, height_ratios=(1, 1.25))
    top, low = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    edges = residuals.edges_s[::6]
    for phase, colour in zip((0, 1), (_P, _S), strict=True):
        counts = residuals.counts[:, phase].sum(axis=0)
        if counts.sum():
            label = f"{'PS'[phase]}: {counts.sum():,} picks, median absolute {residuals.median_absolute(counts):.3f} s"
            top.stairs(counts.reshape(-1, 6).sum(axis=1), edges, color=colour, linewidth=1.4, label=label)
    top.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    top.set_xlabel("pick minus predicted arrival (s)", fontsize=8)
    top.set_ylabel("picks", fontsize=8)
    if residuals.counts.sum():
        top.legend(fontsize=7.5, frameon=False)
    top.set_title("residuals by phase", fontsize=9, loc="left")
    order = heard[np.argsort([report.inputs.stations.ids[number] for number in heard])]
    for phase, colour, shift in zip((0, 1), (_P, _S), (-0.17, 0.17), strict=True):
        for place, station in enumerate(order.tolist()):
            counts = residuals.counts[station, phase]
            if counts.sum() < 5:
                continue
            q = [residuals.quantile(counts, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
            at = place + shift
            low.plot([at, at], [q[0], q[4]], color=colour, linewidth=0.7)
            low.plot([at, at], [q[1], q[3]], color=colour, linewidth=3.2, solid_capstyle="butt")
            low.plot(at, q[2], marker="o", markersize=2.6, color="white", markeredgecolor=colour, markeredgewidth=0.7)
    low.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    if len(order) <= 80:
        names = [report.inputs.stations.ids[number] for number in order]
        low.set_xticks(np.arange(len(order)), names, rotation=90)
    else:
        low.set_xticks([])
        low.set_xlabel("stations", fontsize=8)
    low.set_xlim(-0.8, len(order) - 0.2)
    low.set_ylabel("residual (s)", fontsize=8)
    low.set_title("by station: median, half of them, nine tenths; P left, S right", fontsize=9, loc="left")
    _plain(top)
    _plain(low)
    low.tick_params(axis="x", labelsize=6 if len(order) <= 60 else 4.5)
    figures.save(figure, path, foot)


def _reference(report: Report, path: Path, foot: str) -> None:
    comparison, reference = report.comparison, report.inputs.reference
    assert comparison is not None
    assert reference is not None
    figure = figures.new_figure(9.5, 5.6)
    axes = figure.subplots(2, 3)
    plan, east, depth, when, sizes, magnitudes = axes.ravel()
    plan.scatter(comparison.east_km, comparison.north_km, s=12, color=_P, alpha=0.7, linewidths=0)
    reach = max(1.0, float(np.abs(np.r_[comparison.east_km, comparison.north_km, 0]).max()) * 1.1)
    plan.set_xlim(-reach, reach)
    plan.set_ylim(-reach, reach)
    plan.set_aspect("equal")
    plan.axhline(0, color="0.85", linewidth=0.7, zorder=0)
    plan.axvline(0, color="0.85", linewidth=0.7, zorder=0)
    _label(plan, "ours minus theirs, east (km)", "north (km)", f"epicentres of {len(comparison.ours)} pairs")
    for where, values, name in ((east, comparison.epicentral_km, "epicentral distance (km)"),
                                (depth, comparison.depth_km, "depth, ours minus theirs (km)"),
                                (when, comparison.time_s, "origin time, ours minus theirs (s)")):  # fmt: skip
        where.hist(values, bins=24, color=_P)
        middle = f"median {np.median(values):.2f}" if len(values) else ""
        _label(where, name, "pairs", middle)
    picks = report.result.listed.events.n_p + report.result.listed.events.n_s
    top = max(2, int(picks.max(initial=2)))
    bins = np.geomspace(max(1, int(picks.min(initial=1))), top + 1, 20)
    shown = [(which, colour, name) for which, colour, name in
             ((comparison.new, _NEW, "new"), (comparison.ours, _P, "matched")) if len(which)]  # fmt: skip
    for which, colour, name in shown:
        sizes.hist(picks[which], bins=bins.tolist(), color=colour, label=f"{name} ({len(which)})", alpha=0.85)
    sizes.set_xscale("log")
    sizes.set_xticks([10, 20, 50, 100], ["10", "20", "50", "100"])
    sizes.minorticks_off()
    _label(sizes, "picks of an event", "events", "ours, in the span of the reference")
    if shown:
        sizes.legend(fontsize=7, frameon=False)
    known = np.isfinite(reference.magnitudes)
    if known.any():
        found = np.zeros(len(reference), bool)
        found[comparison.theirs] = True
        groups = [reference.magnitudes[known & found], reference.magnitudes[known & ~found]]
        magnitudes.hist(groups, bins=16, stacked=True, color=[_P, _BAD], label=["matched", "missed"])
        magnitudes.legend(fontsize=7, frameon=False)
        _label(magnitudes, "magnitude", "events", "the reference")
    else:
        magnitudes.set_axis_off()
    for one in axes.ravel():
        _plain(one)
    figures.save(figure, path, foot)


def _label(axes: "Axes", across: str, up: str, title: str) -> None:
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)
    axes.set_title(title, fontsize=8.5, loc="left")


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
