"""Which pick belongs to which event, once the events are known (paper, Section 2.2).

Eq. 3 compares arrivals: a linear assignment of predicted arrivals and picks, channel by channel. On a line and for
squared differences sorting, or a dynamic programme where picks are missing or spurious, gives the same as the
Hungarian method, exactly and in no time.

Eq. 4 compares differences of times between stations, and needs no origin times. For squared differences it is N times
Eq. 3 with every event's origin time at its best, the mean of its picks minus travel times. So the assignment of Eq. 3
and that mean are taken in turn until nothing changes: each turn lowers Eq. 4. It is a descent, not a search: it starts
at the given origin times, or, where these are NaN, at the time that most picks vote for.
"""

from typing import Literal

import numpy as np
import torch

from experiments.association.problem import UNASSOCIATED, Events, Problem
from experiments.association.transport import ArrivalSets, match

Form = Literal["times", "differences"]

REACH_IN_ERRORS = 5.0  # a pick further from its arrival than this many standard errors is not that event's
VOTING_WIDTH_S = 0.5
MAX_TURNS = 50


def assign(
    problem: Problem,
    events: Events,
    latent: np.ndarray | None = None,
    form: Form = "times",
    reach_s: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Assigns picks to events; an event takes at most one pick of a channel.

    Args:
        problem: The picks.
        events: The events; the form of differences takes origin times as a start only, and NaN for unknown.
        latent: `(n_latent,)`, code of the wave speed where it is unknown.
        form: `times` for Eq. 3, `differences` for Eq. 4.
        reach_s: How far a pick may lie from its arrival; by default 5 standard errors where picks may be missing or
            spurious, and without limit where every event has its pick.

    Returns:
        Event of each pick `(pick,)` int, -1 for none, and its residual `(pick,)`, pick minus arrival in seconds, NaN
        for none.
    """
    n_picks = len(problem.picks)
    if len(events) == 0 or n_picks == 0:
        return np.full(n_picks, UNASSOCIATED), np.full(n_picks, np.nan)
    if reach_s is None and problem.may_be_incomplete:
        reach_s = REACH_IN_ERRORS * problem.time_error_s
    times_s = _travel_times(problem, events, latent)
    if form == "times":
        return _assign_times(problem, times_s, events.times_s, reach_s)
    return _assign_differences(problem, times_s, events.times_s, reach_s)


def _travel_times(problem: Problem, events: Events, latent: np.ndarray | None) -> np.ndarray:
    code = None if latent is None else torch.as_tensor(latent, dtype=torch.float64)
    positions_km = torch.as_tensor(np.asarray(events.positions_km), dtype=torch.float64)
    with torch.no_grad():
        times_s: np.ndarray = problem.travel_times.times(positions_km, problem.channels, code).numpy()
    return times_s


def _assign_times(
    problem: Problem, times_s: np.ndarray, origin_times_s: np.ndarray, reach_s: float | None
) -> tuple[np.ndarray, np.ndarray]:
    event_of_pick = np.full(len(problem.picks), UNASSOCIATED)
    residuals_s = np.full(len(problem.picks), np.nan)
    arrivals_s = (times_s + origin_times_s[:, None]).T  # (channel, event)
    order = np.argsort(arrivals_s, axis=1, kind="stable")
    ordered = torch.from_numpy(np.take_along_axis(arrivals_s, order, axis=1))
    sets = ArrivalSets.of([problem.picks.time_s[picks] for picks in problem.picks_of_channel])
    chosen = match(ordered, sets, reach_s=reach_s).numpy()
    for c, picks in enumerate(problem.picks_of_channel):
        matched = chosen[c] >= 0
        mine = picks[chosen[c, matched]]
        event_of_pick[mine] = order[c, matched]
        residuals_s[mine] = problem.picks.time_s[mine] - arrivals_s[c, order[c, matched]]
    return event_of_pick, residuals_s


def _assign_differences(
    problem: Problem, times_s: np.ndarray, start_s: np.ndarray, reach_s: float | None
) -> tuple[np.ndarray, np.ndarray]:
    origin_times_s = np.array(start_s, np.float64)
    for event in np.flatnonzero(~np.isfinite(origin_times_s)):
        origin_times_s[event] = _most_voted(problem, times_s[event], reach_s)
    event_of_pick, residuals_s = _assign_times(problem, times_s, origin_times_s, reach_s)
    for _ in range(MAX_TURNS):
        taken = event_of_pick >= 0
        counts = np.bincount(event_of_pick[taken], minlength=len(times_s))
        sums = np.bincount(event_of_pick[taken], residuals_s[taken], minlength=len(times_s))
        origin_times_s = origin_times_s + sums / np.maximum(counts, 1)
        before = event_of_pick
        event_of_pick, residuals_s = _assign_times(problem, times_s, origin_times_s, reach_s)
        if (event_of_pick == before).all():
            break
    return event_of_pick, residuals_s


def _most_voted(problem: Problem, times_s: np.ndarray, reach_s: float | None) -> float:
    """The origin time that most channels have a pick for, within a narrow window."""
    width_s = VOTING_WIDTH_S if reach_s is None else 2 * reach_s
    channel = np.empty(len(problem.picks), np.int64)
    for c, picks in enumerate(problem.picks_of_channel):
        channel[picks] = c
    votes = np.sort(problem.picks.time_s - times_s[channel])
    ends = np.searchsorted(votes, votes + width_s, side="right")
    first = int(np.argmax(ends - np.arange(len(votes))))
    return float(votes[first : ends[first]].mean())
