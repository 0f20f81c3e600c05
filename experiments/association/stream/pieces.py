"""From final events to pieces of the catalogue: numbers, standard errors, and which pick is whose."""

import numpy as np

from experiments.association.problem import Picks
from experiments.association.stream.catalogue import CatalogueEvents, CataloguePiece
from experiments.association.stream.corrections import gaps_deg
from experiments.association.stream.found import Found, residuals
from experiments.association.stream.network import Network
from experiments.association.stream.stitching import TOLERANCE_S
from experiments.association.uncertainty import SINGULAR

EDGE_KM = 1e-3


class PieceMaker:
    """Numbers events and says which pick is whose, once both are final.

    Args:
        network: The network.
        corrections_s: `(station, 2)`, station corrections.
    """

    def __init__(self, network: Network, corrections_s: np.ndarray) -> None:
        self._network = network
        # A pick comes before its event's origin time by no more than this.
        self._early_s = TOLERANCE_S + float(network.gate_s.max()) + float(np.abs(corrections_s).max(initial=0.0))
        self._time_s = np.empty(0)
        self._owner, self._residual = np.empty(0, np.int64), np.empty(0)
        self._first_pick, self._first_event = 0, 0

    def add(self, block: Picks) -> None:
        """Picks that have come in."""
        self._time_s = np.concatenate([self._time_s, block.time_s])
        self._owner = np.concatenate([self._owner, np.full(len(block), -1)])
        self._residual = np.concatenate([self._residual, np.full(len(block), np.nan)])

    def piece(self, final: Found, begin_s: float | None) -> CataloguePiece:
        """The next piece.

        Args:
            final: Events that are final, all before `begin_s` less the stitching's tolerance.
            begin_s: Where the last window begins; None after it.
        """
        events, left_s = described(self._network, final)
        number, channel = np.nonzero(final.row >= 0)
        at = final.row[number, channel] - self._first_pick
        self._owner[at] = self._first_event + number
        self._residual[at] = left_s[number, channel]
        n = len(self._time_s)
        if begin_s is not None:
            n = int(np.searchsorted(self._time_s, begin_s - TOLERANCE_S - self._early_s))
        piece = CataloguePiece(self._first_event, events, self._first_pick, self._owner[:n], self._residual[:n])
        self._time_s, self._owner, self._residual = self._time_s[n:], self._owner[n:], self._residual[n:]
        self._first_pick += n
        self._first_event += len(events)
        return piece


def described(network: Network, found: Found) -> tuple[CatalogueEvents, np.ndarray]:
    """Events with all that is told of them, and their residuals `(event, channel)`, seconds."""
    if not len(found):
        return CatalogueEvents.none(), np.empty(found.time_s.shape)
    left_s, derivatives = residuals(network, found)
    mine, phase = found.row >= 0, network.channels[:, 1]
    distance_km = np.hypot(*(network.stations_km[None, :, a] - found.events[:, None, a] for a in (0, 1)))
    n_p, n_s = mine[:, phase == 0].sum(axis=1), mine[:, phase == 1].sum(axis=1)
    rms_s = np.sqrt(np.nansum(left_s**2, axis=1) / np.maximum(n_p + n_s, 1))
    errors = np.array([
        _standard_errors(derivatives[e][:, mine[e]], network.error_s[mine[e]], left_s[e][mine[e]])
        for e in range(len(found))
    ])  # fmt: skip
    low, high = network.bounds_km
    at_bound = ((found.events[:, :3] < low + EDGE_KM) | (found.events[:, :3] > high - EDGE_KM)).any(axis=1)
    return CatalogueEvents(
        times_s=found.events[:, 3], positions_km=found.events[:, :3], time_errors_s=errors[:, 3],
        position_errors_km=errors[:, :3], n_p=n_p, n_s=n_s, rms_s=rms_s, gap_deg=gaps_deg(network, found),
        nearest_station_km=np.where(mine, distance_km, np.inf).min(axis=1), evidence=found.evidence[:, 0],
        expected_share=found.evidence[:, 1], at_bound=at_bound,
    ), left_s  # fmt: skip


def _standard_errors(derivatives: np.ndarray, error_s: np.ndarray, left_s: np.ndarray) -> np.ndarray:
    """Of x, y, z and origin time, from `(4, pick)`; larger where residuals are larger than expected."""
    by_event = np.column_stack([derivatives[1:].T, np.ones(len(error_s))]) / error_s[:, None]
    hessian = by_event.T @ by_event
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    good = values > SINGULAR * max(float(values[-1]), 1e-300)
    covariance = (vectors[:, good] / values[good]) @ vectors[:, good].T
    degrees = len(error_s) - 4
    excess = np.sqrt(((left_s / error_s) ** 2).sum() / degrees) if degrees > 0 else 1.0
    known = (vectors[:, ~good] ** 2).sum(axis=1) < 1e-8
    return np.where(known, max(1.0, float(excess)) * np.sqrt(np.maximum(np.diag(covariance), 0.0)) / scale, np.nan)
