"""How good an answer is: residuals by one measure for all tools, and against the truth where it is known.

An event found is that true event which gave most of its picks, if these are at least half of them; each true event is
found once. *Visible* are true events with as many picks as the tools are asked for; an event found that is true but not
visible is no error, and missing it neither.
"""

from dataclasses import dataclass

import numpy as np
import torch

from experiments.association.travel_times.layered import LayeredTravelTimes
from experiments.catalogue_comparison.tools import Answer, Request


@dataclass(frozen=True)
class TruthScores:
    """An answer against the truth.

    Args:
        event_precision: Share of the events found that are true.
        event_recall: Share of the visible events that are found.
        event_f1: Their harmonic mean.
        pick_precision: Share of the picks associated that are with the right event.
        pick_recall: Share of the picks of visible or found events that are.
        pick_f1: Their harmonic mean.
        n_visible: Visible events.
    """

    event_precision: float
    event_recall: float
    event_f1: float
    pick_precision: float
    pick_recall: float
    pick_f1: float
    n_visible: int


def provider(request: Request) -> LayeredTravelTimes:
    """The travel times by which all tools are judged: those of the 1-D model."""
    speeds = {0: request.vp_km_s, 1: request.vs_km_s}
    return LayeredTravelTimes(request.stations_km, request.depth_km, speeds, request.bounds_km)


def residuals_s(answer: Answer, request: Request, travel: LayeredTravelTimes) -> np.ndarray:
    """Pick minus arrival from the tool's own hypocentre and origin time, no station corrected, `(pick,)`; NaN: none."""
    residual = np.full(len(request.time_s), np.nan)
    mine = np.flatnonzero(answer.event_of_pick >= 0)
    if not len(mine):
        return residual
    n = len(request.stations_km)
    channels = np.array([(station, phase) for phase in (0, 1) for station in range(n)])
    row = request.phase[mine] * n + request.station[mine]
    order = np.argsort(answer.event_of_pick[mine], kind="stable")
    for part in np.array_split(order, max(1, len(answer.times_s) // 2000)):
        picks = mine[part]
        event = answer.event_of_pick[picks]
        first, last = int(event.min(initial=0)), int(event.max(initial=-1)) + 1
        times = travel.times(torch.from_numpy(answer.positions_km[first:last]), channels).numpy()
        residual[picks] = request.time_s[picks] - answer.times_s[event] - times[event - first, row[part]]
    return residual


def without_station_medians(residual_s: np.ndarray, request: Request) -> np.ndarray:
    """Residuals less the median of each station and phase: what is left when stations are corrected, for any tool."""
    corrected = residual_s.copy()
    known = np.flatnonzero(np.isfinite(residual_s))
    key = request.station[known] * 2 + request.phase[known]
    for name in np.unique(key):
        mine = known[key == name]
        corrected[mine] -= np.median(residual_s[mine])
    return corrected


def against_truth(answer: Answer, true_event: np.ndarray, n_events: int, min_picks: int) -> TruthScores:
    """Event and pick scores.

    Args:
        answer: What was found.
        true_event: `(pick,)` int, -1 for spurious picks.
        n_events: True events.
        min_picks: That a visible event has.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    found = answer.event_of_pick
    n_found = len(answer.times_s)
    both = (found >= 0) & (true_event >= 0)
    pairs, shared = np.unique(found[both] * n_events + true_event[both], return_counts=True)
    ours, theirs = pairs // n_events, pairs % n_events
    size = np.bincount(found[found >= 0], minlength=n_found)
    good = shared * 2 >= size[ours]
    ours, theirs, shared = ours[good], theirs[good], shared[good]
    matched = np.full(n_found, -1)
    n = n_found + n_events
    label = connected_components(coo_matrix((np.ones(len(ours)), (ours, n_found + theirs)), shape=(n, n)), False)[1]
    groups: dict[int, list[int]] = {}
    for number, name in enumerate(label[ours].tolist()):
        groups.setdefault(name, []).append(number)
    for group in groups.values():
        mine, row = np.unique(ours[group], return_inverse=True)
        true, column = np.unique(theirs[group], return_inverse=True)
        table = np.zeros((len(mine), len(true)))
        table[row, column] = shared[group]
        for a, b in zip(*linear_sum_assignment(-table), strict=True):
            if table[a, b] > 0:
                matched[mine[a]] = true[b]
    counts = np.bincount(true_event[true_event >= 0], minlength=n_events)
    visible = counts >= min_picks
    is_found = np.zeros(n_events, bool)
    is_found[matched[matched >= 0]] = True
    n_true = int((matched >= 0).sum())
    right = both.copy()
    right[both] = matched[found[both]] == true_event[both]
    wanted = counts[visible | is_found].sum()
    event = _f1(n_true / max(n_found, 1), float(is_found[visible].mean()) if visible.any() else 0.0)
    pick = _f1(right.sum() / max(int((found >= 0).sum()), 1), right.sum() / max(int(wanted), 1))
    return TruthScores(*event, *pick, int(visible.sum()))


def _f1(precision: float, recall: float) -> tuple[float, float, float]:
    total = precision + recall
    return float(precision), float(recall), float(2 * precision * recall / total) if total else 0.0
