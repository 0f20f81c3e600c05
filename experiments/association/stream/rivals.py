"""What else a pick of an event may be: that of another event, within whose range its station lies and which has none.

Were the event not there, the pick would not become chance where such a rival stands ready. What the pick would gain
the rival, in nats over chance, is

    log N(r'; 0, s^2) - log(rate of picks of that channel) + log(p' / (1 - p'))

with r' the residual from the rival's arrival and p' the share of the channels within the rival's range that have a
pick; the last term is what the rival gains by a channel seen instead of missed. The best rival counts; none is 0.
"""

import numpy as np

from experiments.association.solvers.time_table import compiled

LEAST_SEEN, MOST_SEEN = 0.1, 0.97
"""Bounds of the share of channels that have a pick of an event."""
_ROOT = float(np.sqrt(2 * np.pi))


def _rival_gains(
    times: np.ndarray, arrivals: np.ndarray, pick_of: np.ndarray, error: np.ndarray, rates: np.ndarray,
    distance: np.ndarray, wanted: np.ndarray, evidence: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    n_events, n_channels = wanted.shape
    odds = np.empty(n_events)
    reach = np.zeros(n_events)
    for e in range(n_events):
        seen = min(max(evidence[e, 1], LEAST_SEEN), MOST_SEEN)
        odds[e] = np.log(seen) - np.log(1.0 - seen)
        for c in range(n_channels):
            if wanted[e, c]:
                reach[e] = max(reach[e], distance[e, c])
    lacking = np.empty(n_events, np.int64)
    for c in range(n_channels):
        n_lacking = 0
        for e in range(n_events):
            if not wanted[e, c] and distance[e, c] <= reach[e]:
                lacking[n_lacking] = e
                n_lacking += 1
        by_chance = np.log(rates[c] * error[c] * _ROOT)
        for e in range(n_events):
            out[e, c] = 0.0
            if not wanted[e, c]:
                continue
            at = times[pick_of[c, e]]
            for k in range(n_lacking):
                r = (at - arrivals[c, lacking[k]]) / error[c]
                out[e, c] = max(out[e, c], odds[lacking[k]] - 0.5 * r * r - by_chance)


rival_gains = compiled(_rival_gains)
"""Fills `out (event, channel)`, nats, of picks that are `wanted (event, channel)`; 0 elsewhere.

`distance (event, channel)` grows with the distance, `evidence (event, 2 or more)` has the share seen in its second
column, `times (pick,)`, `arrivals` and `pick_of (channel, event)`, `error` and `rates (channel,)` are as in
`evidence.py`.
"""
