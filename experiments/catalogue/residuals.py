"""Residuals of a catalogue as histograms by station and phase: what a report needs, in memory that does not grow."""

from dataclasses import dataclass, field

import numpy as np

from experiments.catalogue.store import EventPicks

N_BINS = 480


@dataclass
class Residuals:
    """Counts of residuals.

    Args:
        n_stations: Stations.
        reach_s: Bins run from minus to plus this; what is beyond is counted in the outermost.
    """

    n_stations: int
    reach_s: float
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.n_stations, 2, N_BINS), np.int64)

    @property
    def edges_s(self) -> np.ndarray:
        """`(bin + 1,)`."""
        return np.linspace(-self.reach_s, self.reach_s, N_BINS + 1)

    @property
    def middles_s(self) -> np.ndarray:
        """`(bin,)`."""
        edges = self.edges_s
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    def add(self, picks: EventPicks) -> None:
        """Count the picks of some events."""
        place = ((picks.residual_s / self.reach_s + 1) / 2 * N_BINS).astype(np.int64)
        np.add.at(self.counts, (picks.station, picks.phase, np.clip(place, 0, N_BINS - 1)), 1)

    def quantile(self, counts: np.ndarray, share: float) -> float:
        """Of a histogram `(bin,)`, by the middle of its bin; NaN for an empty one."""
        total = int(counts.sum())
        if not total:
            return float("nan")
        return float(self.middles_s[int(np.searchsorted(np.cumsum(counts), share * total))])

    def median_absolute(self, counts: np.ndarray) -> float:
        """Median of the absolute residuals of a histogram `(bin,)`."""
        half = N_BINS // 2
        folded = counts[half:] + counts[:half][::-1]
        total = int(folded.sum())
        if not total:
            return float("nan")
        below = np.concatenate([[0], np.cumsum(folded)])
        place = np.interp(total / 2, below, np.arange(half + 1))
        return float(place * self.reach_s / half)
