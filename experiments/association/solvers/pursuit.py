"""Events found a handful at a time: those that stand out first, then those that explain the picks they leave.

Each round stacks the picks that no event explains yet (`back_projection.py`), takes the candidates that explain most
with picks of their own, and lets all events settle together (`joint_steps.py`). With every round fewer picks remain,
and what hid among them stands out.
"""

import numpy as np

from experiments.association.event_count import LEAST_EVIDENCE, LEAST_PICKS
from experiments.association.solvers.back_projection import select
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.search import Search

FIRST_SHARE = 0.8
KEPT_SHARE = 0.9
"""Of the middle event's picks: an event with fewer is sought anew."""


def chance_score(search: Search, picks: PickTable) -> float:
    """Score that a candidate at a random place and time reaches now and then by chance, descent included."""
    hit = 1.0 - np.exp(-2.0 * search.gate_s * picks.rates())
    return float(4.0 + (2.0 / 3.0) * hit.sum() + 3.0 * np.sqrt((hit * (1.0 - hit)).sum()))


def pursue_complete(
    search: Search, n_events: int, rng: np.random.Generator, n_candidates: int = 3000, max_rounds: int = 8
) -> np.ndarray:
    """Finds events that have a pick in every channel.

    Args:
        search: The search.
        n_events: How many there are.
        rng: Source of chance.
        n_candidates: Single events followed in a round.
        max_rounds: At most so many; in the last one the best candidates fill the number up, whatever they explain.

    Returns:
        `(event, 4)`; fewer than there are only when candidates gave out.
    """
    n_channels = len(search.picks.counts)
    found = np.empty((0, 4))
    share = FIRST_SHARE
    for turn in range(max_rounds):
        free, support = search.unexplained(found)
        if turn and len(found) == n_events and (support == n_channels).all():
            break
        least = max(0.5 * n_channels, min(share * n_channels, chance_score(search, free)))
        last = turn == max_rounds - 1
        candidates = search.candidates(free, n_candidates, rng)
        new = select(search.table, free, candidates, search.gate_s, n_events - len(found), 0.0 if last else least)
        if not len(new):
            share = max(0.5, share - 0.15)
        found = search.settle(np.concatenate([found, new]), search.gate_s)
        if len(found) and not last:
            # A false event holds picks of true ones, which then can not be found: it shows by the picks it lacks.
            _, support = search.unexplained(found)
            found = found[support >= max(0.6 * n_channels, KEPT_SHARE * float(np.median(support)))]
    return found


def pursue_incomplete(
    search: Search,
    n_events: int | None,
    rng: np.random.Generator,
    n_candidates: int = 3000,
    max_rounds: int = 10,
    progress: bool = False,
) -> np.ndarray:
    """Finds events some of whose picks are missing, among picks that may be nobody's.

    Args:
        search: The search.
        n_events: How many there are; None to keep those whose evidence is good.
        rng: Source of chance.
        n_candidates: Single events followed in a round.
        max_rounds: At most so many.
        progress: Whether to show a progress bar.

    Returns:
        `(event, 4)`.
    """
    found = np.empty((0, 4))
    most = n_events if n_events is not None else len(search.picks.times_s.ravel())
    for turn in range(max_rounds):
        free, _ = search.unexplained(found)
        candidates = search.candidates(free, n_candidates, rng, progress)
        best = float(candidates.scores.max(initial=0.0))
        # The first rounds take what stands out only: a false event would keep picks from a true one.
        least = max(LEAST_PICKS - 1.0, (0.5 - 0.15 * turn) * best, chance_score(search, free) if turn < 3 else 0.0)
        new = select(search.table, free, candidates, search.gate_s, most, least)
        before = len(found)
        found = search.settle(np.concatenate([found, new]), search.gate_s)
        found = prune(search, found, 0.0 if turn < 3 else LEAST_EVIDENCE)
        if n_events is not None and len(found) > n_events:
            found = search.settle(found[np.argsort(-search.evidence(found))[:n_events]], search.gate_s)
        if turn >= 3 and len(found) <= before:
            break
    if n_events is not None and len(found) < n_events:
        free, _ = search.unexplained(found)
        candidates = search.candidates(free, n_candidates, rng)
        new = select(search.table, free, candidates, search.gate_s, n_events - len(found), 0.0)
        found = search.settle(np.concatenate([found, new]), search.gate_s)
    return found


def prune(search: Search, events: np.ndarray, least: float) -> np.ndarray:
    """Without the events whose evidence is poor, the poorest first; what they leave may help the others."""
    while len(events):
        evidence = search.evidence(events)
        poor = np.flatnonzero(evidence < least)
        if not len(poor):
            break
        worst = poor[np.argsort(evidence[poor])][: max(1, len(poor) // 3)]
        events = search.settle(np.delete(events, worst, axis=0), search.gate_s)
    return events
