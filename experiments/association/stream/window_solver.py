"""One window: events sought round by round among the picks that none has yet, all settling together.

A round counts votes (`scan.py`), follows the peaks down to their picks (`locate.py`), takes those that are better
evidence than chance (`evidence.py`), best first and each with picks of its own, and lets all events found so far match
and move together. What is poor then goes, and its picks are free again. At the end the provider's own travel times
take the tables' place. A window's result depends on its picks alone.

Picks of events that are not found are chance to all others, so that what is asked of an event while others are sought
is less than what is asked of it at the end: events of little evidence stay, and explain their picks, and only those
of enough are given out. Asking all for enough at once makes one weak event's end the next one's, until few are left.
Where picks are crowded, each event's neighbours make chance of it until they are found too: what is best is tried
then, be it likelier chance, and stays if it shows once all have settled.
"""

import numpy as np

from experiments.association.stream.found import Found
from experiments.association.stream.locate import descend
from experiments.association.stream.network import Network
from experiments.association.stream.scan import scan
from experiments.association.stream.window_state import LEAST_NET, WindowPicks, WindowState

SCALES = np.geomspace(5.0, 1.0, 8)
OWN_SHARE = 0.7
MOST_PEAKS = 600
KEPT_EVIDENCE, KEPT_NET = 0.0, -40.0
"""Nats, and net, that an event has to show while others are sought."""
TRIED_EVIDENCE = (0.0, -10.0, -25.0)
"""Nats of what is tried once nothing has enough; below 0 in crowds only."""
CROWDED = 0.1
VOTE_SHARE = 0.6
"""Of the largest residual, for votes: most picks lie well within it."""


class _Candidates:
    """Places and times where events may have been, each weighed by the free picks it would have.

    Args:
        network: The network.
        picks: The window's.
        free: `(pick,)` bool.
        begin_s: First origin time.
        end_s: Last.
        crowded: Whether picks are.
    """

    def __init__(
        self, network: Network, picks: WindowPicks, free: np.ndarray, begin_s: float, end_s: float, crowded: bool
    ) -> None:
        settings, phase = network.settings, network.channels[:, 1]
        residual_s = VOTE_SHARE * np.array([settings.p_gate_s, settings.s_gate_s])
        given = (picks.times_s, picks.first, phase, free, residual_s, begin_s, end_s, settings.least_picks, MOST_PEAKS)
        peaks = scan(network.grid, *given)
        events = peaks.events
        if crowded:
            # Small events are votes among few stations; asked of many, chance has more.
            events = np.concatenate([events, scan(network.near_grid, *given).events])
        self._picks, self._free = picks, free
        self.events = np.ascontiguousarray(events)
        descend(network.table, picks.times_s, picks.first, free, network.error_s, self.events, SCALES, network.reach_km,
                network.bounds_km, network.stations_km)  # fmt: skip
        self._trial = WindowState(network, picks)
        self._trial.alone(self.events, free)

    def best(self, least: float) -> np.ndarray:
        """`(event, 4)`: those of so much evidence, best first, and each with picks of its own."""
        evidence = self._trial.evidence[:, 0]
        good = np.flatnonzero(~self._trial.poor(least, -np.inf))
        taken, chosen = ~self._free, []
        for e in good[np.argsort(-evidence[good], kind="stable")]:
            mine = self._trial.pick_of[self._trial.wanted[e], e]
            if taken[mine].mean() <= 1.0 - OWN_SHARE:
                chosen.append(e)
                taken[mine] = True
        return np.asarray(self.events[chosen])


def _is_crowded(network: Network, picks: WindowPicks) -> bool:
    """Whether chance has a pick within the gate of an arrival in more than `CROWDED` of the cases."""
    n_live = max(int((np.diff(picks.first) > 0).sum()), 1)
    return 2.0 * network.settings.p_gate_s * len(picks.times_s) / (n_live * picks.length_s) > CROWDED


def solve_window(network: Network, picks: WindowPicks, begin_s: float, end_s: float) -> Found:
    """Events whose origin times lie in a window.

    Args:
        network: The network.
        picks: All picks that may be of such events.
        begin_s: First origin time.
        end_s: Last.
    """
    state = WindowState(network, picks)
    asked = (network.settings.least_evidence, *TRIED_EVIDENCE)
    stage, n_rounds, crowded = 0, 0, _is_crowded(network, picks)
    candidates: _Candidates | None = None
    while stage < len(asked) and len(picks.times_s) >= network.settings.least_picks:
        if candidates is None:
            if n_rounds == network.settings.rounds:
                break
            n_rounds += 1
            candidates = _Candidates(network, picks, state.free(), begin_s, end_s, crowded)
        if asked[stage] < 0 and not crowded:
            break
        new = candidates.best(asked[stage])
        if not len(new):
            stage += 1
            continue
        before = len(state.events)
        wanted = np.concatenate([state.wanted, np.ones((len(new), state.wanted.shape[1]), bool)])
        state.settle(np.concatenate([state.events, new]), wanted, 4)
        state.prune(KEPT_EVIDENCE, KEPT_NET)
        stage += len(state.events) <= before
        candidates = None
    if len(state.events):
        state.exact(3)
        state.exact(2)
        state.prune(KEPT_EVIDENCE, LEAST_NET, exact=True)
    return state.found()
