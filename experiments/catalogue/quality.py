"""quality.md: what was found, how good it is, what was left out, and against a reference."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.catalogue.outputs import comparison_figures
from experiments.catalogue.reference import WITHIN_KM, WITHIN_S, Comparison
from experiments.catalogue.residuals import Residuals

if TYPE_CHECKING:
    from experiments.catalogue.program import Inputs
    from experiments.catalogue.run import Result

_REASONS = {
    "residual": "residual too large",
    "s_before_p": "S not after P",
    "too_far": "nearer stations have not seen it",
    "picks": "too few picks",
    "p": "too few P picks",
    "s": "too few S picks",
    "both": "too few stations with P and S",
    "rms": "rms residual too large",
    "outside": "outside the network",
}


@dataclass(frozen=True)
class Report:
    """A run, for its report.

    Args:
        options: The command line.
        inputs: What was read.
        result: What was found.
        residuals: Of the picks associated.
        comparison: With the reference; None without.
    """

    options: argparse.Namespace
    inputs: "Inputs"
    result: "Result"
    residuals: Residuals
    comparison: Comparison | None

    def figures(self) -> dict[str, Any]:
        """The figures that tell how a run went."""
        events, facts = self.result.listed.events, self.inputs.stream.facts
        by_phase = self.residuals.counts.sum(axis=0)
        n_p, n_s = (int(counts.sum()) for counts in by_phase)
        n = len(events)
        figures: dict[str, Any] = {
            "n_events": n,
            "n_events_outside": int(self.result.listed.outside.sum()),
            "n_picks": int(facts.counts.sum()),
            "n_associated": n_p + n_s,
            "n_p_associated": n_p,
            "n_s_associated": n_s,
            "share_associated": (n_p + n_s) / int(facts.counts.sum()),
            "picks_an_event": (n_p + n_s) / n if n else None,
            "events_an_hour": n / (facts.duration_s / 3600) if facts.duration_s else None,
            "median_p_residual_s": _known(self.residuals.median_absolute(by_phase[0])),
            "median_s_residual_s": _known(self.residuals.median_absolute(by_phase[1])),
            "median_event_rms_s": float(np.median(events.rms_s)) if n else None,
            "cpu_s": sum(self.result.cpu_s.values()),
        }
        if self.comparison is not None:
            figures["reference"] = comparison_figures(self.comparison)
        return figures


def text(report: Report, figures: dict[str, Any], with_pictures: bool) -> str:
    """The report, as Markdown."""
    parts = [_head(report, figures)]
    if with_pictures:
        parts += ["![Map and depth sections](map.png)", "![Events and picks over time](hours.png)"]
    parts += [_hours(report), _residuals(report)]
    if with_pictures:
        parts.append("![Residuals by phase and station](residuals.png)")
    parts += [_stations(report), _filters(report)]
    if report.comparison is not None:
        parts.append(_reference(report, report.comparison))
        if with_pictures:
            parts.append("![Differences to the reference](reference.png)")
    return "\n\n".join(parts) + "\n"


def _head(report: Report, figures: dict[str, Any]) -> str:
    inputs, facts = report.inputs, report.inputs.stream.facts
    end = inputs.start + timedelta(seconds=facts.duration_s)
    projection = inputs.stations.projection
    where = projection.description if projection else "kilometres as given, z down"
    rows = [
        ("events", f"{figures['n_events']:,}"),
        ("of them outside the network", f"{figures['n_events_outside']:,}"),
        ("events an hour", _number(figures["events_an_hour"], 1)),
        ("picks", f"{figures['n_picks']:,}"),
        ("associated", f"{figures['n_associated']:,} ({100 * figures['share_associated']:.1f} %): "
         f"{figures['n_p_associated']:,} P, {figures['n_s_associated']:,} S"),
        ("picks an event", _number(figures["picks_an_event"], 1)),
        ("median absolute residual, P", _number(figures["median_p_residual_s"], 3) + " s"),
        ("median absolute residual, S", _number(figures["median_s_residual_s"], 3) + " s"),
        ("median rms residual of an event", _number(figures["median_event_rms_s"], 3) + " s"),
        ("CPU", f"{figures['cpu_s']:.1f} s"),
        ("peak memory", f"{figures['peak_memory_mb']:.0f} MB"),
    ]  # fmt: skip
    return (
        f"# {report.options.picks.name}: {figures['n_events']:,} events\n\n"
        f"{inputs.start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, {int(inputs.heard.sum())} of "
        f"{len(inputs.stations.ids)} stations with picks. Travel times: {report.options.velocity}. "
        f"Projection: {where}.\n\n" + _table(("", ""), rows)
    )


def _hours(report: Report) -> str:
    counts, picks, used = by_hour(report)
    start = report.inputs.start
    first = start.replace(minute=0, second=0, microsecond=0)
    step = max(1, -(-len(counts) // 48))
    rows = [
        (f"{first + timedelta(hours=h):%Y-%m-%d %H:%M}", f"{counts[h : h + step].sum():,}",
         f"{picks[h : h + step].sum():,}", _percent(used[h : h + step].sum(), picks[h : h + step].sum()))
        for h in range(0, len(counts), step)
    ]  # fmt: skip
    every = "hour" if step == 1 else f"{step} hours"
    return f"## Events by {every}\n\n" + _table((f"from (UTC), by {every}", "events", "picks", "associated"), rows)


def by_hour(report: Report) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events, picks and associated picks of each hour of the clock, `(hour,)` int each."""
    start, store = report.inputs.start, report.result.store
    shift = start.minute * 60 + start.second + start.microsecond / 1e6
    n = int((report.inputs.stream.facts.duration_s + shift) // 3600) + 2
    counts = np.bincount(np.clip((report.result.listed.events.times_s + shift) // 3600, 0, n - 1).astype(int),
                         minlength=n)  # fmt: skip
    picks, used = np.zeros(n, np.int64), np.zeros(n, np.int64)
    times, event = store.column("time_s"), store.column("event")
    step = 1_000_000
    for low in range(0, len(times), step):
        hour = ((np.asarray(times[low : low + step]) + shift) // 3600).astype(int)
        picks += np.bincount(hour, minlength=n)
        used += np.bincount(hour[np.asarray(event[low : low + step]) >= 0], minlength=n)
    last = int(np.flatnonzero(picks + counts).max(initial=0)) + 1
    return counts[:last], picks[:last], used[:last]


def _residuals(report: Report) -> str:
    rows = []
    for phase, counts in zip("PS", report.residuals.counts.sum(axis=0), strict=True):
        q = [_number(report.residuals.quantile(counts, share), 3) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
        rows.append((phase, f"{int(counts.sum()):,}", _number(report.residuals.median_absolute(counts), 3), *q))
    return "## Residuals\n\nPick minus predicted arrival, seconds.\n\n" + _table(
        ("phase", "picks", "median absolute", "5 %", "25 %", "median", "75 %", "95 %"), rows
    )


def _stations(report: Report) -> str:
    counts, facts, residuals = report.residuals.counts, report.inputs.stream.facts, report.residuals
    rows = []
    for number, name in enumerate(report.inputs.stations.ids):
        if not facts.counts[number].sum():
            continue
        row = [name, f"{100 * report.result.reliability[number]:.0f} %"]
        for phase in (0, 1):
            used = int(counts[number, phase].sum())
            row += [f"{used:,} of {int(facts.counts[number, phase]):,}",
                    f"{report.result.corrections_s[number, phase]:+.3f}",
                    _number(residuals.median_absolute(counts[number, phase]), 3)]  # fmt: skip
        rows.append(tuple(row))
    silent = [name for name, n in zip(report.inputs.stations.ids, facts.counts.sum(axis=1), strict=True) if not n]
    note = f"\n\nWithout picks: {', '.join(silent)}." if silent else ""
    head = [f"{phase} {what}" for phase in "PS" for what in ("associated", "correction, s", "median absolute, s")]
    return (
        "## Stations\n\n*Sees*: share of the events nearer than half of those that saw them. *Correction*: added to "
        f"travel times.\n\n{_table(('station', 'sees', *head), rows)}{note}"
    )


def _filters(report: Report) -> str:
    result = report.result
    filters = result.filters
    residual = "No residual is larger than the association allows"
    if np.isfinite(filters.max_residual_s):
        s_limit = filters.max_residual_s * filters.s_factor
        residual = f"No residual is above {filters.max_residual_s:g} s (S {s_limit:g} s)"
    limits = (
        f"An event has at least {filters.min_picks} picks, {filters.min_p} of P and {filters.min_s} of S, and "
        f"{filters.min_both} stations with both. {residual}, and no S is before "
        f"its P. A pick stays if of the nearer "
        f"stations that should have seen the event {100 * filters.min_seen:g} % have. Events outside the network are "
        f"{'dropped' if filters.drop_outside else 'flagged'}."
    )
    rows = [(what, _REASONS[reason], f"{n:,}") for what, dropped in
            (("pick taken from an event", result.dropped_picks), ("event dropped", result.dropped_events))
            for reason, n in dropped.items()]  # fmt: skip
    return f"## Filters\n\n{limits} Of {result.n_found:,} events found {len(result.listed):,} are kept.\n\n" + _table(
        ("what", "why", "how many"), rows
    )


def _reference(report: Report, comparison: Comparison) -> str:
    figures = comparison_figures(comparison)
    events = report.result.listed.events
    rows = [
        ("events of the reference", str(figures["n_reference"])),
        ("matched", f"{figures['matched']} (recall {_number(figures['recall'], 3)})"),
        ("missed (missed.csv)", str(figures["missed"])),
        ("new, in the reference's span", str(figures["new"])),
        ("origin time, median of ours minus theirs", _number(figures["median_time_difference_s"], 2) + " s"),
        ("epicentral distance, median", _number(figures["median_epicentral_distance_km"], 2) + " km"),
        ("depth, median of ours minus theirs", _number(figures["median_depth_difference_km"], 2) + " km"),
    ]
    for name, which in (("matched", comparison.ours), ("new", comparison.new)):
        if len(which):
            picks = events.n_p[which] + events.n_s[which]
            rows.append((f"picks of {name} events: 10 %, median, 90 %",
                         ", ".join(f"{x:.0f}" for x in np.percentile(picks, (10, 50, 90)))))  # fmt: skip
            rows.append((f"rms residual of {name} events, median", f"{np.median(events.rms_s[which]):.3f} s"))
    return (
        f"## Against {report.options.reference.name}\n\nEvents match one to one, within {WITHIN_S:g} s of origin time "
        f"and {WITHIN_KM:g} km of epicentre. "
        "New events are not errors by themselves: a reference misses small ones.\n\n" + _table(("", ""), rows)
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
