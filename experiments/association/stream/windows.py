"""Where one window ends and the next begins: at the quietest moment, found from the picks themselves.

A window is a stretch of origin times. It is followed by a margin on both sides in which events are sought too, so that
those near its edge compete with their neighbours for picks; only its own are kept. Edges follow from the picks and from
where the one before lies, never from how the picks are handed over, so that results do not depend on that.
"""

from dataclasses import dataclass

import numpy as np

SHORTEST, LONGEST = 0.6, 1.4
"""Of the wanted length."""
_STEP_S = 0.5


@dataclass(frozen=True)
class Window:
    """A window and the picks that its events, and those in its margins, may have.

    Args:
        number: In the stream.
        begin_s: First origin time of its own events.
        end_s: First of the next window's.
        first: Number of its first pick in the stream.
        station: `(pick,)` int.
        phase: `(pick,)` int.
        time_s: `(pick,)`, in order.
    """

    number: int
    begin_s: float
    end_s: float
    first: int
    station: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray


class WindowCutter:
    """Cuts a stream of picks, given in order of time, into windows; holds what the next window needs only.

    Args:
        wanted_s: Length wanted.
        margin_s: Margin on both sides.
        longest_s: Longest travel time.
    """

    def __init__(self, wanted_s: float, margin_s: float, longest_s: float) -> None:
        self._wanted_s, self._margin_s, self._longest_s = wanted_s, margin_s, longest_s
        self._station, self._phase = np.empty(0, np.int32), np.empty(0, np.int8)
        self._time_s = np.empty(0)
        self._first = 0
        self._begin_s: float | None = None
        self._number = 0

    def add(self, station: np.ndarray, phase: np.ndarray, time_s: np.ndarray) -> None:
        """Hand over the next picks."""
        self._station = np.concatenate([self._station, station.astype(np.int32)])
        self._phase = np.concatenate([self._phase, phase.astype(np.int8)])
        self._time_s = np.concatenate([self._time_s, time_s])

    def windows(self, is_last: bool) -> list[Window]:
        """Windows that are certain by now.

        Args:
            is_last: Whether no picks will follow.
        """
        found = []
        while len(self._time_s):
            at = 0 if self._begin_s is None else int(np.searchsorted(self._time_s, self._begin_s))
            if at == len(self._time_s):
                break
            # Where nothing was picked, no event has to be sought.
            earliest_s = float(self._time_s[at]) - self._longest_s
            begin_s = earliest_s if self._begin_s is None else max(self._begin_s, earliest_s)
            needed_s = begin_s + LONGEST * self._wanted_s + self._margin_s + self._longest_s
            if not is_last and self._time_s[-1] <= needed_s:
                break
            end_s = self._quietest(begin_s)
            low, high = np.searchsorted(
                self._time_s, [begin_s - self._margin_s, end_s + self._margin_s + self._longest_s]
            )
            found.append(
                Window(self._number, begin_s, end_s, self._first + int(low), self._station[low:high],
                       self._phase[low:high], self._time_s[low:high])
            )  # fmt: skip
            self._number += 1
            self._begin_s = end_s
            self._drop(end_s - self._margin_s)
        return found

    def _quietest(self, begin_s: float) -> float:
        """The moment after which fewest picks follow, as they would from an event then."""
        at_s = begin_s + np.arange(SHORTEST * self._wanted_s, LONGEST * self._wanted_s, _STEP_S)
        n_picks = np.searchsorted(self._time_s, at_s + 0.4 * self._longest_s) - np.searchsorted(self._time_s, at_s - 2)
        return float(at_s[int(np.argmin(n_picks))])

    def _drop(self, before_s: float) -> None:
        n = int(np.searchsorted(self._time_s, before_s))
        self._station, self._phase, self._time_s = self._station[n:], self._phase[n:], self._time_s[n:]
        self._first += n
