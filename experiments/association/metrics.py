"""How hard a problem is and how well it was solved (paper, Section 3.1).

Estimated events come in no order, so they are first aligned with the true ones: as in the paper's program, by the
linear assignment that makes the sum of distances between hypocentres least, or, as an option, by the most shared picks.
Where picks are missing or spurious, accuracy is that of the clean picks, those which a true event made.
The oracle is the accuracy of the true events with the same assignment of picks: what travel times and pick noise allow.
"""

from typing import Literal

import numpy as np

from experiments.association.assignment import assign
from experiments.association.problem import UNASSOCIATED, Association, Events, Problem


def confusion_factor(arrival_times_s: np.ndarray, origin_times_s: np.ndarray) -> float:
    """How much the order of arrivals differs from that of the events, 0 to 1 (Eq. 13).

    Args:
        arrival_times_s: `(event, station)`, noiseless arrivals.
        origin_times_s: `(event,)`.

    Returns:
        1 minus Kendall's rank correlation of arrivals and origin times, averaged over stations and not below 0; 0 for
        fewer than two events.
    """
    first, second = np.triu_indices(len(origin_times_s), 1)
    if len(first) == 0:
        return 0.0
    arrived = np.sign(arrival_times_s[first] - arrival_times_s[second])
    happened = np.sign(origin_times_s[first] - origin_times_s[second])
    return 1.0 - max(float((arrived * happened[:, None]).mean()), 0.0)


def align_events(
    estimated_km: np.ndarray,
    true_km: np.ndarray,
    by: Literal["location", "picks"] = "location",
    event_of_pick: np.ndarray | None = None,
    true_event_of_pick: np.ndarray | None = None,
) -> np.ndarray:
    """The true event of each estimated one, one to one.

    Args:
        estimated_km: `(estimated, 3)`.
        true_km: `(true, 3)`.
        by: `location` for the least sum of distances, `picks` for the most shared picks.
        event_of_pick: `(pick,)` int, for `picks`.
        true_event_of_pick: `(pick,)` int, for `picks`.

    Returns:
        `(estimated,)` int, -1 for estimated events that are left over.
    """
    from scipy.optimize import linear_sum_assignment

    if by == "location":
        costs = np.linalg.norm(estimated_km[:, None] - true_km, axis=-1)
    else:
        if event_of_pick is None or true_event_of_pick is None:
            raise ValueError("Alignment by picks needs the event of each pick, estimated and true.")
        costs = np.zeros((len(estimated_km), len(true_km)))
        both = (event_of_pick >= 0) & (true_event_of_pick >= 0)
        np.subtract.at(costs, (event_of_pick[both], true_event_of_pick[both]), 1.0)
    alignment = np.full(len(estimated_km), UNASSOCIATED)
    rows, columns = linear_sum_assignment(costs)
    alignment[rows] = columns
    return alignment


def association_accuracy(event_of_pick: np.ndarray, true_event_of_pick: np.ndarray, alignment: np.ndarray) -> float:
    """The share of clean picks that went to their event (Eq. 14).

    Args:
        event_of_pick: `(pick,)` int, -1 for none.
        true_event_of_pick: `(pick,)` int, -1 for spurious picks, which do not count.
        alignment: `(estimated,)` int, from `align_events`.

    Returns:
        0 to 1; NaN when there is no clean pick.
    """
    found = np.append(alignment, UNASSOCIATED)[event_of_pick]  # -1 takes the entry added at the end
    clean = true_event_of_pick >= 0
    return float((found[clean] == true_event_of_pick[clean]).mean()) if clean.any() else float("nan")


def e_l(residuals_s: np.ndarray) -> float:
    """Root mean square of pick minus predicted arrival, sqrt(L / (M N)) with L of Eq. 3, seconds.

    Args:
        residuals_s: `(pick,)`, NaN for unassociated picks, which do not count.
    """
    taken = residuals_s[np.isfinite(residuals_s)]
    return float(np.sqrt(np.mean(taken**2))) if len(taken) else float("nan")


def oracle_accuracy(
    problem: Problem, true_events: Events, true_event_of_pick: np.ndarray, latent: np.ndarray | None = None
) -> float:
    """Accuracy of the true events under the problem's own travel times and assignment.

    Args:
        problem: The problem.
        true_events: The true events.
        true_event_of_pick: `(pick,)` int, -1 for spurious picks.
        latent: The true wave speed's code, where the wave speed is unknown.
    """
    event_of_pick, _ = assign(problem, true_events, latent)
    return association_accuracy(event_of_pick, true_event_of_pick, np.arange(len(true_events)))


def location_error_km(estimated: Events, true: Events, alignment: np.ndarray) -> float:
    """Root mean square distance of aligned hypocentres, km; NaN when none is aligned."""
    found = alignment >= 0
    away_km = estimated.positions_km[found] - true.positions_km[alignment[found]]
    return float(np.sqrt(np.mean((away_km**2).sum(axis=-1)))) if found.any() else float("nan")


def origin_time_error_s(estimated: Events, true: Events, alignment: np.ndarray) -> float:
    """Root mean square difference of aligned origin times, seconds; NaN when none is aligned."""
    found = alignment >= 0
    late_s = estimated.times_s[found] - true.times_s[alignment[found]]
    return float(np.sqrt(np.mean(late_s**2))) if found.any() else float("nan")


def wave_speed_rmse_km_s(estimated_km_s: np.ndarray, true_km_s: np.ndarray) -> float:
    """Root mean square difference of two wave speeds on the same nodes, km/s."""
    return float(np.sqrt(np.mean((np.asarray(estimated_km_s, np.float64) - true_km_s) ** 2)))


def scores(
    problem: Problem, association: Association, true_events: Events, true_event_of_pick: np.ndarray
) -> dict[str, float]:
    """All of the above for one association, by name.

    Args:
        problem: The problem.
        association: Its solution.
        true_events: The true events.
        true_event_of_pick: `(pick,)` int, -1 for spurious picks.

    Returns:
        `accuracy` (aligned by location), `accuracy_by_picks`, `oracle_accuracy` (known wave speed only), `e_l_s`,
        `location_error_km`, `origin_time_error_s`.
    """
    mine = association.events
    alignment = align_events(mine.positions_km, true_events.positions_km)
    sharing = align_events(
        mine.positions_km, true_events.positions_km, "picks", association.event_of_pick, true_event_of_pick
    )
    found = {
        "accuracy": association_accuracy(association.event_of_pick, true_event_of_pick, alignment),
        "accuracy_by_picks": association_accuracy(association.event_of_pick, true_event_of_pick, sharing),
        "e_l_s": e_l(association.residuals_s),
        "location_error_km": location_error_km(mine, true_events, alignment),
        "origin_time_error_s": origin_time_error_s(mine, true_events, alignment),
    }
    if problem.travel_times.n_latent == 0:
        found["oracle_accuracy"] = oracle_accuracy(problem, true_events, true_event_of_pick)
    return found
