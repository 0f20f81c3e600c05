"""What another event would gain by a pick, and what that says of events made of others' leftovers."""

import numpy as np
import pytest

from experiments.association.stream.evidence import weigh_all
from experiments.association.stream.network import Network
from experiments.association.stream.rivals import LEAST_SEEN, MOST_SEEN, rival_gains
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.stream.window_state import LEAST_NET
from tests.experiments.association.stream.simulated_catalogue import simulated


@pytest.mark.parametrize("seed", range(5))
def test_gains_are_those_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    n_events, n_channels, n_picks = 6, 9, 40
    times, arrivals = rng.uniform(0, 2, n_picks), rng.uniform(0, 2, (n_channels, n_events))
    pick_of = rng.integers(0, n_picks, (n_channels, n_events))
    error, rates = rng.uniform(0.05, 0.2, n_channels), rng.uniform(0.01, 0.3, n_channels)
    distance, wanted = rng.uniform(0, 50, (n_events, n_channels)), rng.random((n_events, n_channels)) < 0.6
    evidence = np.c_[rng.normal(size=n_events), rng.uniform(0, 1, n_events), np.zeros(n_events)]
    found = np.full((n_events, n_channels), np.nan)
    rival_gains(times, arrivals, pick_of, error, rates, distance, wanted, evidence, found)

    expected = np.zeros((n_events, n_channels))
    for e, c in zip(*np.nonzero(wanted), strict=True):
        gains = [0.0]
        for other in range(n_events):
            reach = max((distance[other, k] for k in range(n_channels) if wanted[other, k]), default=0.0)
            if wanted[other, c] or distance[other, c] > reach:
                continue
            share = np.clip(evidence[other, 1], LEAST_SEEN, MOST_SEEN)
            residual = times[pick_of[c, e]] - arrivals[c, other]
            normal = np.exp(-0.5 * (residual / error[c]) ** 2) / (np.sqrt(2 * np.pi) * error[c])
            gains.append(np.log(np.maximum(normal, 1e-300) / rates[c] * share / (1 - share)))
        expected[e, c] = max(gains)
    assert (expected > 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.fixture(scope="module")
def crowd():
    """Four events, and one that has every fourth pick of each: times, arrivals, which pick is whose, and the rest."""
    case = simulated(n_events=4, duration_s=10.0)
    network = Network(case.stations, case.travel_times, CatalogueSettings(pick_error_s=0.05))
    ghost = np.r_[case.positions_km.mean(axis=0), case.times_s.mean()]
    events = np.concatenate([np.c_[case.positions_km, case.times_s], [ghost]])
    arrivals, derivatives = network.times_and_derivatives(events)
    n_channels = len(network.channels)
    rng = np.random.default_rng(0)
    times = (arrivals[:, :4] + rng.normal(0, 0.03, (n_channels, 4))).ravel()
    pick_of = np.c_[np.arange(4 * n_channels).reshape(n_channels, 4), np.zeros(n_channels, int)]
    wanted = np.ones((5, n_channels), bool)
    wanted[np.arange(n_channels) % 4, np.arange(n_channels)] = False
    for c in range(n_channels):
        pick_of[c, 4] = pick_of[c, c % 4]
        pick_of[c, c % 4] = -1
        # As if the leftovers fell where one more event has its arrivals: that is what makes it likelier than chance.
        arrivals[c, 4] = times[pick_of[c, 4]] + rng.normal(0, 0.03)
    return network, events, arrivals, derivatives, times, pick_of, wanted


def _weighed(crowd, compete, mine):
    network, events, arrivals, derivatives, times, pick_of, wanted = crowd
    n_channels = len(network.channels)
    out, wanted = np.empty((len(mine), 3)), wanted[mine].copy()
    weigh_all(times, np.ascontiguousarray(arrivals[:, mine]), np.ascontiguousarray(derivatives[mine]),
              np.ascontiguousarray(pick_of[:, mine]), network.error_s, np.full(n_channels, 0.02), np.zeros(len(times)),
              np.ones(n_channels, bool), np.ascontiguousarray(events[mine]), network.stations_km, network.volume_km3,
              compete, wanted, out)  # fmt: skip
    return out


def test_an_event_made_of_leftovers_has_evidence_but_no_net_evidence(crowd):
    out = _weighed(crowd, True, np.arange(5))
    assert out[4, 0] > 10
    assert out[4, 2] < LEAST_NET
    assert (out[:4, 2] > 10).all()
    assert (out[:, 2] <= out[:, 0]).all()


def test_without_competition_and_alone_net_evidence_is_evidence(crowd):
    alone = _weighed(crowd, False, np.arange(5))
    np.testing.assert_array_equal(alone[:, 2], alone[:, 0])
    one = _weighed(crowd, True, np.array([4]))
    assert one[0, 2] == one[0, 0] > 10
