"""A window's picks in the solver's order, and its events while they are sought: hypocentres, picks and evidence."""

from typing import NamedTuple

import numpy as np

from experiments.association.stream.evidence import AROUND_S, weigh_all
from experiments.association.stream.found import Found, enough
from experiments.association.stream.locate import assign, assign_alone, predict, settle, step_all
from experiments.association.stream.network import Network

LEAST_NET = -5.0
"""Net evidence of an event, nats: well below 0 its picks are better explained without it."""


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


class WindowState:
    """Events of a window while they are sought.

    Args:
        network: The network.
        picks: All picks that may be of such events.
    """

    def __init__(self, network: Network, picks: WindowPicks) -> None:
        self.network, self.picks = network, picks
        n_channels = len(network.channels)
        self.live = np.diff(picks.first) > 0
        self.events = np.empty((0, 4))
        self.wanted = np.empty((0, n_channels), bool)
        self.pick_of = np.empty((n_channels, 0), np.int64)
        self.arrivals = np.empty((n_channels, 0))
        self.derivatives = np.empty((0, 4, n_channels))
        self.evidence = np.empty((0, 3))
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
        self.evidence = np.empty((len(events), 3))

    def _weigh(self, compete: bool = True) -> None:
        n, p = self.network, self.picks
        rates = self._rates()
        weigh_all(p.times_s, self.arrivals, self.derivatives, self.pick_of, n.error_s, rates, self._around(), self.live,
                  self.events, n.stations_km, n.volume_km3, compete, self.wanted, self.evidence)  # fmt: skip

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
        """Take these events in place of those so far, and let all match and move together.

        Args:
            events: `(event, 4)`.
            wanted: `(event, channel)` bool, whether each takes a pick there.
            n_steps: How often.
        """
        n, p = self.network, self.picks
        self._room(events)
        self.wanted = np.ascontiguousarray(wanted)
        settle(n.table, p.times_s, p.first, n.error_s, n.gate_s, self.events, self.wanted, n_steps, n.bounds_km,
               self.arrivals, self.derivatives, self.pick_of)  # fmt: skip
        self._weigh()

    def alone(self, events: np.ndarray, free: np.ndarray) -> None:
        """Weigh these events, each as if it were the only one.

        Args:
            events: `(event, 4)`.
            free: `(pick,)` bool, picks that they may have.
        """
        n, p = self.network, self.picks
        self._room(events)
        self.wanted = np.ones((len(events), len(n.channels)), bool)
        predict(n.table, self.events, self.arrivals, self.derivatives)
        assign_alone(self.arrivals, p.times_s, p.first, free, n.gate_s, self.pick_of)
        self.wanted[:] = False  # its picks are among the free ones, and count once
        self.others = free
        self._weigh(compete=False)

    def exact(self, n_steps: int) -> None:
        """Match and move with the provider's own travel times."""
        n, p = self.network, self.picks
        for step in range(n_steps + 1):
            self.arrivals, self.derivatives = n.times_and_derivatives(self.events)
            assign(self.arrivals, p.times_s, p.first, n.gate_s, self.pick_of)
            if step < n_steps:
                step_all(p.times_s, n.error_s, self.events, self.wanted, n.bounds_km, self.arrivals, self.derivatives,
                         self.pick_of, 2.0)  # fmt: skip
        self._weigh()

    def poor(self, least: float, least_net: float) -> np.ndarray:
        """`(event,)` bool: which show less evidence, or fewer picks than the settings ask for."""
        weak = (self.evidence[:, 0] < least) | (self.evidence[:, 2] < least_net)
        return np.asarray(weak | ~enough(self.network, self.wanted & (self.pick_of.T >= 0)))

    def prune(self, least: float, least_net: float, exact: bool = False) -> None:
        """Without the poor, the poorest first: what they leave may help the others."""
        while len(self.events):
            poor = np.flatnonzero(self.poor(least, least_net))
            if not len(poor):
                return
            worst = poor[np.argsort(self.evidence[poor, 0], kind="stable")][: max(1, len(poor) // 3)]
            events, wanted = np.delete(self.events, worst, axis=0), np.delete(self.wanted, worst, axis=0)
            self.settle(events, wanted, 0 if exact else 2)
            if exact:
                self.exact(1)

    def found(self) -> Found:
        """The events that show what the settings ask for, with their picks."""
        if not len(self.picks.times_s):
            return Found.none(len(self.network.channels))
        mine = self.wanted & (self.pick_of.T >= 0)
        number = np.where(mine, self.pick_of.T, 0)
        found = Found(
            self.events,
            self.evidence[:, :2],
            np.where(mine, self.picks.rows[number], -1),
            np.where(mine, self.picks.times_s[number], np.nan),
        )
        return found.take(~self.poor(self.network.settings.least_evidence, LEAST_NET))
