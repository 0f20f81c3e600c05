"""The rows of `make bench-association`: what is solved, and what is wanted of it.

Known speed: the overthrust model. `known/*` uses one travel-time table for the truth and for the solver, so that only
the solver is judged; `noise/*` has its truth from a grid four times finer, and the solver is given the coarse speed.
Unknown speed: random fields that no network has seen, with the networks of `experiments.harpa`, preset `tiny`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules.simulate.arrivals import random_stations
from datamodules.simulate.overthrust import WaveSpeedModel, overthrust
from datamodules.simulate.wave_speeds import SPACING_KM
from experiments.association.travel_times.provider import P
from experiments.association.travel_times.table import TableTravelTimes
from experiments.association_trials import Array, Scores, Setting, Trial, judged, oracle, point_times, solved, trial_of

FINER = 4
"""Nodes of the fine grid along a spacing of the coarse one: 125 in place of 32."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: Such as `known/8x20`.
        says: What it is.
        measure: `(bench, seed)` -> figures of one solve.
        goal: In words.
        is_met: Judges the means over the seeds; None where there is no goal.
        paper: What the paper has, in words.
    """

    name: str
    says: str
    measure: "Callable[[Bench, int], Scores]"
    goal: str = ""
    is_met: Callable[[Mapping[str, float]], bool] | None = None
    paper: str = ""


@dataclass(frozen=True)
class Bench:
    """Where things are, and what several rows share.

    Args:
        data_root: Folder with the overthrust model; None for a stand-in.
        cache_root: For travel times.
        run_root: For the runs whose networks the unknown speeds need.
    """

    data_root: Path | None
    cache_root: Path
    run_root: Path

    @cached_property
    def model(self) -> WaveSpeedModel:
        """The known wave speed."""
        return overthrust(self.data_root)

    def table(self, stations_km: Array) -> TableTravelTimes:
        """Times of the known speed on its own grid, trilinear."""
        from datamodules.simulate.eikonal import travel_times

        times_s = travel_times(self.model.wave_speed_km_s, SPACING_KM, stations_km)
        return TableTravelTimes({P: times_s}, SPACING_KM)

    @cached_property
    def noise_stations_km(self) -> Array:
        """Those of the rows with a fine truth, which is too dear for new ones each time."""
        return random_stations(20, 0)

    @cached_property
    def fine_times(self) -> TableTravelTimes:
        """The truth of the known speed: from the fine grid."""
        from datamodules.simulate.eikonal import refined
        from datamodules.travel_time_cache import cached_travel_times

        fine = refined(self.model.wave_speed_km_s.astype(np.float64), FINER)
        spacing_km = SPACING_KM / FINER
        stations_km = self.noise_stations_km
        times_s = cached_travel_times(fine, spacing_km, stations_km, cache_root=self.cache_root, progress=True)
        return TableTravelTimes(
            {P: np.asarray(times_s)}, spacing_km, station_positions_km=stations_km, interpolation="factored"
        )

    @cached_property
    def coarse_times(self) -> TableTravelTimes:
        """What a solver can make of the coarse speed: the command line's own way, twice the nodes for interpolation."""
        from datamodules.simulate.eikonal import DEFAULT_REFINEMENT, error_s, refined
        from datamodules.travel_time_cache import cached_travel_times

        stations_km, speed = self.noise_stations_km, self.model.wave_speed_km_s
        times_s = cached_travel_times(
            refined(speed.astype(np.float64), DEFAULT_REFINEMENT),
            SPACING_KM / DEFAULT_REFINEMENT,
            stations_km,
            cache_root=self.cache_root,
            progress=True,
        )
        return TableTravelTimes(
            {P: np.asarray(times_s)},
            SPACING_KM / DEFAULT_REFINEMENT,
            station_positions_km=stations_km,
            error_s=error_s(speed, SPACING_KM, DEFAULT_REFINEMENT),
            interpolation="factored",
        )


def measured(trial: Trial, solver: str, seed: int, wave_speed_of: Callable[[Array], Array] | None = None) -> Scores:
    """Figures of merit of a solve, with the oracle's and the confusion factor."""
    found = judged(trial, solved(trial, solver, seed), wave_speed_of)
    return {**found, "oracle_accuracy": oracle(trial)["accuracy"], "confusion_factor": trial.confusion_factor}


def known(setting: Setting, n_stations: int, solver: str = "gauss_newton") -> Callable[[Bench, int], Scores]:
    """One table for truth and solver."""

    def measure(bench: Bench, seed: int) -> Scores:
        stations_km = random_stations(n_stations, seed)
        table = bench.table(stations_km)
        return measured(trial_of(setting, seed, point_times(table), stations_km, table), solver, seed)

    return measure


def honest(setting: Setting, solver: str = "gauss_newton") -> Callable[[Bench, int], Scores]:
    """Truth from the fine grid, the coarse speed for the solver."""

    def measure(bench: Bench, seed: int) -> Scores:
        truth = point_times(bench.fine_times)
        trial = trial_of(setting, seed, truth, bench.noise_stations_km, bench.coarse_times)
        return measured(trial, solver, seed)

    return measure


def unknown(
    wave_speed: str, setting: Setting, n_stations: int, solver: str = "gauss_newton"
) -> Callable[[Bench, int], Scores]:
    """Speeds that no network has seen."""

    def measure(bench: Bench, seed: int) -> Scores:
        from experiments.harpa_fields import FieldRun, trained

        run = FieldRun(wave_speed, n_stations=max(20, n_stations))
        field = trained(run, bench.run_root, bench.cache_root, bench.data_root)
        return measured(field.trial(setting, seed, n_stations), solver, seed, field.wave_speed_of)

    return measure


BASE = Setting(n_events=8, least_confusion=0.9)
_INCOMPLETE = Setting(n_events=8, p_missing=0.1, p_spurious=0.05)


def _known_row(m: int, n: int, accuracy: float, cpu_s: float | None = None) -> Row:
    says = f"known overthrust, {m} events, {n} stations, one table"
    goal = f"ACC >= {accuracy}" + (f", <= {cpu_s} CPU-s" if cpu_s else "")
    return Row(
        f"known/{m}x{n}",
        says,
        known(replace(BASE, n_events=m), n),
        goal,
        lambda found: found["accuracy"] >= accuracy and found["cpu_s"] <= (cpu_s or np.inf),
    )


def _noise_row(noise_s: float) -> Row:
    return Row(
        f"noise/{noise_s:g}s",
        f"known overthrust, 8 x 20, truth from 125^3, picks +- {noise_s:g} s",
        honest(replace(BASE, pick_noise_s=noise_s)),
        "ACC within .03 of the oracle's",
        lambda found: found["accuracy"] >= found["oracle_accuracy"] - 0.03,
    )


def _unknown_row(
    wave_speed: str, m: int, n: int, least_confusion: float, accuracy: float, paper: str, most: Mapping[str, float] = {}
) -> Row:
    """A row of unseen wave speeds; `most` are upper limits of further figures."""
    setting = Setting(n_events=m, least_confusion=least_confusion)
    name = "random fields" if wave_speed == "grf" else "Gaussian perturbations"
    limits = "".join(f", {key} <= {value:g}" for key, value in most.items())
    return Row(
        f"unknown/{wave_speed}/{m}x{n}",
        f"unseen {name}, {m} x {n}, CF >= {least_confusion}",
        unknown(wave_speed, setting, n),
        f"ACC >= {accuracy}{limits}",
        lambda found: found["accuracy"] >= accuracy and all(found[key] <= value for key, value in most.items()),
        paper,
    )


ROWS: tuple[Row, ...] = (
    _known_row(8, 20, 0.995, 0.5),
    _known_row(16, 50, 0.99, 1.0),
    _known_row(16, 20, 0.95),
    _known_row(32, 100, 0.95),
    _known_row(32, 50, 0.80),
    *(_noise_row(noise_s) for noise_s in (0.0, 0.02, 0.05, 0.1)),
    Row(
        "psgld/8x20",
        "known overthrust, 8 x 20, one table, pSGLD with batched chains",
        known(BASE, 20, "psgld"),
        "ACC >= .936",
        lambda found: found["accuracy"] >= 0.936,
        "ACC .975, .95, .925 (single cases); its program, measured: .936 in 41 to 102 CPU-s",
    ),
    Row(
        "incomplete/known",
        "known overthrust, 8 x 20, truth from 125^3, p_n .05, p_m .1",
        honest(replace(_INCOMPLETE, least_confusion=0.7)),
        "ACC on clean picks >= .90",
        lambda found: found["accuracy"] >= 0.90,
        "ACC .756 at CF .88 (its authors' log)",
    ),
    _unknown_row(
        "grf",
        8,
        20,
        0.94,
        0.92,
        "Fig. 6: ACC .913, e_l .07 s, speed .78 km/s, location 3.48 km",
        {"e_l_s": 0.07, "wave_speed_rmse_km_s": 0.78, "location_error_km": 3.48},
    ),
    _unknown_row("grf", 16, 50, 0.98, 0.80, "Fig. 7: ACC .72, e_l .10 s, speed 1.94 km/s, location 3.18 km"),
    _unknown_row("grf", 16, 20, 0.90, 0.40, "Fig. 7: ACC .284, e_l .29 s"),
    _unknown_row("gaussian", 8, 20, 0.79, 0.963, "Fig. 15: ACC .963, e_l .02 s"),
    Row(
        "incomplete/unknown",
        "unseen random fields, 8 x 20, p_n .05, p_m .1",
        unknown("grf", replace(_INCOMPLETE, least_confusion=0.7), 20),
    ),
)
