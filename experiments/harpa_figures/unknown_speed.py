"""Figures 6, 7 and 15: association over a wave speed that is found along with the events."""

from collections.abc import Sequence
from dataclasses import dataclass

from callbacks.association_figures import associations
from callbacks.wave_speed_figures import recovered_wave_speeds
from experiments.association_trials import Setting, Trial
from experiments.harpa_fields import FieldRun, TrainedField
from experiments.harpa_figures.context import (
    GAUSSIAN,
    SOLVER_NAMES,
    UNKNOWN,
    UNKNOWN_50,
    Context,
    Made,
    Solved,
    accuracies,
    means,
    solve,
)

MODULE = __name__


@dataclass(frozen=True)
class Case:
    """One line of a figure: a setting of the paper.

    Args:
        name: Of the case.
        n_events: M.
        n_stations: N.
        least_confusion: CF at least.
        run: Whose field it is solved with.
        origin_window_s: tau_max.
    """

    name: str
    n_events: int
    n_stations: int
    least_confusion: float
    run: FieldRun
    origin_window_s: float = 2.0

    @property
    def setting(self) -> Setting:
        """As a trial's setting."""
        return Setting(self.n_events, self.origin_window_s, self.least_confusion)


def figure_6(context: Context) -> Made:
    """Eight events, twenty stations, CF .94."""
    return _cases(context, "fig6", [Case("8x20", 8, 20, 0.94, UNKNOWN)], "Figure 6: unseen random-field wave speed")


def figure_7(context: Context) -> Made:
    """Sixteen events in half the time, with fifty and with twenty stations."""
    cases = [Case("16x50", 16, 50, 0.98, UNKNOWN_50, 1.0), Case("16x20", 16, 20, 0.90, UNKNOWN, 1.0)]
    return _cases(context, "fig7", cases, "Figure 7: unseen random-field wave speed, sixteen events")


def figure_15(context: Context) -> Made:
    """The Gaussian-perturbation wave speeds."""
    cases = [Case("8x20", 8, 20, 0.79, GAUSSIAN)]
    return _cases(context, "fig15", cases, "Figure 15: unseen Gaussian-perturbation wave speed")


def _cases(context: Context, name: str, cases: Sequence[Case], title: str) -> Made:
    ledger = context.ledger(name, MODULE)
    rows, speeds, results = [], [], {}
    compared: list[tuple[Solved, str]] = []
    for case in cases:
        trained = context.trained(case.run)

        def make(seed: int, case: Case = case, trained: TrainedField = trained) -> Trial:
            return trained.trial(case.setting, seed, case.n_stations)

        found = solve(trained, make(context.first_seed), context.first_seed)
        records = context.records(ledger, case.name, trained, make, context.seeds(5), first=found)
        rows += found.rows(f"{case.name}, CF {found.trial.confusion_factor:.2f}; ")
        for association in found.solutions.values():
            assert association.latent is not None
            speeds.append(trained.wave_speed_of(association.latent))
        compared.append((found, case.name))
        results[case.name] = {"case": found.record(), "means": means(records)}
        print(f"{name} {case.name}: {accuracies(results[case.name]['means'])}", flush=True)
    bounds_km = trained.travel_times.bounds_km
    pictures = {"": associations(rows, bounds_km, speeds, f"{title}; on the faces the speed found")}
    names = [f"{case}, {SOLVER_NAMES[solver]}" for found, case in compared for solver in found.solutions]
    truths = [found.trial.true_wave_speed_km_s for found, _ in compared for _ in found.solutions]
    pictures["_wave_speed"] = recovered_wave_speeds(truths, speeds, bounds_km, names, title)  # type: ignore[arg-type]
    return Made(pictures, results, trained.data.source.sentence)
