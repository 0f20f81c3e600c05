"""An association problem: stations, picks, what is known of the travel times; and its solution.

Units are km, s and km/s; x, y horizontal, z down. Times have an arbitrary zero. The paper's Section 2.1, with any
number of picks at a station, P and S phases, and events that may be unknown in number.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from experiments.association.travel_times.provider import TravelTimes

UNASSOCIATED = -1


@dataclass(frozen=True)
class Stations:
    """Where the ground is listened to.

    Args:
        ids: Name of each station.
        positions_km: `(station, 3)`.
    """

    ids: tuple[str, ...]
    positions_km: np.ndarray


@dataclass(frozen=True)
class Picks:
    """Phase arrivals, in any order.

    Args:
        station: `(pick,)` int, index of its station.
        phase: `(pick,)` int, 0 for P, 1 for S.
        time_s: `(pick,)` float64, seconds.
    """

    station: np.ndarray
    phase: np.ndarray
    time_s: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True)
class Events:
    """Earthquakes: hypocentres and origin times.

    Args:
        positions_km: `(event, 3)`.
        times_s: `(event,)`, on the clock of the picks.
    """

    positions_km: np.ndarray
    times_s: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    def rows(self) -> np.ndarray:
        """`(event, 4)`: x, y, z (km), tau (s)."""
        return np.concatenate([self.positions_km, self.times_s[:, None]], axis=1)


@dataclass(frozen=True)
class Problem:
    """Picks to be associated.

    Args:
        stations: The stations.
        picks: The picks.
        travel_times: Times from any point to the stations.
        n_events: How many events there are; None to have them found.
        origin_time_range_s: Earliest and latest origin time; None to have them inferred from picks and travel times.
        pick_noise_s: Standard error of a pick, seconds; thresholds are relative to it and the travel times' own error.
        may_be_incomplete: Whether picks may be missing or spurious. False promises that every event has one pick in
            every channel and that there are no others.
    """

    stations: Stations
    picks: Picks
    travel_times: TravelTimes
    n_events: int | None = None
    origin_time_range_s: tuple[float, float] | None = None
    pick_noise_s: float = 0.01
    may_be_incomplete: bool = True

    @cached_property
    def channels(self) -> np.ndarray:
        """`(channel, 2)` int: station and phase of each channel with picks, ascending."""
        return np.unique(np.stack([self.picks.station, self.picks.phase], axis=1), axis=0)

    @cached_property
    def picks_of_channel(self) -> list[np.ndarray]:
        """For each channel, indices of its picks in order of time."""
        pairs = np.stack([self.picks.station, self.picks.phase], axis=1)
        found = []
        for channel in self.channels:
            mine = np.flatnonzero((pairs == channel).all(axis=1))
            found.append(mine[np.argsort(self.picks.time_s[mine], kind="stable")])
        return found

    @property
    def time_error_s(self) -> float:
        """Standard error of a pick against a travel time of the true source, seconds."""
        return float(np.hypot(self.pick_noise_s, self.travel_times.error_s))


@dataclass(frozen=True)
class Association:
    """The solution of a problem.

    Args:
        events: Estimated earthquakes, in order of time.
        event_of_pick: `(pick,)` int, index of each pick's event, -1 for none.
        residuals_s: `(pick,)`, pick minus predicted arrival; NaN for unassociated picks.
        position_errors_km: `(event, 3)`, standard errors; NaN where the picks do not determine them.
        time_errors_s: `(event,)`, standard errors.
        latent: `(n_latent,)`, estimated latent code of the wave speed; None where that is known. Longer where a
            tomography went on from the code: the numbers of the wave speed that it came to follow.
        loss: What the solver minimised, at the solution; its unit is seconds (root mean square misfit of arrivals).
        cpu_s: Process time of the solve.
        trace: What a solver recorded on the way: `positions_km (iteration, event, 3)`, `loss (iteration,)`.
    """

    events: Events
    event_of_pick: np.ndarray
    residuals_s: np.ndarray
    position_errors_km: np.ndarray
    time_errors_s: np.ndarray
    latent: np.ndarray | None = None
    loss: float = float("nan")
    cpu_s: float = 0.0
    trace: dict[str, np.ndarray] = field(default_factory=dict)
