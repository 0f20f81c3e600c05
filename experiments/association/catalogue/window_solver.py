"""One window: events sought round by round among the picks that none has yet, all settling together.

A round counts votes (`scan.py`), follows the peaks down to their picks (`locate.py`), keeps those that are better
evidence than chance (`evidence.py`), best first and each with picks of its own, and lets all events found so far match
and move together. What is poor then goes, and its picks are free again. At the end the provider's own travel times
take the tables' place. A window's result depends on its picks alone.
"""

from typing import NamedTuple

import numpy as np

from experiments.association.catalogue.evidence import AROUND_S, weigh_all
from experiments.association.catalogue.found import Found, enough
from experiments.association.catalogue.locate import assign, assign_alone, descend, predict, settle, step_all
from experiments.association.catalogue.network import Network
from experiments.association.catalogue.scan import scan

SCALES = np.geomspace(5.0, 1.0, 8)
OWN_SHARE = 0.7
MOST_PEAKS = 600
BOLD_EVIDENCE = -25.0
"""Nats that an event among many unfound ones has to show before they are found: little."""
VOTE_SHARE = 0.6
"""Of the largest residual, for votes: most picks lie well within it."""


class WindowPicks(NamedTuple):
    """Picks of a window, channel by channel, each in order of time.

    Args:
        times_s: `(pick,)`, station corrections subtracted.
        first: `(channel + 1,)`, where each channel's begin.
        rows: `(pick,)`, number of each in the stream.
        length_s: Over so long a time.
    """

    times_s: np.ndarray
    first: np.ndarray
    rows: np.ndarray
    length_s: float


def gather(
    network: Network, station: np.ndarray, phase: np.ndarray, times_s: np.ndarray, rows: np.ndarray,
    corrections_s: np.ndarray,
) -> WindowPicks:  # fmt: skip
    """Picks of a window in the solver's order.

    Args:
        network: The network.
        station: `(pick,)` int.
        phase: `(pick,)` int.
        times_s: `(pick,)`.
        rows: `(pick,)`, number of each in the stream.
        corrections_s: `(station, 2)`.
    """
    corrected_s = times_s - corrections_s[station, phase]
    channel = network.channel_of[station, phase]
    order = np.lexsort((rows, corrected_s, channel))
    order = order[np.searchsorted(channel[order], 0) :]
    counts = np.bincount(channel[order], minlength=len(network.channels))
    length_s = max(float(np.ptp(times_s)) if len(times_s) else 0.0, 60.0)
    return WindowPicks(
        np.ascontiguousarray(corrected_s[order]), np.concatenate([[0], np.cumsum(counts)]), rows[order],
        length_s,
    )  # fmt: skip


class _State:
    """Events of a window while they are sought."""

    def __init__(self, network: Network, picks: WindowPicks) -> None:
        self.network, self.picks = network, picks
        n_channels = len(network.channels)
        self.live = np.diff(picks.first) > 0
        self.events = np.empty((0, 4))
        self.wanted = np.empty((0, n_channels), bool)
        self.pick_of = np.empty((n_channels, 0), np.int64)
        self.arrivals = np.empty((n_channels, 0))
        self.derivatives = np.empty((0, 4, n_channels))
        self.evidence = np.empty((0, 2))
        self.others: np.ndarray | None = None

    def free(self) -> np.ndarray:
        """`(pick,)` bool: which picks no event wants."""
        free = np.ones(len(self.picks.times_s), bool)
        taken = self.pick_of.T[self.wanted & (self.pick_of.T >= 0)]
        free[taken] = False
        return free

    def _room(self, events: np.ndarray) -> None:
        n_channels = len(self.network.channels)
        self.events = np.ascontiguousarray(events)
        self.arrivals = np.empty((n_channels, len(events)))
        self.derivatives = np.empty((len(events), 4, n_channels))
        self.pick_of = np.empty((n_channels, len(events)), np.int64)
        self.evidence = np.empty((len(events), 2))

    def weigh(self) -> None:
        n, p = self.network, self.picks
        rates = self._rates()
        weigh_all(p.times_s, self.arrivals, self.derivatives, self.pick_of, n.error_s, rates, self._around(),
                  self.live, self.events, n.stations_km, n.volume_km3, self.wanted, self.evidence)  # fmt: skip

    def _rates(self) -> np.ndarray:
        """`(channel,)`, picks a second that are of no event found so far."""
        free = self.free() if self.others is None else self.others
        before = np.concatenate([[0], np.cumsum(free)])
        return np.asarray((np.diff(before[self.picks.first]) + 0.5) / self.picks.length_s)

    def _around(self) -> np.ndarray:
        """`(pick,)`, free picks of all channels near each pick's time."""
        times_s = self.picks.times_s
        free_s = np.sort(times_s[self.free() if self.others is None else self.others])
        around = np.searchsorted(free_s, times_s + AROUND_S) - np.searchsorted(free_s, times_s - AROUND_S)
        return around.astype(np.float64)

    def settle(self, events: np.ndarray, wanted: np.ndarray, n_steps: int) -> None:
        n, p = self.network, self.picks
        self._room(events)
        self.wanted = np.ascontiguousarray(wanted)
        settle(n.table, p.times_s, p.first, n.error_s, n.gate_s, self.events, self.wanted, n_steps, n.bounds_km,
               self.arrivals, self.derivatives, self.pick_of)  # fmt: skip
        self.weigh()

    def alone(self, events: np.ndarray, free: np.ndarray) -> None:
        n, p = self.network, self.picks
        self._room(events)
        self.wanted = np.ones((len(events), len(n.channels)), bool)
        predict(n.table, self.events, self.arrivals, self.derivatives)
        assign_alone(self.arrivals, p.times_s, p.first, free, n.gate_s, self.pick_of)
        self.wanted[:] = False  # its picks are among the free ones, and count once
        self.others = free
        self.weigh()

    def exact(self, n_steps: int) -> None:
        """Match and move with the provider's own travel times."""
        n, p = self.network, self.picks
        for step in range(n_steps + 1):
            self.arrivals, self.derivatives = n.times_and_derivatives(self.events)
            assign(self.arrivals, p.times_s, p.first, n.gate_s, self.pick_of)
            if step < n_steps:
                step_all(p.times_s, n.error_s, self.events, self.wanted, n.bounds_km, self.arrivals, self.derivatives,
                         self.pick_of, 2.0)  # fmt: skip
        self.weigh()

    def poor(self, least_evidence: float | None = None) -> np.ndarray:
        """`(event,)` bool: which do not show what the settings ask for."""
        least = self.network.settings.least_evidence if least_evidence is None else least_evidence
        weak = self.evidence[:, 0] < least
        return np.asarray(weak | ~enough(self.network, self.wanted & (self.pick_of.T >= 0)))


def _choose(
    network: Network, picks: WindowPicks, state: _State, begin_s: float, end_s: float, boldly: bool
) -> tuple[np.ndarray, bool]:
    """New events `(event, 4)` among the picks that none has, and whether picks are crowded.

    Boldly is for crowds, where each event's neighbours make chance of it until they are found too: then what is best
    is tried, and stays if it shows once all have settled.
    """
    settings = network.settings
    free = state.free()
    residual_s = VOTE_SHARE * np.array([settings.p_gate_s, settings.s_gate_s])
    peaks = scan(
        network.grid, picks.times_s, picks.first, network.channels[:, 1], free, residual_s, begin_s, end_s,
        settings.least_picks, MOST_PEAKS,
    )  # fmt: skip
    if not len(peaks.events):
        return np.empty((0, 4)), peaks.crowded
    if boldly and not peaks.crowded:
        return np.empty((0, 4)), False
    candidates = peaks.events.copy()
    descend(network.table, picks.times_s, picks.first, free, network.error_s, candidates, SCALES, network.reach_km,
            network.bounds_km, network.stations_km)  # fmt: skip
    trial = _State(network, picks)
    trial.alone(candidates, free)
    good = np.flatnonzero(~trial.poor(BOLD_EVIDENCE if boldly else None))
    good = good[np.argsort(-trial.evidence[good, 0], kind="stable")]
    taken = ~free
    chosen = []
    for e in good:
        mine = trial.pick_of[trial.wanted[e], e]
        mine = mine[mine >= 0]
        if taken[mine].mean() <= 1.0 - OWN_SHARE:
            chosen.append(e)
            taken[mine] = True
    return candidates[chosen], peaks.crowded


def solve_window(network: Network, picks: WindowPicks, begin_s: float, end_s: float) -> Found:
    """Events whose origin times lie in a window.

    Args:
        network: The network.
        picks: All picks that may be of such events.
        begin_s: First origin time.
        end_s: Last.
    """
    state = _State(network, picks)
    boldly = False
    for _ in range(network.settings.rounds):
        if len(picks.times_s) < network.settings.least_picks:
            break
        new, crowded = _choose(network, picks, state, begin_s, end_s, boldly)
        if not len(new):
            if boldly or not crowded:
                break
            boldly = True
            continue
        before = len(state.events)
        wanted = np.concatenate([state.wanted, np.ones((len(new), state.wanted.shape[1]), bool)])
        state.settle(np.concatenate([state.events, new]), wanted, 4)
        _prune(state)
        if boldly and len(state.events) <= before:
            break
    if len(state.events):
        state.exact(3)
        state.exact(2)
        _prune(state, exact=True)
    mine = state.wanted & (state.pick_of.T >= 0)
    number = np.where(mine, state.pick_of.T, 0)
    if not len(picks.times_s):
        return Found.none(len(network.channels))
    return Found(
        state.events,
        state.evidence,
        np.where(mine, picks.rows[number], -1),
        np.where(mine, picks.times_s[number], np.nan),
    )


def _prune(state: _State, exact: bool = False) -> None:
    """Without the poor, the poorest first: what they leave may help the others."""
    while len(state.events):
        poor = np.flatnonzero(state.poor())
        if not len(poor):
            return
        worst = poor[np.argsort(state.evidence[poor, 0], kind="stable")][: max(1, len(poor) // 3)]
        events, wanted = np.delete(state.events, worst, axis=0), np.delete(state.wanted, worst, axis=0)
        state.settle(events, wanted, 0 if exact else 2)
        if exact:
            state.exact(1)
