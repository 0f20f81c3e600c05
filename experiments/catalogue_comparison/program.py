"""The comparison: a real day against a reference and with shuffled station names, synthetic catalogues at rising rates.

python -m experiments.catalogue_comparison real --picks ... --stations ... --velocity model.csv --reference ...
python -m experiments.catalogue_comparison synthetic --per_minute 1 6 30 --events 300

PyOcto and GaMMA run where `--pyocto` and `--gamma` name the python of their environments. Tables are written as
Markdown and JSON, and the scores over the rate as a picture.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DataError
from datamodules.simulate.catalogues import PROFILE, CatalogueSimulation, simulate_catalogue
from experiments.association.files.pick_stream import PickStream, utc_start
from experiments.association.files.stations import read_stations
from experiments.association.files.velocity_model import read_velocity_model
from experiments.catalogue.options import default_bounds_km
from experiments.catalogue.reference import compare, read_reference
from experiments.catalogue_comparison import scores
from experiments.catalogue_comparison.tools import Answer, Request, Tool, run, tools
from experiments.errors import SettingsError
from experiments.run_folder import write_json, write_text
from experiments.terminal import calm_progress

_HEADS = ("tool", "recall", "events", "false with shuffled names", "picks an event", "median residual P, s",
          "S, s", "stations corrected P, s", "S, s", "as it tells P, s", "S, s", "CPU-s",
          "of the process", "peak MB")  # fmt: skip
_SYNTHETIC_HEADS = ("events a minute", "picks", "visible", "tool", "event F1", "precision", "recall", "pick F1",
                    "precision", "recall", "CPU-s")  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """All options."""
    top = argparse.ArgumentParser(prog="python -m experiments.catalogue_comparison", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    real = commands.add_parser("real", help="a file of picks against a reference, and with shuffled station names")
    for name in ("picks", "stations", "velocity", "reference"):
        real.add_argument(f"--{name}", type=Path, required=True, metavar="CSV")
    real.add_argument("--hours", type=float, nargs=2, default=(0.0, 1e9), metavar=("FROM", "TO"), help="of the file")
    real.add_argument("--shuffles", type=int, default=1, metavar="N", help="runs with shuffled station names (1)")
    synthetic = commands.add_parser("synthetic", help="catalogues with truth at rising rates")
    synthetic.add_argument("--per_minute", type=float, nargs="+", default=(1, 3, 6, 12, 30, 60, 120), metavar="RATE")
    synthetic.add_argument("--events", type=int, default=300, metavar="N")
    synthetic.add_argument("--seed", type=int, default=0)
    synthetic.add_argument("--days", type=int, nargs="*", default=(), metavar="N", help="days with so many events, too")
    for command in (real, synthetic):
        command.add_argument("--pyocto", type=Path, metavar="PYTHON", help="of an environment with pyocto and pyrocko")
        command.add_argument("--gamma", type=Path, metavar="PYTHON", help="of an environment with GMMA and pandas")
        command.add_argument("--min_picks", type=int, default=8, metavar="N", help="of an event, for all tools (8)")
        command.add_argument("--timeout_s", type=float, default=7200.0, metavar="S", help="of one run of one tool")
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Returns:
        Exit status.
    """
    options = parser().parse_args(arguments)
    calm_progress()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if options.command == "real":
            _real(options)
        else:
            _synthetic(options)
    except (SettingsError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _real(options: argparse.Namespace) -> None:
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
    for tool in _tools(options, request):
        answer = run(tool, request, options.out / "answers", options.timeout_s)
        comparison = compare(answer.times_s, answer.positions_km, reference)
        shuffled = [run(tool, request.shuffled(seed), options.out / "answers", options.timeout_s)
                    for seed in range(options.shuffles)]  # fmt: skip
        row = _figures(answer, request, travel) | {
            "recall": comparison.recall,
            "matched": len(comparison.theirs),
            "n_reference": len(reference),
            "shuffled_events": [len(other.times_s) for other in shuffled],
            "shuffled_picks": [int((other.event_of_pick >= 0).sum()) for other in shuffled],
            "settings": tool.settings,
        }
        rows.append(row)
        _write_real(options, request, rows)


def _tools(options: argparse.Namespace, request: Request) -> list[Tool]:
    extent = np.linalg.norm(request.bounds_km[1] - request.bounds_km[0])
    longest_s = float(np.ceil(0.5 * extent / request.vs_km_s.min()))
    return tools(options.pyocto, options.gamma, options.min_picks, longest_s)


def _figures(answer: Answer, request: Request, travel: Any) -> dict[str, Any]:
    residual = scores.residuals_s(answer, request, travel)
    corrected = scores.without_station_medians(residual, request)
    n_events, n_picks = len(answer.times_s), int((answer.event_of_pick >= 0).sum())
    figures: dict[str, Any] = {
        "tool": answer.tool,
        "version": answer.version,
        "n_events": n_events,
        "n_picks": n_picks,
        "picks_an_event": n_picks / n_events if n_events else None,
        "cpu_s": answer.cpu_s,
        "process_cpu_s": answer.process_cpu_s,
        "peak_mb": answer.peak_mb,
    }
    for phase, name in ((0, "p"), (1, "s")):
        mine = request.phase == phase
        figures[f"median_{name}_s"] = _median(np.abs(residual[mine]))
        figures[f"median_{name}_corrected_s"] = _median(np.abs(corrected[mine]))
        figures[f"median_{name}_as_told_s"] = _median(np.abs(answer.residuals_s[mine]))
    return figures


def _write_real(options: argparse.Namespace, request: Request, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        false = ", ".join(str(n) for n in row["shuffled_events"])
        share = (
            np.mean(row["shuffled_events"]) / row["n_events"] if row["shuffled_events"] and row["n_events"] else None
        )
        lines.append((
            f"{row['tool']} {row['version']}", f"{row['matched']} of {row['n_reference']}", f"{row['n_events']:,}",
            f"{false or '-'}" + (f" ({100 * share:.1f} %)" if share is not None else ""),
            _text(row["picks_an_event"], 1), _text(row["median_p_s"], 3), _text(row["median_s_s"], 3),
            _text(row["median_p_corrected_s"], 3), _text(row["median_s_corrected_s"], 3),
            _text(row["median_p_as_told_s"], 3), _text(row["median_s_as_told_s"], 3), _text(row["cpu_s"], 1),
            _text(row["process_cpu_s"], 1), _text(row["peak_mb"], 0),
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


def _synthetic(options: argparse.Namespace) -> None:
    from experiments.catalogue_comparison.figure import draw

    cases = [(options.events, 60.0 * options.events / rate) for rate in options.per_minute]
    cases += [(n, 86_400.0) for n in options.days]
    rows: list[dict[str, Any]] = []
    from tqdm import tqdm

    with tqdm(total=len(cases), desc="catalogues", unit="catalogue") as bar:
        for n_events, duration_s in cases:
            simulated = simulate_catalogue(CatalogueSimulation(n_events, duration_s, seed=options.seed))
            depth, vp, vs = np.array(PROFILE).T
            half = CatalogueSimulation().extent_km / 2
            bounds = np.array([[-half - 10, -half - 10, -1.5], [half + 10, half + 10, 30.0]])
            request = Request(simulated.stations_km, simulated.station, simulated.phase, simulated.time_s,
                              simulated.score, bounds, depth, vp, vs)  # fmt: skip
            for tool in _tools(options, request):
                try:
                    answer = run(tool, request, options.out / "answers", options.timeout_s)
                except SettingsError as error:
                    tqdm.write(f"{60 * n_events / duration_s:g} a minute: {error}", file=sys.stderr)
                    continue
                found = scores.against_truth(answer, simulated.event, n_events, options.min_picks)
                figures = _figures(answer, request, scores.provider(request))
                rows.append({"per_minute": 60 * n_events / duration_s, "n_events": n_events, "duration_s": duration_s,
                             "n_picks_given": len(simulated.time_s), **figures, **asdict(found)})  # fmt: skip
                _write_synthetic(options, rows)
            draw(rows, options.out / "rates.png")
            bar.update()


def _write_synthetic(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    lines = [
        (f"{row['per_minute']:.3g}", f"{row['n_picks_given']:,}", str(row["n_visible"]), row["tool"],
         *(_text(row[f"{what}_{name}"], 3) for what in ("event", "pick") for name in ("f1", "precision", "recall")),
         _text(row["cpu_s"], 1))
        for row in rows
    ]  # fmt: skip
    head = (
        "Synthetic catalogues, seed "
        + str(options.seed)
        + ": 40 stations, magnitudes after Gutenberg and Richter, 10 % "
        "of the picks missing and 10 % spurious, a 3-D speed that no tool knows. Visible: events with at least "
        f"{options.min_picks} picks.\n\n"
    )
    text = "# Comparison at rising rates\n\n" + head + table(_SYNTHETIC_HEADS, lines) + "\n\n![Scores](rates.png)\n"
    write_text(options.out / "rates.md", text)
    write_json(options.out / "rates.json", {"rows": rows})


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
