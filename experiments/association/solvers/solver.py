"""What all solvers have in common: a problem in, events out."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from experiments.association.problem import Events, Problem
from experiments.association.travel_times.provider import TravelTimes


@dataclass(frozen=True)
class Estimate:
    """What a solver found; association of the picks comes after (`associate.py`).

    Args:
        events: Estimated earthquakes.
        latent: `(n_latent,)`, latent code of the wave speed; None where that is known.
        loss: Root mean square misfit of arrivals, seconds.
        trace: As in `Association`.
        travel_times: Where the solver came to better times than the problem's, those; the picks are assigned by them.
    """

    events: Events
    latent: np.ndarray | None = None
    loss: float = float("nan")
    trace: dict[str, np.ndarray] = field(default_factory=dict)
    travel_times: TravelTimes | None = None


class Solver(Protocol):
    """Finds events, and the latent code of an unknown wave speed, that explain a problem's picks."""

    def solve(self, problem: Problem, seed: int = 0, progress: bool = False) -> Estimate:
        """Solve; the same seed gives the same estimate."""
        ...
