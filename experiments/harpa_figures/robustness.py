"""Figure 9: what wrong wave speeds, and missing and spurious picks, do to the association.

(a) the field of the fixed overthrust c0, the truth (1 - p_d) c0 + p_d c1 with c1 a random-field speed; (b) the field of
random-field speeds, the truth (1 - p_o) c2 + p_o c0 with c2 an unseen one; both against the confusion factor, on the
same axes; (c) shares p_n of spurious and p_m of missing picks, at CF about .80, wave speed unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from callbacks.figures import new_figure
from datamodules.simulate.arrivals import origin_time_range_for_confusion_factor
from datamodules.simulate.wave_speeds import SPACING_KM, interpolate
from experiments.association.travel_times.provider import P
from experiments.association.travel_times.table import TableTravelTimes
from experiments.association_trials import SOLVERS, Array, Setting, Trial, point_times
from experiments.harpa_fields import TrainedField
from experiments.harpa_figures.context import KNOWN, SOLVER_NAMES, UNKNOWN, Context, Made, means

MODULE = __name__
TrialMaker = Callable[[float, float, int], Trial]
DISTORTIONS = (0.0, 0.1, 0.2, 0.4)
CONFUSION_FACTORS = (0.05, 0.3, 0.6, 0.9)
SPURIOUS, MISSING = (0.0, 0.05, 0.1, 0.2), (0.0, 0.05, 0.1, 0.2)
N_EVENTS, N_STATIONS = 8, 20
CONFUSION_OF_C = 0.8
MEASURES = {
    "accuracy": ("ACC", "Oranges_r", "{:.2f}"),
    "e_l_s": ("e_l (s)", "Blues", "{:.2f}"),
    "location_error_km": ("location error (km)", "Greens", "{:.1f}"),
    "wave_speed_rmse_km_s": ("wave speed RMSE (km/s)", "Greys", "{:.2f}"),
}


class Mixed:
    """Trials whose wave speed lies between one that the field is for and one that it is not.

    Args:
        trained: The field.
        others: The speeds that the truth is pulled to, `(w, nx, ny, nz)`.
        context: For the travel times' cache.
    """

    def __init__(self, trained: TrainedField, others: Array, context: Context) -> None:
        self.trained, self.others, self.context = trained, others, context

    def trial(self, share: float, confusion_factor: float, seed: int) -> Trial:
        """One trial."""
        from datamodules.simulate.eikonal import DEFAULT_REFINEMENT
        from datamodules.travel_time_cache import cached_travel_times

        trained, indices = self.trained, self.trained.test_indices
        own = trained.wave_speeds_km_s[int(indices[seed % len(indices)])]
        truth = interpolate(own, self.others[seed % len(self.others)], share)
        stations_km = trained.stations_km[:N_STATIONS]
        table = cached_travel_times(
            truth, SPACING_KM, stations_km, refinement=DEFAULT_REFINEMENT, cache_root=self.context.cache_root
        )
        times = point_times(
            TableTravelTimes(
                {P: np.asarray(table)}, SPACING_KM, station_positions_km=stations_km, interpolation="factored"
            )
        )
        bounds_km = trained.travel_times.bounds_km
        window = origin_time_range_for_confusion_factor(seed, times, N_EVENTS, confusion_factor, bounds_km)
        setting = Setting(N_EVENTS, window[1])
        return trained.trial_with(setting, seed, times, truth, N_STATIONS)


def incomplete(trained: TrainedField, p_spurious: float, p_missing: float, seed: int) -> Trial:
    """One trial with spurious and missing picks."""
    index = int(trained.test_indices[seed % len(trained.test_indices)])
    every = trained.data.true_travel_times(index)
    bounds_km = trained.travel_times.bounds_km
    window = origin_time_range_for_confusion_factor(
        seed, lambda points: np.asarray(every(points))[:, :N_STATIONS], N_EVENTS, CONFUSION_OF_C, bounds_km
    )
    setting = Setting(N_EVENTS, window[1], p_missing=p_missing, p_spurious=p_spurious)
    return trained.trial(setting, seed, N_STATIONS)


def figure_9(context: Context) -> Made:
    """Heat maps of ACC, e_l, location and wave speed errors, a picture a solver, the oracle's ACC beside."""
    known, unknown = context.trained(KNOWN), context.trained(UNKNOWN)
    ledger = context.ledger("fig9", MODULE)
    seeds = context.seeds(2)
    # The speed c1 of (a) is fixed, as the paper has it; c0 of (b) is the overthrust.
    c1 = unknown.wave_speeds_km_s[unknown.test_indices[:1]]
    distorted, excursive = Mixed(known, c1, context), Mixed(unknown, known.wave_speeds_km_s[:1], context)
    parts: dict[str, tuple[str, str, Sequence[float], Sequence[float], TrainedField, TrialMaker]] = {
        "a": ("distortion p_d", "CF", DISTORTIONS, CONFUSION_FACTORS, known, distorted.trial),
        "b": ("excursion p_o", "CF", DISTORTIONS, CONFUSION_FACTORS, unknown, excursive.trial),
        "c": ("spurious p_n", "missing p_m", SPURIOUS, MISSING, unknown, partial(incomplete, unknown)),
    }
    results: dict[str, Any] = {"n_trials": len(seeds), "n_psgld_trials": min(len(seeds), context.psgld_trials)}
    for part, (along, across, firsts, seconds, trained, make) in parts.items():
        cells = {}
        for x, y in tqdm([(x, y) for x in firsts for y in seconds], desc=f"fig9{part}"):
            records = context.records(ledger, f"{part}/{x}/{y}", trained, partial(make, x, y), seeds)
            cells[f"{x}/{y}"] = means(records)
        results[part] = {"along": along, "across": across, "cells": cells}
    pictures = {f"_{solver}": _maps(results, parts, solver) for solver in SOLVERS}
    sentence = f"(a) {known.data.source.sentence} (b, c) {unknown.data.source.sentence}"
    return Made(pictures, results, sentence)


def _maps(results: Mapping[str, Any], parts: Mapping[str, Any], solver: str) -> Any:
    columns = [*MEASURES, "oracle"]
    figure = new_figure(2.7 * len(columns), 2.5 * len(parts) + 0.5)
    axes = figure.subplots(len(parts), len(columns), squeeze=False)
    spans = {
        measure: _span([cell[solver][measure] for part in parts for cell in results[part]["cells"].values()
                        if measure in cell[solver]])
        for measure in MEASURES
    }  # fmt: skip
    for i, (part, (along, across, firsts, seconds, *_)) in enumerate(parts.items()):
        for j, column in enumerate(columns):
            panel = axes[i, j]
            source, measure = ("oracle", "accuracy") if column == "oracle" else (solver, column)
            title, cmap, form = MEASURES[measure]
            grid = np.array(
                [[results[part]["cells"][f"{x}/{y}"][source].get(measure, np.nan) for x in firsts] for y in seconds]
            )
            if np.isnan(grid).all():
                panel.axis("off")  # the fixed-speed field has no wave speed to recover
                continue
            low, high = (0.0, 1.0) if measure == "accuracy" else spans[measure]
            panel.imshow(grid, vmin=low, vmax=high, cmap=cmap, origin="lower", aspect="auto")
            middle = 0.5 * (low + high)
            for (row, place), value in np.ndenumerate(grid):
                dark = value < middle if cmap.endswith("_r") else value > middle
                panel.text(
                    place, row, form.format(value), ha="center", va="center", fontsize=6, color="w" if dark else "k"
                )
            panel.set_xticks(range(len(firsts)), [f"{x:g}" for x in firsts])
            panel.set_yticks(range(len(seconds)), [f"{y:g}" for y in seconds])
            panel.tick_params(labelsize=6)
            panel.set_xlabel(along, fontsize=7)
            panel.set_ylabel(across if j == 0 else "", fontsize=7)
            panel.set_title(f"({part}) " + ("oracle: ACC" if column == "oracle" else title), fontsize=8)
    n_trials = results["n_psgld_trials" if solver == "psgld" else "n_trials"]
    said = f"{n_trials} trial{'' if n_trials == 1 else 's'} a cell, {N_EVENTS} events, {N_STATIONS} stations"
    figure.suptitle(f"Figure 9, {SOLVER_NAMES[solver]}: {said}", fontsize=10)
    return figure


def _span(values: Sequence[float]) -> tuple[float, float]:
    return (0.0, float(np.nanmax(values)) if len(values) else 1.0)
