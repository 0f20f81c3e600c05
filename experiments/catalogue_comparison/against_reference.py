"""Real picks against a reference catalogue, and with shuffled station names: all tools side by side."""

import argparse
from typing import Any

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.pick_stream import PickStream, utc_start
from experiments.association.files.stations import read_stations
from experiments.association.files.velocity_model import read_velocity_model
from experiments.catalogue.options import default_bounds_km
from experiments.catalogue.reference import compare, read_reference
from experiments.catalogue_comparison import scores
from experiments.catalogue_comparison.tables import figures_of, table, text_of
from experiments.catalogue_comparison.tools import Request, run, tools
from experiments.run_folder import write_json, write_text

_HEADS = ("tool", "recall", "events", "false with shuffled names", "picks an event", "median residual P, s",
          "S, s", "stations corrected P, s", "S, s", "as it tells P, s", "S, s", "CPU-s",
          "of the process", "peak MB")  # fmt: skip


def run_command(options: argparse.Namespace) -> None:
    """Run the tools over a file of picks; the table grows tool by tool.

    Args:
        options: The command line.

    Raises:
        DataError: When a file cannot be read, or the model has no S speeds.
        SettingsError: When a tool fails.
    """
    stations = read_stations(options.stations, recognise=True)
    stream = PickStream(options.picks, stations.ids)
    start = utc_start(stream.facts.clock)
    parts = list(stream.blocks())
    station, phase, times = (np.concatenate([getattr(part, name) for part in parts])
                             for name in ("station", "phase", "time_s"))  # fmt: skip
    score = stream.scores()
    score = np.ones(len(times)) if score is None else score
    model = read_velocity_model(options.velocity)
    if model.s_speeds_km_s is None:
        raise DataError(f"{options.velocity}: the comparison wants S speeds too, in a column vs_km_s.")
    bounds = np.array(default_bounds_km(stations, stream.facts.counts.sum(axis=1) > 0)).reshape(3, 2).T
    low_s, high_s = (3600 * hour for hour in options.hours)
    own = (times >= low_s) & (times < high_s)
    request = Request(stations.positions_km, station[own], phase[own], times[own], score[own], bounds, model.depths_km,
                      model.p_speeds_km_s, model.s_speeds_km_s)  # fmt: skip
    reference = read_reference(options.reference, start, stations.projection)
    inside = (reference.times_s >= low_s) & (reference.times_s < high_s)
    reference = type(reference)(reference.times_s[inside], reference.positions_km[inside], reference.magnitudes[inside],
                                tuple(np.array(reference.texts)[inside].tolist()))  # fmt: skip
    travel = scores.provider(request)
    rows: list[dict[str, Any]] = []
    for tool in tools(options.pyocto, options.gamma, options.min_picks, request):
        answer = run(tool, request, options.out / "answers", options.timeout_s)
        comparison = compare(answer.times_s, answer.positions_km, reference)
        shuffled = [run(tool, request.shuffled(seed), options.out / "answers", options.timeout_s)
                    for seed in range(options.shuffles)]  # fmt: skip
        row = figures_of(answer, request, travel) | {
            "recall": comparison.recall,
            "matched": len(comparison.theirs),
            "n_reference": len(reference),
            "shuffled_events": [len(other.times_s) for other in shuffled],
            "shuffled_picks": [int((other.event_of_pick >= 0).sum()) for other in shuffled],
            "settings": tool.settings,
        }
        rows.append(row)
        _write(options, request, rows)


def _write(options: argparse.Namespace, request: Request, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        false = ", ".join(str(n) for n in row["shuffled_events"])
        share = (
            np.mean(row["shuffled_events"]) / row["n_events"] if row["shuffled_events"] and row["n_events"] else None
        )
        lines.append((
            f"{row['tool']} {row['version']}", f"{row['matched']} of {row['n_reference']}", f"{row['n_events']:,}",
            f"{false or '-'}" + (f" ({100 * share:.1f} %)" if share is not None else ""),
            text_of(row["picks_an_event"], 1), text_of(row["median_p_s"], 3), text_of(row["median_s_s"], 3),
            text_of(row["median_p_corrected_s"], 3), text_of(row["median_s_corrected_s"], 3),
            text_of(row["median_p_as_told_s"], 3), text_of(row["median_s_as_told_s"], 3), text_of(row["cpu_s"], 1),
            text_of(row["process_cpu_s"], 1), text_of(row["peak_mb"], 0),
        ))  # fmt: skip
    hours = (request.time_s[-1] - request.time_s[0]) / 3600
    head = (
        f"{options.picks.name}: {len(request.time_s):,} picks in {hours:.1f} hours. Median residuals are absolute: "
        "from each tool's own hypocentres with the same travel times; the same less the median of each station and "
        "phase; and as the tool tells them. Shuffled names: the same picks, the names of stations exchanged, so that "
        "every event is false.\n\n"
    )
    write_text(options.out / "comparison.md", "# Comparison\n\n" + head + table(_HEADS, lines) + "\n")
    write_json(options.out / "comparison.json", {"rows": rows})
    print(table(_HEADS, lines[-1:]))
