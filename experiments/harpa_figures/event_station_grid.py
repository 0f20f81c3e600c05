"""Figure 8: accuracy and errors against the number of events and of stations, the wave speed unknown.

Relative errors, which the paper names without a formula, are here: RMSE of the wave speed over the root mean square of
the true one; location RMSE over the side of the domain; origin-time RMSE over tau_max.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from callbacks.figures import new_figure
from experiments.association_trials import SOLVERS, Setting, Trial
from experiments.harpa_figures.context import SOLVER_NAMES, UNKNOWN_SMALL, Context, Made

MODULE = __name__
EVENTS, STATIONS = (4, 8, 12, 16), (10, 20, 30, 50)
ORIGIN_WINDOW_S = 4.0
"""With it the mean CF is about the paper's .80."""
MEASURES = {
    "accuracy": "association accuracy",
    "relative_wave_speed_error": "relative wave speed error",
    "relative_location_error": "relative location error",
    "relative_origin_time_error": "relative origin time error",
}


def with_relative_errors(record: dict[str, Any], side_km: float, speed_km_s: float) -> dict[str, Any]:
    """A trial's figures with the relative errors added.

    Args:
        record: Of the trial.
        side_km: Longest side of the domain.
        speed_km_s: Root mean square of the true wave speeds.
    """
    for name in SOLVERS:
        if name in record:
            scores = record[name]
            scores["relative_location_error"] = scores["location_error_km"] / side_km
            scores["relative_origin_time_error"] = scores["origin_time_error_s"] / ORIGIN_WINDOW_S
            if "wave_speed_rmse_km_s" in scores:
                scores["relative_wave_speed_error"] = scores["wave_speed_rmse_km_s"] / speed_km_s
    return record


def figure_8(context: Context) -> Made:
    """Bars: means over the runs; lines: standard deviations."""
    trained = context.trained(UNKNOWN_SMALL)
    ledger = context.ledger("fig8", MODULE)
    seeds = context.seeds(2)
    bounds_km = np.asarray(trained.travel_times.bounds_km)
    side_km = float((bounds_km[1] - bounds_km[0]).max())
    speed_km_s = float(np.sqrt(np.mean(np.square(trained.wave_speeds_km_s[trained.test_indices]))))
    cells: dict[str, dict[str, Any]] = {}
    confusion: list[float] = []
    for m, n in tqdm([(m, n) for m in EVENTS for n in STATIONS], desc="fig8"):

        def make(seed: int, m: int = m, n: int = n) -> Trial:
            return trained.trial(Setting(m, ORIGIN_WINDOW_S), seed, n)

        records = context.records(ledger, f"{m}x{n}", trained, make, seeds)
        records = [with_relative_errors(record, side_km, speed_km_s) for record in records]
        confusion += [record["confusion_factor"] for record in records]
        cells[f"{m}x{n}"] = {
            name: {measure: _mean_and_sd(records, name, measure) for measure in (*MEASURES, "cpu_s")}
            for name in (*SOLVERS, "oracle")
        }
    n_slow = min(len(seeds), context.psgld_trials)
    figure = _bars(cells, f"{len(seeds)} runs a bar (pSGLD: {n_slow}), mean CF {np.mean(confusion):.2f}")
    results = {"cells": cells, "n_runs": len(seeds), "confusion_factor": float(np.mean(confusion))}
    return Made({"": figure}, results, trained.data.source.sentence)


def _mean_and_sd(records: list[dict[str, Any]], name: str, measure: str) -> list[float]:
    values = [record[name][measure] for record in records if measure in record.get(name, {})]
    return [float(np.mean(values)), float(np.std(values))] if values else []


def _bars(cells: Mapping[str, Mapping[str, Any]], said: str) -> Any:
    figure = new_figure(13.0, 6.0)
    axes = figure.subplots(len(SOLVERS), len(MEASURES), squeeze=False)
    width = 0.8 / len(STATIONS)
    for i, solver in enumerate(SOLVERS):
        for j, (measure, title) in enumerate(MEASURES.items()):
            panel = axes[i, j]
            for k, n in enumerate(STATIONS):
                places = np.arange(len(EVENTS)) + (k - (len(STATIONS) - 1) / 2) * width
                drawn = [cells[f"{m}x{n}"][solver][measure] or [np.nan, 0.0] for m in EVENTS]
                heights, spread = np.array(drawn).T
                panel.bar(places, heights, 0.92 * width, yerr=spread, error_kw={"lw": 0.6}, label=f"{n} stations")
                if measure == "accuracy":
                    bound = [cells[f"{m}x{n}"]["oracle"]["accuracy"][0] for m in EVENTS]
                    panel.plot(places, bound, "k_", ms=5, label="oracle" if k == 0 else None)
            panel.set_xticks(range(len(EVENTS)), [str(m) for m in EVENTS])
            panel.set_title(f"{SOLVER_NAMES[solver]}: {title}" if j == 0 else title, fontsize=8)
            panel.tick_params(labelsize=6)
            panel.set_xlabel("events", fontsize=7)
            panel.set_ylim(bottom=0.0, top=1.35 if measure == "accuracy" else None)  # room for the legend
        axes[i, 0].legend(fontsize=6, ncols=3, loc="upper center", frameon=False)
    figure.suptitle(f"Figure 8: events and stations, unseen wave speeds of up to 2 fields, L = 4; {said}", fontsize=10)
    return figure
