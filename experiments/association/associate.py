"""Associates picks: solve for events (and the wave speed), then assign each pick to its event.

    association = associate(problem, solver="gauss_newton", seed=0)

The solver finds earthquakes that explain the picks (paper, Eq. 10); a linear assignment then says which pick is whose
(Eq. 3), and the Gauss-Newton Hessian how well each event is determined.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from experiments.association.assignment import assign
from experiments.association.problem import Association, Events, Problem
from experiments.association.solvers.gauss_newton import GaussNewton
from experiments.association.solvers.psgld import PreconditionedSGLD, sgd
from experiments.association.solvers.solver import Solver
from experiments.association.uncertainty import standard_errors
from experiments.errors import SettingsError

SOLVERS: dict[str, Callable[..., Solver]] = {"gauss_newton": GaussNewton, "psgld": PreconditionedSGLD, "sgd": sgd}
UNKNOWNS_OF_AN_EVENT = 4


def check(problem: Problem) -> None:
    """Refuses what can not be associated.

    Args:
        problem: The problem.

    Raises:
        SettingsError: When there are no picks or fewer than two stations, when an index or a time is not usable, when
            there are fewer picks than unknowns, or when the promise of complete picks is not kept.
    """
    picks, n_stations = problem.picks, len(problem.stations.ids)
    if not len(picks):
        raise SettingsError("There are no picks; an association needs at least four an event.")
    if n_stations < 2:
        raise SettingsError(f"There is {n_stations} station; an association needs two or more, better eight.")
    if n_stations != problem.travel_times.n_stations:
        raise SettingsError(
            f"The travel times are those of {problem.travel_times.n_stations} stations, the problem has {n_stations}; "
            "give travel times of these stations, in this order."
        )
    if picks.station.min() < 0 or picks.station.max() >= n_stations:
        raise SettingsError(f"Picks name stations {picks.station.min()} to {picks.station.max()} of {n_stations}.")
    if not np.isfinite(picks.time_s).all():
        bad = int(np.flatnonzero(~np.isfinite(picks.time_s))[0])
        raise SettingsError(f"The time of pick {bad} is {picks.time_s[bad]}; remove the pick or mend its time.")
    missing = set(np.unique(picks.phase).tolist()) - set(problem.travel_times.phases)
    if missing:
        names = " and ".join("PS"[phase] if phase in (0, 1) else str(phase) for phase in sorted(missing))
        raise SettingsError(f"There are picks of phase {names} but no travel times of it; give its speed or drop them.")
    if problem.n_events is not None and problem.n_events < 0:
        raise SettingsError(f"The number of events is {problem.n_events}; give 0 or more, or leave it out.")
    unknowns = UNKNOWNS_OF_AN_EVENT * (problem.n_events or 1) + problem.travel_times.n_latent
    if problem.n_events != 0 and len(picks) < unknowns:
        raise SettingsError(
            f"There are {len(picks)} picks for {unknowns} unknowns (4 for each of {problem.n_events or 1} events"
            f"{' and the wave speed' if problem.travel_times.n_latent else ''}); give more picks or fewer events."
        )
    if not problem.may_be_incomplete:
        counts = np.array([len(mine) for mine in problem.picks_of_channel])
        wanted = problem.n_events if problem.n_events is not None else counts[0]
        if (counts != wanted).any():
            channel = int(np.flatnonzero(counts != wanted)[0])
            station, phase = problem.channels[channel]
            raise SettingsError(
                f"Picks are promised to be complete, but station {problem.stations.ids[station]} has "
                f"{counts[channel]} {'PS'[phase]} picks for {wanted} events; say that picks may be missing or spurious."
            )


def associate(
    problem: Problem, solver: str | Solver = "gauss_newton", seed: int = 0, progress: bool = False
) -> Association:
    """Solves an association problem.

    Args:
        problem: Stations, picks and travel times.
        solver: One of `SOLVERS` by name, with its defaults, or a solver object.
        seed: The same seed gives the same association.
        progress: Whether to show a progress bar.

    Returns:
        Events in order of time, the event of each pick, residuals and standard errors.

    Raises:
        SettingsError: When the problem can not be associated, or the solver is unknown.
    """
    if isinstance(solver, str):
        if solver not in SOLVERS:
            raise SettingsError(f"The solver is {solver!r}; it can be {', '.join(SOLVERS)}.")
        solver = SOLVERS[solver]()
    check(problem)
    start_s = time.process_time()
    if problem.n_events == 0:
        nothing = np.full(len(problem.picks), -1), np.full(len(problem.picks), np.nan)
        return Association(Events(np.empty((0, 3)), np.empty(0)), *nothing, np.empty((0, 3)), np.empty(0))
    estimate = solver.solve(problem, seed, progress)
    order = np.argsort(estimate.events.times_s, kind="stable")
    events = Events(estimate.events.positions_km[order], estimate.events.times_s[order])
    trace = dict(estimate.trace)
    if "positions_km" in trace and trace["positions_km"].shape[1] == len(order):
        trace["positions_km"] = trace["positions_km"][:, order]
    if estimate.travel_times is not None:
        problem = replace(problem, travel_times=estimate.travel_times)
    event_of_pick, residuals_s = assign(problem, events, estimate.latent)
    errors = standard_errors(problem, events, event_of_pick, residuals_s, estimate.latent)
    return Association(
        events=events,
        event_of_pick=event_of_pick,
        residuals_s=residuals_s,
        position_errors_km=errors.positions_km,
        time_errors_s=errors.times_s,
        latent=estimate.latent,
        loss=estimate.loss,
        cpu_s=time.process_time() - start_s,
        trace=trace,
    )
