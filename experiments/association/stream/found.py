"""Events as windows find them: hypocentres with, for each, the pick of every channel."""

from dataclasses import dataclass, fields, replace

import numpy as np

from experiments.association.stream.locate import step_all
from experiments.association.stream.network import Network


@dataclass(frozen=True)
class Found:
    """Events and their picks.

    Args:
        events: `(event, 4)`: x, y, z (km), origin time (s).
        evidence: `(event, 2)`: nats, share of the channels within its range that have a pick.
        row: `(event, channel)` int, number of the pick in the stream, -1 for none.
        time_s: `(event, channel)`, its time, station corrections subtracted; NaN for none.
    """

    events: np.ndarray
    evidence: np.ndarray
    row: np.ndarray
    time_s: np.ndarray

    def __len__(self) -> int:
        return len(self.events)

    def take(self, which: np.ndarray) -> "Found":
        """Those of these numbers, or of this mask."""
        return Found(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def none(n_channels: int) -> "Found":
        """No event."""
        return Found(np.empty((0, 4)), np.empty((0, 2)), np.empty((0, n_channels), np.int64), np.empty((0, n_channels)))

    @staticmethod
    def joined(parts: "list[Found]") -> "Found":
        """One after another; at least one part."""
        return Found(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Found)))


def enough(network: Network, mine: np.ndarray) -> np.ndarray:
    """`(event,)` bool: which have as many picks as the settings ask for.

    Args:
        network: The network.
        mine: `(event, channel)` bool: where each has a pick.
    """
    settings, phase = network.settings, network.channels[:, 1]
    n_p, n_s = mine[:, phase == 0].sum(axis=1), mine[:, phase == 1].sum(axis=1)
    good = (n_p + n_s >= settings.least_picks) & (n_p >= settings.least_p)
    if 1 in network.travel_times.phases:
        good &= n_s >= settings.least_s
    if settings.least_both > 0:
        of_station = np.zeros((len(mine), len(network.stations.ids)), int)
        for c, station in enumerate(network.channels[:, 0]):
            of_station[:, station] += mine[:, c]
        good &= (of_station == 2).sum(axis=1) >= settings.least_both
    return np.asarray(good)


def residuals(network: Network, found: Found) -> tuple[np.ndarray, np.ndarray]:
    """`(event, channel)` seconds, NaN without a pick, and the derivatives `(event, 4, channel)`."""
    if not len(found):
        return np.empty(found.time_s.shape), np.empty((0, 4, found.time_s.shape[1]))
    arrivals_s, derivatives = network.times_and_derivatives(found.events)
    return found.time_s - arrivals_s.T, derivatives


def relocated(network: Network, found: Found, n_steps: int = 3, scale: float = 2.0) -> Found:
    """The events moved to where their picks, which they keep, fit best.

    Args:
        network: The network.
        found: Events.
        n_steps: Robust Gauss-Newton steps.
        scale: Residual, in standard errors, from which on a pick counts little.
    """
    if not len(found):
        return found
    events = found.events.copy()
    n_channels = found.row.shape[1]
    number = np.arange(len(events))[None, :] * n_channels + np.arange(n_channels)[:, None]
    pick_of = np.where(found.row.T >= 0, number, -1)
    wanted = found.row >= 0
    times_s = np.ascontiguousarray(np.nan_to_num(found.time_s).ravel())
    for _ in range(n_steps):
        arrivals_s, derivatives = network.times_and_derivatives(events)
        step_all(times_s, network.error_s, events, wanted, network.bounds_km, arrivals_s, derivatives, pick_of, scale)
    return replace(found, events=events)
