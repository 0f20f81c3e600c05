"""Units in which Langevin dynamics walks, and where its chains start.

Origin times start within the given range and stay there; without one they start in the likely window
(`origin_times.py`) and are free.
"""

from dataclasses import dataclass

import numpy as np
import torch

from experiments.association.problem import Problem
from experiments.association.solvers.origin_times import origin_time_window

N_SAMPLES = 512  # points in the volume by which its travel times are judged


@dataclass(frozen=True)
class Scales:
    """Units of the unknowns; a chain is a row of event by event (x, y, z, origin time), then the latent code.

    Args:
        length_km: Unit of length, the volume's longest side.
        origin_km: `(3,)`, where lengths start.
        highest: `(3,)`, the volume's far corner in units of length.
        time_s: Unit of time.
        zero_s: Origin time that counts as 0.
        range_s: Earliest and latest origin time, where given.
        latent_lowest: `(n_latent,)`.
        latent_width: `(n_latent,)`.
        start_s: Half-width of the origin times' starts about `zero_s`.
    """

    length_km: float
    origin_km: np.ndarray
    highest: np.ndarray
    time_s: float
    zero_s: float
    range_s: tuple[float, float] | None
    latent_lowest: np.ndarray
    latent_width: np.ndarray
    start_s: float

    def physical(self, unknowns: np.ndarray, n_events: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Positions `(chain, event, 3)` km, origin times `(chain, event)` s and codes `(chain, n_latent)` or None."""
        events = unknowns[:, : 4 * n_events].reshape(len(unknowns), n_events, 4)
        positions_km = self.origin_km + self.length_km * events[..., :3]
        latent = self.latent_lowest + self.latent_width * unknowns[:, 4 * n_events :]
        return positions_km, self.zero_s + self.time_s * events[..., 3], latent if latent.shape[1] else None

    def limits(self, n_events: int) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value of every unknown: the volume, the given range of origin times, that of the code."""
        earliest, latest = -np.inf, np.inf
        if self.range_s is not None:
            earliest, latest = ((time_s - self.zero_s) / self.time_s for time_s in self.range_s)
        n_latent = len(self.latent_lowest)
        lowest = np.concatenate([np.tile([0.0, 0.0, 0.0, earliest], n_events), np.zeros(n_latent)])
        return lowest, np.concatenate([np.tile([*self.highest, latest], n_events), np.ones(n_latent)])


def scales_of(problem: Problem) -> Scales:
    """The units of a problem; the same problem has the same."""
    provider = problem.travel_times
    lowest_km, highest_km = np.asarray(provider.bounds_km, np.float64)
    rng = np.random.default_rng(0)
    points_km = torch.from_numpy(rng.uniform(lowest_km, highest_km, (N_SAMPLES, 3)))
    if provider.latent_bounds is None:
        code, latent_lowest, latent_width = None, np.zeros(0), np.zeros(0)
    else:
        latent_lowest, latent_width = provider.latent_bounds[0], np.ptp(provider.latent_bounds, axis=0)
        drawn = rng.uniform(provider.latent_bounds[0], provider.latent_bounds[1], (N_SAMPLES, provider.n_latent))
        code = torch.from_numpy(drawn)
    with torch.no_grad():
        times_s = provider.times(points_km, problem.channels, code).numpy()
    length_km = float((highest_km - lowest_km).max())
    # Twice the mean travel time is what a wave needs for about the volume's side.
    time_s = 2.0 * float(times_s.mean())
    earliest_s, latest_s = origin_time_window(problem)
    return Scales(
        length_km,
        lowest_km,
        (highest_km - lowest_km) / length_km,
        time_s,
        (earliest_s + latest_s) / 2,
        problem.origin_time_range_s,
        latent_lowest,
        latent_width,
        (latest_s - earliest_s) / 2,
    )


def draw_starts(rng: np.random.Generator, problem: Problem, scales: Scales, chains: int, n_events: int) -> np.ndarray:
    """Uniform starts in volume, origin times and latent code: `(chain, 4 events + n_latent)`, in units."""
    events = np.empty((chains, n_events, 4))
    events[..., :3] = rng.uniform(0.0, 1.0, (chains, n_events, 3)) * scales.highest
    events[..., 3] = rng.uniform(-1.0, 1.0, (chains, n_events)) * scales.start_s / scales.time_s
    latent = rng.uniform(0.0, 1.0, (chains, problem.travel_times.n_latent))
    return np.concatenate([events.reshape(chains, -1), latent], axis=1)
