"""Figures 1e-g, 4, 5 and 10: the overthrust model, known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from callbacks.association_figures import DrawnAssociation, associations, draw_arrivals
from callbacks.figures import new_figure
from datamodules.simulate.arrivals import SimulatedArrivals, origin_time_range_for_confusion_factor
from experiments.association.solvers.psgld import PreconditionedSGLD
from experiments.association_trials import Array, Setting, Trial, problem_of
from experiments.harpa_fields import TrainedField
from experiments.harpa_figures.context import KNOWN, SOLVER_NAMES, Context, Made, accuracies, means, solve

MODULE = __name__
BOUNDS_SHARE = 0.05
N_EPOCHS = 200
"""Of Figure 10, 50 steps each; trajectories are drawn of them all."""
CONFUSION_FACTORS = (0.88, 0.42, 0.05, 0.02)


def trial_at(trained: TrainedField, seed: int, n_events: int, confusion_factor: float) -> Trial:
    """A trial of the known speed whose origin times are spread until it has a confusion factor."""
    times, bounds_km = trained.data.true_travel_times(0), trained.travel_times.bounds_km
    window = origin_time_range_for_confusion_factor(seed, times, n_events, confusion_factor, bounds_km)
    return trained.trial(Setting(n_events=n_events, origin_window_s=window[1]), seed)


def figure_1(context: Context) -> Made:
    """Two events 20 s apart are easy, four within 2 s are not."""
    trained = context.trained(KNOWN)
    true_times = trained.data.true_travel_times(0)
    draw = np.random.default_rng(context.first_seed)
    bounds_km = np.asarray(trained.travel_times.bounds_km)
    rows, results = [], {}
    for name, origin_times_s in (
        ("two events, 20 s apart", np.array([0.0, 20.0])),
        ("four events within 2 s", np.sort(draw.uniform(0.0, 2.0, 4))),
    ):
        inside = BOUNDS_SHARE * (bounds_km[1] - bounds_km[0])
        positions_km = draw.uniform(bounds_km[0] + inside, bounds_km[1] - inside, (len(origin_times_s), 3))
        truth = exact_arrivals(positions_km, origin_times_s, true_times)
        problem = problem_of(truth, trained.stations_km, trained.travel_times, Setting(n_events=len(positions_km)))
        found = solve(trained, Trial(problem, truth), context.first_seed)
        rows += found.rows(f"{name}; CF {found.trial.confusion_factor:.2f}; ")
        results[name] = found.record()
    speed = trained.wave_speeds_km_s[0]
    figure = associations(
        [_without_ways(row) for row in rows], bounds_km, [speed] * len(rows), "Figure 1e-g: easy and hard to associate"
    )
    return Made({"": figure}, {"cases": results}, trained.data.source.sentence)


def exact_arrivals(positions_km: Array, origin_times_s: Array, true_times: Any) -> SimulatedArrivals:
    """Picks of given events, without noise, in order of station and time."""
    exact_s = np.asarray(true_times(positions_km), np.float64) + origin_times_s[:, None]
    order = np.argsort(exact_s, axis=0, kind="stable")
    n_events, n_stations = exact_s.shape
    return SimulatedArrivals(
        positions_km,
        origin_times_s,
        np.repeat(np.arange(n_stations), n_events),
        np.take_along_axis(exact_s, order, axis=0).T.ravel(),
        order.T.ravel().astype(np.int64),
        exact_s,
    )


def figure_4(context: Context) -> Made:
    """Eight events at four confusion factors."""
    trained = context.trained(KNOWN)
    ledger = context.ledger("fig4", MODULE)
    figure = new_figure(10.0, 2.9 * len(CONFUSION_FACTORS) + 0.5)
    axes = figure.subplots(len(CONFUSION_FACTORS), 2, squeeze=False)
    results: dict[str, Any] = {}
    for i, wanted in enumerate(CONFUSION_FACTORS):

        def make(seed: int, wanted: float = wanted) -> Trial:
            return trial_at(trained, seed, 8, wanted)

        found = solve(trained, make(context.first_seed), context.first_seed)
        for panel, row in zip(axes[i], found.rows(f"CF {found.trial.confusion_factor:.2f}: "), strict=True):
            draw_arrivals(panel, row)
        records = context.records(ledger, f"CF{wanted}", trained, make, context.seeds(5), first=found)
        results[str(wanted)] = {"case": found.record(), "means": means(records)}
        print(f"fig4 CF {wanted}: {accuracies(results[str(wanted)]['means'])}", flush=True)
    figure.suptitle("Figure 4: association by arrival rate, known overthrust (8 events, 20 stations)", fontsize=10)
    return Made({"": figure}, results, trained.data.source.sentence)


def figure_5(context: Context) -> Made:
    """Eight events, CF .93: arrivals, sources, trajectories."""
    return _one_case(context, "fig5", 0.93, "Figure 5: known overthrust, 8 events, 20 stations")


def _one_case(
    context: Context, name: str, confusion_factor: float, title: str, solvers: Mapping[str, Any] | None = None
) -> Made:
    """One case drawn, and means over more."""
    trained = context.trained(KNOWN)

    def make(seed: int) -> Trial:
        return trial_at(trained, seed, 8, confusion_factor)

    found = solve(trained, make(context.first_seed), context.first_seed, solvers)
    records = context.records(context.ledger(name, MODULE), "case", trained, make, context.seeds(5), solvers, found)
    heading = f"{title}, CF {found.trial.confusion_factor:.2f}; oracle ACC {100 * found.oracle_accuracy:.1f} %"
    speeds = [trained.wave_speeds_km_s[0]] * len(found.solutions)
    figure = associations(found.rows(), trained.travel_times.bounds_km, speeds, heading)
    print(f"{name}: {accuracies(means(records))}", flush=True)
    return Made({"": figure}, {"case": found.record(), "means": means(records)}, trained.data.source.sentence)


def figure_10(context: Context) -> Made:
    """The same start with noise and without: learning rate .005, epsilon .0005 or 0, one chain, no decay."""
    constant = PreconditionedSGLD(
        chains=1, learning_rate=0.005, noise=0.0005, threshold_s=0.0, decay=1.0, settle=1.0, restarts=1,
        patience_epochs=N_EPOCHS, refine_epochs=0, stations_per_step=1,
    )  # fmt: skip
    solvers = {"psgld": constant, "sgd": replace(constant, noise=0.0), "gauss_newton": "gauss_newton"}
    title = f"Figure 10: {SOLVER_NAMES['psgld']} and {SOLVER_NAMES['sgd']} from one start, known overthrust, 8 x 20"
    return _one_case(context, "fig10", 0.85, title, solvers)


def _without_ways(row: DrawnAssociation) -> DrawnAssociation:
    return replace(row, trajectories_km=None)
