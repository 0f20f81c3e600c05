"""Station corrections: what a 1-D model, or any, gets wrong at a station, learnt from events of the catalogue itself.

Events with many picks are located with their picks fixed; what is left at a channel, its median, is added to its
travel times; and again. Scarce channels stay near zero. A constant is an origin time: the mean over P is taken out.
"""

from dataclasses import dataclass, replace

import numpy as np

from experiments.association.stream.found import Found, relocated, residuals
from experiments.association.stream.network import Network

LEAST_PICKS = 15
LARGEST_GAP_DEG = 250.0
PICKS_OF_DOUBT = 5.0
"""So many picks at zero are set against those of a channel."""
ROUNDS = 6
LEAST_EVENTS = 15
TAILS = 1.4
"""Times a Gaussian's standard error with the same median size."""
LEAST_ERROR_S = 0.02
MOST_EVENTS = 1500


@dataclass(frozen=True)
class Learnt:
    """What events taught.

    Args:
        corrections_s: `(station, 2)`, seconds, to be added to travel times.
        errors_s: `(2,)`, standard errors of P and S, seconds; NaN where there was too little to learn from.
    """

    corrections_s: np.ndarray
    errors_s: np.ndarray


def learn_corrections(network: Network, found: Found, corrections_s: np.ndarray) -> Learnt:
    """Station corrections and standard errors.

    Args:
        network: The network.
        found: Events, found with `corrections_s`.
        corrections_s: `(station, 2)`, the corrections so far.
    """
    good = ((found.row >= 0).sum(axis=1) >= LEAST_PICKS) & (gaps_deg(network, found) <= LARGEST_GAP_DEG)
    found = found.take(np.flatnonzero(good)[:MOST_EVENTS])
    station, phase = network.channels.T
    if len(found) < LEAST_EVENTS:
        return Learnt(corrections_s, np.full(2, np.nan))
    total = corrections_s[station, phase]
    left = np.empty((0, len(phase)))
    for _ in range(ROUNDS):
        found = relocated(network, found, 2)
        left = residuals(network, found)[0]
        n = np.isfinite(left).sum(axis=0)
        median = np.zeros(len(n))
        median[n > 0] = np.nanmedian(left[:, n > 0], axis=0)
        change = median * n / (n + PICKS_OF_DOUBT)
        is_p = phase == 0
        shift = np.average(total[is_p] + change[is_p], weights=n[is_p] + 1e-9)
        change = np.where(n > 0, change - shift, 0.0)
        total = total + change
        earlier = found.events - np.array([0.0, 0.0, 0.0, -shift])
        found = replace(found, time_s=found.time_s - change, events=earlier)
    errors_s = np.array([_error(left[:, phase == k]) for k in (0, 1)])
    learnt = corrections_s.copy()
    learnt[station, phase] = total
    return Learnt(learnt, errors_s)


def _error(left: np.ndarray) -> float:
    """Standard error of residuals, from their median; pick errors have long tails."""
    sizes = np.abs(left[np.isfinite(left)])
    return max(TAILS * 1.4826 * float(np.median(sizes)), LEAST_ERROR_S) if len(sizes) >= 50 else float("nan")


def gaps_deg(network: Network, found: Found) -> np.ndarray:
    """`(event,)`, largest azimuth between two neighbouring stations with picks, 360 for one station or none."""
    gaps = np.full(len(found), 360.0)
    for e in range(len(found)):
        mine = network.stations_km[found.row[e] >= 0]
        azimuth = np.sort(np.degrees(np.arctan2(mine[:, 0] - found.events[e, 0], mine[:, 1] - found.events[e, 1])))
        if len(azimuth):
            gaps[e] = np.diff(np.append(azimuth, azimuth[0] + 360.0)).max()
    return gaps
