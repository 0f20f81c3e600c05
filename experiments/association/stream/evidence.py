"""Is an event there? Its picks weighed against chance, with the distance to which it is seen found along the way.

Small events are seen near by only. For a range rho the stations within it have a pick with probability p, those beyond
with q < p. The evidence is the logarithm of the ratio of

    its picks under the event    p^h (1 - p)^m  q^h' (1 - q)^m'  prod N(r; 0, s^2)
    the same picks by chance     prod (rate of picks of that channel)

h of n = h + m channels within rho having a pick, h' of n' beyond, made largest over rho, and lessened by the choice of
place and time: the volume and the hour it may lie in, over that its picks leave it (Laplace; `event_count.py` has the
same without a range). A pick that is likelier chance than the event's is none of its picks.

An event's *net* evidence weighs a pick not against chance alone but against the best other event that has none there
(`rivals.py`). Where picks are dense, leftovers of many events can make up one that never was: it is far likelier than
chance, and yet it takes what others would have. Its evidence is large, its net evidence below zero.

Chance is not even in time: where picks come in a burst that no event explains, chance finds more. The rate of a channel
is therefore raised by how many picks, of no event or of this one, all channels have within `AROUND_S`, over the usual.
"""

import numpy as np

from experiments.association.solvers.joint_steps import solve_step
from experiments.association.solvers.time_table import compiled
from experiments.association.stream.rivals import LEAST_SEEN, MOST_SEEN, rival_gains

HOUR_S = 3600.0
AROUND_S = 5.0
_ROOT = float(np.sqrt(2 * np.pi))


def _weigh(
    e: int, times: np.ndarray, arrivals: np.ndarray, derivatives: np.ndarray, pick_of: np.ndarray, error: np.ndarray,
    rates: np.ndarray, around: np.ndarray, live: np.ndarray, order: np.ndarray, volume: float, rival: np.ndarray,
    wanted: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    n_channels = len(error)
    gain = np.zeros(n_channels)
    usual = rates.sum() * 2.0 * AROUND_S
    own = np.empty(n_channels)
    n_own = 0
    for c in range(n_channels):
        if pick_of[c, e] >= 0 and wanted[e, c]:
            own[n_own] = times[pick_of[c, e]]
            n_own += 1
    n_live = 0
    hits = 0
    for k in range(n_channels):
        c = order[k]
        if not live[c]:
            continue
        n_live += 1
        p = pick_of[c, e]
        if p >= 0:
            hits += 1
            r = (times[p] - arrivals[c, e]) / error[c]
            burst = around[p]
            for k2 in range(n_own):
                burst += abs(own[k2] - times[p]) < AROUND_S
            rate = rates[c] * max(1.0, burst / usual)
            gain[c] = -np.log(rate * error[c] * _ROOT) - 0.5 * r * r - rival[c]
    best, best_seen, best_far, best_n = -1e30, 0.5, 0.01, 0
    h = n = 0
    within = 0.0
    total = gain.sum()
    for k in range(n_channels):
        c = order[k]
        if not live[c]:
            continue
        n += 1
        if pick_of[c, e] >= 0:
            h += 1
            within += gain[c]
        if pick_of[c, e] < 0 or h < 3:
            continue
        seen = min(max((h + 0.5) / (n + 1.0), LEAST_SEEN), MOST_SEEN)
        n_far, h_far = n_live - n, hits - h
        far = min((h_far + 0.25) / (n_far + 2.0), 0.5 * seen)
        value = total + h * np.log(seen) + (n - h) * np.log(1.0 - seen)
        value += h_far * np.log(far) + (n_far - h_far) * np.log(1.0 - far)
        if value > best:
            best, best_seen, best_far, best_n = value, seen, far, k + 1
    # Which picks are its own, and what they say of its place.
    normal = np.zeros((4, 4))
    g, right, step = np.empty(4), np.zeros(4), np.empty(4)
    n_in = n_in_hits = 0
    lost = 0.0
    for k in range(n_channels):
        c = order[k]
        wanted[e, c] = False
        if not live[c]:
            continue
        inside = k < best_n
        n_in += inside
        if pick_of[c, e] < 0:
            continue
        share = best_seen if inside else best_far
        odds = gain[c] + np.log(share) - np.log(1.0 - share)
        if odds <= 0.0:
            lost += odds
            continue
        wanted[e, c] = True
        n_in_hits += inside
        g[0], g[1], g[2], g[3] = derivatives[e, 1, c], derivatives[e, 2, c], derivatives[e, 3, c], 1.0
        for i in range(4):
            for j in range(i + 1):
                normal[i, j] += g[i] * g[j] / (error[c] * error[c])
    solve_step(normal, right, 0.0, 1e-6, step)
    half_log_determinant = 0.0
    for i in range(4):
        half_log_determinant += np.log(normal[i, i])
    choice = 2.0 * np.log(2.0 * np.pi) - half_log_determinant - np.log(volume * HOUR_S)
    out[0] = best - lost + min(choice, 0.0) - np.log(1.0 + hits)
    out[1] = n_in_hits / max(n_in, 1)


weigh = compiled(_weigh)


def _weigh_all(
    times: np.ndarray, arrivals: np.ndarray, derivatives: np.ndarray, pick_of: np.ndarray, error: np.ndarray,
    rates: np.ndarray, around: np.ndarray, live: np.ndarray, events: np.ndarray, stations: np.ndarray, volume: float,
    compete: bool, wanted: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    n_events, n_channels = wanted.shape
    distance = np.empty((n_events, n_channels))
    order = np.empty((n_events, n_channels), np.int64)
    rival = np.zeros((n_events, n_channels))
    for e in range(n_events):
        for c in range(n_channels):
            distance[e, c] = (events[e, 0] - stations[c, 0]) ** 2 + (events[e, 1] - stations[c, 1]) ** 2
        order[e] = np.argsort(distance[e])
        weigh(e, times, arrivals, derivatives, pick_of, error, rates, around, live, order[e], volume, rival[e], wanted,
              out[e])  # fmt: skip
        out[e, 2] = out[e, 0]
    if not compete or n_events < 2:
        return
    rival_gains(times, arrivals, pick_of, error, rates, distance, wanted, out, rival)
    own = np.empty(n_channels, np.bool_)
    net = np.empty(3)
    for e in range(n_events):
        if rival[e].max() > 0.0:
            own[:] = wanted[e]
            weigh(e, times, arrivals, derivatives, pick_of, error, rates, around, live, order[e], volume, rival[e],
                  wanted, net)  # fmt: skip
            wanted[e] = own
            out[e, 2] = min(out[e, 0], net[0])


weigh_all = compiled(_weigh_all)
"""Fills `wanted (event, channel)`, whether that pick is the event's, and `out (event, 3)`: evidence, share seen, net
evidence, which is the evidence itself where events do not `compete`."""
