"""Synthetic catalogues with truth, at rising rates and by the day: all tools' scores, a table and a picture.

A tool that takes more than it is given is stopped, or fails, and its row says so; at the next rate it is asked again.
"""

import argparse
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
from tqdm import tqdm

from datamodules.simulate.catalogues import PROFILE, CatalogueSimulation, simulate_catalogue
from experiments.catalogue_comparison import scores
from experiments.catalogue_comparison.figure import draw_rates
from experiments.catalogue_comparison.tables import figures_of, table, text_of
from experiments.catalogue_comparison.tools import Request, StoppedError, Tool, run, tools
from experiments.errors import SettingsError
from experiments.run_folder import write_json, write_text

DAY_S = 86_400.0
_HEADS = ("catalogue", "picks", "visible", "tool", "event F1", "precision", "recall", "pick F1", "precision", "recall",
          "CPU-s", "peak MB")  # fmt: skip
_MARGIN_KM, _TOP_KM, _BOTTOM_KM = 10.0, -1.5, 30.0


def run_command(options: argparse.Namespace) -> None:
    """Run the tools over all catalogues; what is done is written after each.

    Args:
        options: The command line.
    """
    cases = [(options.events, 60.0 * options.events / rate) for rate in options.per_minute]
    cases += [(n, DAY_S) for n in options.days]
    provenance = (
        f"synthetic catalogues with truth, {options.events} events each, seed {options.seed}; the medium has three "
        "dimensions and no tool knows it"
    )
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(cases), desc="catalogues", unit="catalogue") as bar:
        for n_events, duration_s in cases:
            simulated = simulate_catalogue(CatalogueSimulation(n_events, duration_s, seed=options.seed))
            request = _request(simulated)
            facts = {"per_minute": 60 * n_events / duration_s, "n_true": n_events, "duration_s": duration_s,
                     "n_picks_given": len(simulated.time_s)}  # fmt: skip
            for tool in tools(options.pyocto, options.gamma, options.min_picks, request):
                rows.append(facts | _row(options, tool, request, simulated.event, n_events))
                _write(options, rows)
            draw_rates(rows, options.out / "rates.png", provenance)
            bar.update()


def _request(simulated: Any) -> Request:
    depth_km, vp_km_s, vs_km_s = np.array(PROFILE).T
    half_km = CatalogueSimulation().extent_km / 2 + _MARGIN_KM
    bounds_km = np.array([[-half_km, -half_km, _TOP_KM], [half_km, half_km, _BOTTOM_KM]])
    return Request(simulated.stations_km, simulated.station, simulated.phase, simulated.time_s, simulated.score,
                   bounds_km, depth_km, vp_km_s, vs_km_s)  # fmt: skip


def _row(
    options: argparse.Namespace, tool: Tool, request: Request, true_event: np.ndarray, n_events: int
) -> dict[str, Any]:
    try:
        answer = run(tool, request, options.out / "answers", options.timeout_s, options.limit_cpu_s)
    except SettingsError as error:
        tqdm.write(str(error), file=sys.stderr)
        return {"tool": tool.name, "failed": str(error), "stopped": isinstance(error, StoppedError)}
    found = scores.against_truth(answer, true_event, n_events, options.min_picks)
    return figures_of(answer, request, scores.provider(request)) | asdict(found)


def _write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        day = row["duration_s"] == DAY_S
        name = f"a day, {row['n_true']:,} events" if day else f"{row['per_minute']:.3g} a minute"
        start = (name, f"{row['n_picks_given']:,}")
        if "failed" in row:
            limit = f"{options.timeout_s:g} s" if options.limit_cpu_s is None else f"{options.limit_cpu_s:g} CPU-s"
            lines.append(
                (*start, "", row["tool"], *[""] * 6, f"stopped after {limit}" if row["stopped"] else "failed", "")
            )
            continue
        shown = (text_of(row[f"{what}_{score}"], 3) for what in ("event", "pick")
                 for score in ("f1", "precision", "recall"))  # fmt: skip
        lines.append((*start, str(row["n_visible"]), row["tool"], *shown, text_of(row["cpu_s"], 1),
                      text_of(row["peak_mb"], 0)))  # fmt: skip
    head = (
        f"Synthetic catalogues, seed {options.seed}, {options.events} events at each rate: 40 stations, magnitudes "
        "after Gutenberg and Richter, 10 % of the picks missing and 10 % spurious, a 3-D speed that no tool knows. "
        f"Visible: events with at least {options.min_picks} picks.\n\n"
    )
    text = "# Comparison at rising rates\n\n" + head + table(_HEADS, lines) + "\n\n![Scores](rates.png)\n"
    write_text(options.out / "rates.md", text)
    write_json(options.out / "rates.json", {"rows": rows})
