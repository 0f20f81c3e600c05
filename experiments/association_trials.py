"""Association problems with known answers: drawn, solved, and judged beside the oracle.

What all of HARPA's experiments share. Travel times come twice: the true ones, which make the picks, and the provider's,
which the solver is given. The oracle is told the true events and associates with the provider's times: what separates
it from 1 is the travel times' error and the picks' noise, and no solver does better but by luck. Over an unknown wave
speed it is told the code that the encoder gives the true one; there, a solver may find one with better times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from callbacks.association_figures import DrawnAssociation
from datamodules.simulate.arrivals import SimulatedArrivals, TravelTimesOf, simulate_arrivals
from experiments.association.problem import Association, Events, Picks, Problem, Stations
from experiments.association.travel_times.provider import P, TravelTimes

Array = npt.NDArray[Any]
Scores = dict[str, float]

_MOST_DRAWS = 1000


@dataclass(frozen=True)
class Setting:
    """How hard a problem is.

    Args:
        n_events: M.
        origin_window_s: tau_max: origin times are uniform on [0, tau_max); the solver is not told.
        least_confusion: Draws whose confusion factor (Eq. 13) is below are drawn again.
        pick_noise_s: Standard deviation of the picks.
        p_missing: Fraction p_m of picks removed at each station (Section 3.4).
        p_spurious: Fraction p_n of picks added at each station.
    """

    n_events: int = 8
    origin_window_s: float = 2.0
    least_confusion: float = 0.0
    pick_noise_s: float = 0.0
    p_missing: float = 0.0
    p_spurious: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every event has one pick at every station, and there are no others."""
        return self.p_missing == 0.0 and self.p_spurious == 0.0


@dataclass(frozen=True)
class Trial:
    """One problem and its answer.

    Args:
        problem: What the solver is given.
        truth: Picks and events as drawn.
        true_latent: `(n_latent,)`, the code that the true wave speed has, for the oracle; None where it is known.
        true_wave_speed_km_s: `(nx, ny, nz)`; None where it is not to be compared.
    """

    problem: Problem
    truth: SimulatedArrivals
    true_latent: Array | None = None
    true_wave_speed_km_s: Array | None = None

    @property
    def true_events(self) -> Events:
        """The events as drawn."""
        return Events(self.truth.positions_km, self.truth.origin_times_s)

    @cached_property
    def confusion_factor(self) -> float:
        """CF of Eq. 13, over all exact arrivals."""
        return confusion_of(self.truth)


def confusion_of(truth: SimulatedArrivals) -> float:
    """CF of Eq. 13."""
    from experiments.association.metrics import confusion_factor

    return float(confusion_factor(truth.exact_time_s, truth.origin_times_s))


def draw(setting: Setting, seed: int, true_times: TravelTimesOf, bounds_km: Array) -> SimulatedArrivals:
    """Events and picks of a seed.

    Args:
        setting: How hard.
        seed: Of everything drawn.
        true_times: `(n, 3)` km -> `(n, station)` s.
        bounds_km: `(2, 3)`, where events may lie.

    Raises:
        ValueError: If the confusion factor is not reached in a thousand draws.
    """
    window = (0.0, setting.origin_window_s)
    for attempt in range(_MOST_DRAWS):
        # The first draw's seed is the trial's own; the others' are far from those of other trials.
        drawn_seed = seed if attempt == 0 else int(np.random.SeedSequence([seed, attempt]).generate_state(1)[0])
        truth = simulate_arrivals(
            drawn_seed, true_times, setting.n_events, window, bounds_km, setting.pick_noise_s, setting.p_missing,
            setting.p_spurious,
        )  # fmt: skip
        if setting.least_confusion <= 0.0 or confusion_of(truth) >= setting.least_confusion:
            return truth
    raise ValueError(
        f"least_confusion is {setting.least_confusion}, which {setting.n_events} events within "
        f"{setting.origin_window_s} s do not reach; shorten the window or ask for less."
    )


def point_times(provider: TravelTimes) -> TravelTimesOf:
    """P times `(n, station)` of points from a provider, as truth for `draw`."""
    import torch

    channels = np.stack([np.arange(provider.n_stations), np.full(provider.n_stations, P)], axis=1)

    def times(positions_km: Array) -> Array:
        with torch.no_grad():
            found: Array = provider.times(torch.from_numpy(np.asarray(positions_km, np.float64)), channels).numpy()
        return found

    return times


def problem_of(truth: SimulatedArrivals, stations_km: Array, travel_times: TravelTimes, setting: Setting) -> Problem:
    """What a solver is given of drawn picks: the number of events, but no origin-time range."""
    stations = Stations(tuple(f"S{i:03d}" for i in range(len(stations_km))), np.asarray(stations_km, np.float64))
    picks = Picks(truth.station, np.full(len(truth.station), P), truth.time_s)
    return Problem(
        stations,
        picks,
        travel_times,
        n_events=setting.n_events,
        pick_noise_s=max(setting.pick_noise_s, 1e-3),
        may_be_incomplete=not setting.is_complete,
    )


def trial_of(
    setting: Setting,
    seed: int,
    true_times: TravelTimesOf,
    stations_km: Array,
    travel_times: TravelTimes,
    true_latent: Array | None = None,
    true_wave_speed_km_s: Array | None = None,
) -> Trial:
    """Draw a trial; arguments as `draw`, `problem_of` and `Trial` have them."""
    truth = draw(setting, seed, true_times, travel_times.bounds_km)
    problem = problem_of(truth, stations_km, travel_times, setting)
    return Trial(problem, truth, true_latent, true_wave_speed_km_s)


# -- solved and judged -------------------------------------------------------------------------------------------------

SOLVERS = ("gauss_newton", "psgld")
"""What every experiment shows side by side: ours, and the paper's."""


def solved(trial: Trial, solver: Any, seed: int = 0) -> Association:
    """Solve a trial, by a solver's name or a solver."""
    from experiments.association.associate import associate

    return associate(trial.problem, solver=solver, seed=seed)


def judged(trial: Trial, association: Association, wave_speed_of: Callable[[Array], Array] | None = None) -> Scores:
    """Figures of merit of one solution.

    Args:
        trial: The problem and its answer.
        association: Its solution.
        wave_speed_of: Wave speed `(nx, ny, nz)` of a latent code, where that is unknown.

    Returns:
        `accuracy` (ACC, Eq. 14), `e_l_s`, `location_error_km`, `origin_time_error_s`, `wave_speed_rmse_km_s` where it
        was estimated, and `cpu_s`.
    """
    from experiments.association.metrics import scores, wave_speed_rmse_km_s

    found = scores(trial.problem, association, trial.true_events, trial.truth.event_of_pick)
    names = ("accuracy", "e_l_s", "location_error_km", "origin_time_error_s")
    chosen = {name: found[name] for name in names} | {"cpu_s": association.cpu_s}
    if association.latent is not None and wave_speed_of is not None and trial.true_wave_speed_km_s is not None:
        estimate = wave_speed_of(association.latent)
        chosen["wave_speed_rmse_km_s"] = wave_speed_rmse_km_s(estimate, trial.true_wave_speed_km_s)
    return chosen


def oracle(trial: Trial) -> Scores:
    """ACC of the true events, with the true wave speed's latent code where the provider wants one."""
    from experiments.association.metrics import oracle_accuracy

    events, truth = trial.true_events, trial.truth.event_of_pick
    return {"accuracy": oracle_accuracy(trial.problem, events, truth, trial.true_latent)}


def summary(scores: Sequence[Mapping[str, float]]) -> Scores:
    """Means over trials by name, and `accuracy_sd` and `accuracy_min`; what is no number is left out."""
    names = dict.fromkeys(name for each in scores for name in each)
    values = {name: np.array([each[name] for each in scores if np.isfinite(each.get(name, np.nan))]) for name in names}
    found = {name: float(value.mean()) for name, value in values.items() if len(value)}
    if "accuracy" in found:
        found["accuracy_sd"] = float(values["accuracy"].std())
        found["accuracy_min"] = float(values["accuracy"].min())
    return found


def drawn(trial: Trial, association: Association, title: str) -> DrawnAssociation:
    """What the figures show of a solution, events numbered as the true ones."""
    from experiments.association.metrics import align_events

    truth, estimate = trial.truth, association.events
    alignment = align_events(estimate.positions_km, truth.positions_km)
    positions_km = np.full_like(truth.positions_km, np.nan)
    positions_km[alignment[alignment >= 0]] = estimate.positions_km[alignment >= 0]
    ways = association.trace.get("positions_km")
    if ways is not None and len(alignment) == len(truth.positions_km):
        ways = ways[:, np.argsort(alignment)]
    return DrawnAssociation(
        station=truth.station,
        time_s=truth.time_s,
        true_event=truth.event_of_pick,
        found_event=np.append(alignment, -1)[association.event_of_pick],
        stations_km=trial.problem.stations.positions_km[: truth.exact_time_s.shape[1]],
        true_positions_km=truth.positions_km,
        found_positions_km=positions_km,
        title=title,
        trajectories_km=ways,
    )


def words(scores: Mapping[str, float]) -> str:
    """A solution's figures of merit in one line."""
    parts = [f"ACC {100 * scores['accuracy']:.1f} %", f"e_l {scores['e_l_s']:.3f} s"]
    parts.append(f"location {scores['location_error_km']:.2f} km")
    if "wave_speed_rmse_km_s" in scores:
        parts.append(f"speed {scores['wave_speed_rmse_km_s']:.2f} km/s")
    return ", ".join([*parts, f"{scores['cpu_s']:.2g} CPU-s"])
