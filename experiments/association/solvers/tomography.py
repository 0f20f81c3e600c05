"""On from the latent code: events and a wave speed that is free within its family's clipped mixtures.

A code of six numbers stands for few wave speeds exactly, and the field's times of even those err: together by some
tenths of a second, which is what accuracy with an unknown wave speed is lost by. So the search over codes (paper,
Section 2.4) is taken as a start. From there it is classical tomography, in rounds: times and their derivatives from the
eikonal solver at the present wave speed (`travel_times/tomographic.py`); events sought afresh as for a known speed;
joint Gauss-Newton steps of events and mixture, arrivals matched anew in each. The mixture's prior weighs as Bayes' rule
has it. A round that ends worse than the best, by the times of its own wave speed, is undone: the next one goes half as
far, and is allowed less.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from experiments.association.problem import Events, Problem
from experiments.association.solvers.exact_steps import CodePrior, ExactSteps
from experiments.association.solvers.joint_steps import MATCH_ALL
from experiments.association.solvers.pick_table import PickTable, pick_table
from experiments.association.solvers.search import GATE_IN_ERRORS
from experiments.association.solvers.solver import Estimate
from experiments.association.travel_times.field import FieldTravelTimes

SearchKnown = Callable[[Problem], Estimate]
FIRST_ERROR_S, LEAST_ERROR_S = 0.15, 0.02
"""Standard error of picks against arrivals: assumed at first, and at least. Between them it is the misfit."""
FIRST_REACH, SHRINK, LEAST_REACH = 1.0, 0.5, 0.1
"""How far a number of the mixture, whose standard deviation is 1, may go in a round."""
STEPS = 12
LITTLE = 0.01
"""A wave speed that moves less than this, in every number, is found."""


class _State(NamedTuple):
    """Events `(event, 4)`, the mixture's numbers, the loss (a missing pick counts a gate), the misfit of the others."""

    events: np.ndarray
    numbers: np.ndarray
    loss_s: float
    misfit_s: float

    def cost(self, n_channels: int, error_s: float) -> float:
        """Twice the negative logarithm of the posterior density."""
        n_arrivals = len(self.events) * n_channels
        return n_arrivals * (self.loss_s / error_s) ** 2 + float((self.numbers**2).sum())


def tomography(
    problem: Problem,
    family: FieldTravelTimes,
    start: Estimate,
    search_known: SearchKnown,
    rounds: int = 12,
    progress: bool = False,
) -> Estimate:
    """Betters events and wave speed together.

    Args:
        problem: The problem.
        family: The problem's travel times.
        start: Events, and the latent code of their wave speed.
        search_known: Finds events when the wave speed is known.
        rounds: Wave speeds that times are computed for, at most.
        progress: Whether to show a progress bar.

    Returns:
        The better estimate, with its travel times; its latent is the start's code and, behind it, the numbers of the
        mixture. The start itself where there are no events or the family's mixtures are not known.
    """
    if not len(start.events) or start.latent is None or family.mixture is None:
        return start
    picks = pick_table(problem)
    n_channels = len(picks.counts)
    ahead = _State(start.events.rows(), family.numbers_of(start.latent), np.inf, np.inf)
    times = family.near(ahead.numbers)
    best, best_times, reach, error_s = ahead, times, FIRST_REACH, FIRST_ERROR_S
    least_error_s = float(np.hypot(problem.pick_noise_s, LEAST_ERROR_S))
    path, path_losses = [], []
    for turn in tqdm(range(rounds), desc="tomography", leave=False, disable=not progress):
        if turn:
            times = family.near(ahead.numbers)
        here = replace(problem, travel_times=times)
        # The search must allow for what the wave speed still errs by, not for its times' own error alone.
        allowed_s = max(problem.pick_noise_s, error_s) if problem.may_be_incomplete else problem.pick_noise_s
        known = replace(problem, travel_times=times.table, pick_noise_s=allowed_s)
        sought = search_known(known).events.rows()
        # Where events are counted anew, the misfits of more and of fewer do not compare.
        counted = len(sought) != len(ahead.events)
        starts = [sought] if counted else [ahead.events, sought]
        tried = [_settle(here, picks, events, ahead.numbers, error_s, 0.0) for events in starts]
        reached = min(tried, key=lambda state: state.cost(n_channels, error_s))
        counted = counted or len(reached.events) != len(best.events)
        if turn and problem.may_be_incomplete:
            # The gate has narrowed since.
            there = replace(problem, travel_times=best_times)
            best = _settle(there, picks, best.events, best.numbers, error_s, 0.0)
        if not counted and reached.cost(n_channels, error_s) > best.cost(n_channels, error_s):
            reach *= SHRINK
            if reach < LEAST_REACH:
                break
            ahead = best._replace(numbers=0.5 * (best.numbers + ahead.numbers))
            continue
        best, best_times = reached, times
        path.append(best.events)
        path_losses.append(best.loss_s)
        error_s = float(np.clip(best.misfit_s, least_error_s, error_s))
        moved = [_settle(here, picks, state.events, best.numbers, error_s, reach) for state in tried]
        ahead = min(moved, key=lambda state: state.cost(n_channels, error_s))
        if np.abs(ahead.numbers - best.numbers).max() < LITTLE:
            break
    events = best.events[np.argsort(best.events[:, 3], kind="stable")]
    return Estimate(
        Events(events[:, :3], events[:, 3]),
        np.concatenate([start.latent, best.numbers]),
        best.loss_s,
        _joined(start.trace, path, path_losses),
        best_times,
    )


def _joined(trace: dict[str, np.ndarray], path: list[np.ndarray], losses: list[float]) -> dict[str, np.ndarray]:
    """The start's trace and what followed, where the number of events stayed the same."""
    before = trace.get("positions_km")
    if before is None or any(len(events) != before.shape[1] for events in path):
        return trace
    after = np.stack([events[np.argsort(events[:, 3], kind="stable"), :3] for events in path])
    return {"positions_km": np.concatenate([before, after]), "loss": np.concatenate([trace["loss"], losses])}


def _settle(
    problem: Problem, picks: PickTable, events: np.ndarray, numbers: np.ndarray, error_s: float, reach: float
) -> _State:
    """The best state that Gauss-Newton passes from here, with numbers within reach."""
    low, high = np.asarray(problem.travel_times.bounds_km, np.float64)
    prior = CodePrior.of(problem.travel_times)._replace(bounds=np.stack([numbers - reach, numbers + reach]))
    bounds = np.array([[*low, -np.inf], [*high, np.inf]])
    chain = ExactSteps(problem, picks, events[None].copy(), numbers[None].copy(), bounds, prior)
    gate_s = GATE_IN_ERRORS * error_s if problem.may_be_incomplete else MATCH_ALL
    prior_s = error_s / float(np.sqrt(picks.counts.sum()))
    best = _State(events, numbers, np.inf, np.inf)
    for step in range(STEPS):
        assert chain.latents is not None
        before, code = chain.events[0], chain.latents[0]
        fall = max(0.0, 1.0 - 2.0 * step / STEPS) ** 2
        loss_s = float(chain.step(gate_s, 1e-4 + 1e-2 * fall, prior_s)[0])
        state = _State(before, code, loss_s, loss_s)
        if state.cost(len(picks.counts), error_s) < best.cost(len(picks.counts), error_s):
            best = state
    if not problem.may_be_incomplete:
        return best
    chain = ExactSteps(problem, picks, best.events[None].copy(), best.numbers[None].copy(), bounds, prior)
    return best._replace(misfit_s=float(chain.misfits(gate_s)[0]))
