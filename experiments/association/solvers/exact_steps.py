"""Gauss-Newton with a provider's own times, for any provider, the wave speed's latent code joined in.

Events are tied to one another only through the code z: the normal equations are an arrow, and the Schur complement on z
leaves 4 x 4 systems (one an event) and one of z's length. Chains are batched.
"""

from typing import NamedTuple

import numpy as np
import torch

from experiments.association.problem import Problem
from experiments.association.solvers.joint_steps import LONGEST_STEP_KM, MATCH_ALL
from experiments.association.solvers.matching import match_all, match_within, sort_by_time
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.time_table import compiled
from experiments.association.travel_times.provider import TravelTimes


def _match_chains(
    arrivals: np.ndarray, picks: PickTable, gate: float, order: np.ndarray, residuals: np.ndarray
) -> None:
    """Fills `residuals` from `arrivals`, both `(chain, channel, event)`; NaN where an event has no pick."""
    n_events = arrivals.shape[2]
    cost = np.empty((n_events + 1, picks.times_s.shape[1] + 1))
    pick_of_event = np.empty(n_events, np.int64)
    for chain in range(len(arrivals)):
        for c in range(len(picks.counts)):
            sort_by_time(arrivals[chain, c], order[chain, c])
            if gate > 0.0:
                match_within(
                    arrivals[chain, c], order[chain, c], picks.times_s[c], picks.counts[c], gate, cost, pick_of_event
                )
            else:
                match_all(order[chain, c], picks.counts[c], pick_of_event)
            for e in range(n_events):
                p = pick_of_event[e]
                residuals[chain, c, e] = picks.times_s[c, p] - arrivals[chain, c, e] if p >= 0 else np.nan


match_chains = compiled(_match_chains)


class CodePrior(NamedTuple):
    """What is known of the wave speed's code beforehand.

    Args:
        mean: `(n_latent,)`.
        sd: `(n_latent,)`.
        bounds: `(2, n_latent)`.
    """

    mean: np.ndarray
    sd: np.ndarray
    bounds: np.ndarray

    @staticmethod
    def of(travel_times: TravelTimes) -> "CodePrior":
        """A provider's own (`latent_mean`, `latent_sd`), or the middle and half of the half of its bounds."""
        bounds = np.asarray(travel_times.latent_bounds, np.float64).reshape(2, -1)
        mean = getattr(travel_times, "latent_mean", None)
        sd = getattr(travel_times, "latent_sd", None)
        return CodePrior(
            bounds.mean(axis=0) if mean is None else np.asarray(mean, np.float64),
            0.25 * (bounds[1] - bounds[0]) if sd is None else np.asarray(sd, np.float64),
            bounds,
        )


class ExactSteps:
    """Gauss-Newton steps of chains of events, and of the code of an unknown wave speed.

    Args:
        problem: The problem.
        picks: Its picks.
        events: `(chain, event, 4)`; changed by the steps.
        latents: `(chain, n_latent)`; None where the wave speed is known.
        bounds: `(2, 4)`, of x, y, z, tau.
        prior: What codes are likely; None where the wave speed is known.
    """

    def __init__(
        self,
        problem: Problem,
        picks: PickTable,
        events: np.ndarray,
        latents: np.ndarray | None,
        bounds: np.ndarray,
        prior: CodePrior | None = None,
    ) -> None:
        self._problem, self._picks, self._bounds, self._prior = problem, picks, bounds, prior
        self.events, self.latents = events, latents
        self._order = np.broadcast_to(
            np.arange(events.shape[1]), (len(events), len(picks.counts), events.shape[1])
        ).copy()

    def _evaluate(self, gate_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residuals `(chain, event, channel)`, derivatives by event `(..., 4)` and by code `(..., n_latent)`."""
        latents = None
        if self.latents is not None:
            n_chains, n_events = self.events.shape[:2]
            latents = torch.from_numpy(np.ascontiguousarray(self.latents))[:, None].expand(n_chains, n_events, -1)
        with torch.no_grad():
            times_s, by_position, by_latent = self._problem.travel_times.times_and_derivatives(
                torch.from_numpy(np.ascontiguousarray(self.events[..., :3])), self._problem.channels, latents
            )
        arrivals = np.ascontiguousarray((times_s.numpy() + self.events[..., 3:]).swapaxes(1, 2))
        residuals = np.empty_like(arrivals)
        match_chains(arrivals, self._picks, gate_s, self._order, residuals)
        by_event = np.concatenate([by_position.numpy(), np.ones((*times_s.shape, 1))], axis=-1)
        by_code = np.empty((*times_s.shape, 0)) if by_latent is None else by_latent.numpy()
        return residuals.swapaxes(1, 2), by_event, by_code

    def losses(self, gate_s: float) -> np.ndarray:
        """`(chain,)`, root mean square misfit, seconds; an event without a pick counts a gate."""
        residuals, _, _ = self._evaluate(gate_s)
        return _losses(residuals, gate_s)

    def misfits(self, gate_s: float) -> np.ndarray:
        """`(chain,)`, root mean square of matched picks minus arrivals, seconds; 0 where nothing is matched."""
        residuals, _, _ = self._evaluate(gate_s)
        has = np.isfinite(residuals)
        squares = np.where(has, residuals, 0.0) ** 2
        return np.asarray(np.sqrt(squares.sum(axis=(1, 2)) / np.maximum(has.sum(axis=(1, 2)), 1)))

    def n_matched(self, gate_s: float) -> list[int]:
        """By chain, arrivals that have a pick within the gate."""
        residuals, _, _ = self._evaluate(gate_s)
        return [int(n) for n in np.isfinite(residuals).sum(axis=(1, 2))]

    def shake(self, noise_km: float, noise_s: float, rng: np.random.Generator) -> None:
        """Adds noise to positions and origin times."""
        spread = np.array([noise_km, noise_km, noise_km, noise_s])
        moved = self.events + spread * rng.standard_normal(self.events.shape)
        self.events = np.clip(moved, self._bounds[0], self._bounds[1])

    def step(self, gate_s: float, damping: float, prior_s: float = 0.0) -> np.ndarray:
        """One step of all chains.

        Args:
            gate_s: As in `take_steps`.
            damping: Of the events' diagonals; a sixth of it of the code's.
            prior_s: Weight of the code's prior: one standard deviation costs as much as a residual of so many seconds
                at every pick.

        Returns:
            `(chain,)`, losses before the step, seconds.
        """
        residuals, by_event, by_code = self._evaluate(gate_s)
        has = np.isfinite(residuals)
        r = np.where(has, residuals, 0.0)
        weighted = by_event * has[..., None]
        normal = weighted.swapaxes(-1, -2) @ by_event
        diagonal = np.einsum("...ii->...i", normal)
        diagonal[:] = diagonal * (1.0 + damping) + 1e-9
        right = (weighted * r[..., None]).sum(axis=-2)
        if self.latents is None or self._prior is None:
            change = np.linalg.solve(normal, right[..., None])[..., 0]
        else:
            cross = weighted.swapaxes(-1, -2) @ by_code
            both = np.linalg.solve(normal, np.concatenate([right[..., None], cross], axis=-1))
            by_code_weighted = by_code * has[..., None]
            shared = (by_code_weighted.swapaxes(-1, -2) @ by_code).sum(axis=1)
            wanted = (by_code_weighted * r[..., None]).sum(axis=(1, 2))
            precision = has.sum(axis=(1, 2))[:, None] * (prior_s / self._prior.sd) ** 2
            wanted += precision * (self._prior.mean - self.latents)
            schur = shared - (cross.swapaxes(-1, -2) @ both[..., 1:]).sum(axis=1)
            on_code = np.einsum("...ii->...i", schur)
            on_code += precision + damping / 6.0 * np.einsum("...ii->...i", shared) + 1e-12
            code = np.linalg.solve(
                schur, (wanted - (cross.swapaxes(-1, -2) @ both[..., :1]).sum(axis=1)[..., 0])[..., None]
            )
            change = (both[..., :1] - both[..., 1:] @ code[:, None])[..., 0]
            moved = self.latents + np.clip(code[..., 0], -self._prior.sd, self._prior.sd)
            self.latents = np.clip(moved, self._prior.bounds[0], self._prior.bounds[1])
        length = np.linalg.norm(change[..., :3], axis=-1, keepdims=True)
        change *= np.minimum(1.0, LONGEST_STEP_KM / np.maximum(length, 1e-12))
        # Too few picks for an event of its own: it stays, and is kept or left by others.
        change *= (has.sum(axis=-1) >= 4)[..., None]
        self.events = np.clip(self.events + change, self._bounds[0], self._bounds[1])
        return _losses(residuals, gate_s)


def _losses(residuals: np.ndarray, gate_s: float) -> np.ndarray:
    squares = np.where(np.isfinite(residuals), residuals, gate_s) ** 2
    return np.asarray(np.sqrt(squares.mean(axis=(1, 2))))


def exact_loss(
    problem: Problem, picks: PickTable, events: np.ndarray, latent: np.ndarray | None, gate_s: float
) -> float:
    """Root mean square misfit of `events (event, 4)` with the provider's own times, seconds."""
    code = None if latent is None else np.asarray(latent, np.float64)[None]
    chain = ExactSteps(problem, picks, events[None].copy(), code, np.empty((2, 4)))
    return float(chain.losses(gate_s)[0])


def n_explained(
    problem: Problem, picks: PickTable, events: np.ndarray, latent: np.ndarray | None, gate_s: float
) -> int:
    """How many arrivals of `events (event, 4)` have a pick within the gate, one to one."""
    code = None if latent is None else np.asarray(latent, np.float64)[None]
    return ExactSteps(problem, picks, events[None].copy(), code, np.empty((2, 4))).n_matched(gate_s)[0]


def settle_exactly(
    problem: Problem,
    picks: PickTable,
    events: np.ndarray,
    latent: np.ndarray | None,
    gate_s: float = MATCH_ALL,
    steps: int = 12,
    prior_s: float = 0.0,
) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Settles `events (event, 4)` with the provider's own times.

    Returns:
        Events, code and loss (seconds), the best seen.
    """
    if not len(events):
        return events, latent, 0.0
    low, high = np.asarray(problem.travel_times.bounds_km, np.float64)
    bounds = np.array([[*low, -np.inf], [*high, np.inf]])
    prior = None if latent is None else CodePrior.of(problem.travel_times)
    code = None if latent is None else np.asarray(latent, np.float64)[None].copy()
    chain = ExactSteps(problem, picks, events[None].copy(), code, bounds, prior)
    best = (events, latent, np.inf)
    for _ in range(steps):
        before, code = chain.events[0], None if chain.latents is None else chain.latents[0]
        loss = float(chain.step(gate_s, 1e-6, prior_s)[0])
        if loss < best[2]:
            best = (before, code, loss)
        elif loss < best[2] * (1.0 + 1e-9) or loss < 1e-9:
            break
    return best
