"""Gauss-Newton with a provider's own times, for any provider, the wave speed's latent code joined in.

Events are tied to one another only through the code z: the normal equations are an arrow, and the Schur complement on z
leaves 4 x 4 systems (one an event) and one of z's length. Chains are batched.
"""

import numpy as np
import torch

from experiments.association.problem import Problem
from experiments.association.solvers.joint_steps import LONGEST_STEP_KM, MATCH_ALL
from experiments.association.solvers.matching import match_all, match_within, sort_by_time
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.time_table import compiled


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


class ExactSteps:
    """Gauss-Newton steps of chains of events, and of the code of an unknown wave speed.

    Args:
        problem: The problem.
        picks: Its picks.
        events: `(chain, event, 4)`; changed by the steps.
        latents: `(chain, n_latent)`; None where the wave speed is known.
        bounds: `(2, 4)`, of x, y, z, tau.
        prior_s: Weight of the prior of the code: a change of the code over half its range costs as much as a residual
            of so many seconds at each pick of an event.
    """

    def __init__(
        self,
        problem: Problem,
        picks: PickTable,
        events: np.ndarray,
        latents: np.ndarray | None,
        bounds: np.ndarray,
        prior_s: float = 0.0,
    ) -> None:
        self._problem, self._picks, self._bounds = problem, picks, bounds
        self.events, self.latents = events, latents
        self._order = np.broadcast_to(
            np.arange(events.shape[1]), (len(events), len(picks.counts), events.shape[1])
        ).copy()
        self._latent_bounds = (
            None if latents is None else np.asarray(problem.travel_times.latent_bounds, np.float64).reshape(2, -1)
        )
        self._prior_s = prior_s

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

    def step(self, gate_s: float, damping: float, code_damping: float = 0.0) -> np.ndarray:
        """One step; gives the losses before it."""
        residuals, by_event, by_code = self._evaluate(gate_s)
        has = np.isfinite(residuals)
        r = np.where(has, residuals, 0.0)
        weighted = by_event * has[..., None]
        normal = weighted.swapaxes(-1, -2) @ by_event
        diagonal = np.einsum("...ii->...i", normal)
        diagonal[:] = diagonal * (1.0 + damping) + 1e-9
        right = (weighted * r[..., None]).sum(axis=-2)
        if self.latents is None or self._latent_bounds is None:
            change = np.linalg.solve(normal, right[..., None])[..., 0]
        else:
            cross = weighted.swapaxes(-1, -2) @ by_code
            both = np.linalg.solve(normal, np.concatenate([right[..., None], cross], axis=-1))
            by_code_weighted = by_code * has[..., None]
            shared = (by_code_weighted.swapaxes(-1, -2) @ by_code).sum(axis=1)
            wanted = (by_code_weighted * r[..., None]).sum(axis=(1, 2))
            half = 0.5 * (self._latent_bounds[1] - self._latent_bounds[0])
            precision = has.sum(axis=(1, 2))[:, None] * (self._prior_s / half) ** 2
            wanted += precision * (self._latent_bounds.mean(axis=0) - self.latents)
            schur = shared - (cross.swapaxes(-1, -2) @ both[..., 1:]).sum(axis=1)
            on_code = np.einsum("...ii->...i", schur)
            on_code += precision + code_damping * np.einsum("...ii->...i", shared) + 1e-12
            code = np.linalg.solve(schur, (wanted - (cross.swapaxes(-1, -2) @ both[..., :1]).sum(axis=1)[..., 0])[..., None])
            change = (both[..., :1] - both[..., 1:] @ code[:, None])[..., 0]
            moved = self.latents + np.clip(code[..., 0], -0.5 * half, 0.5 * half)
            self.latents = np.clip(moved, self._latent_bounds[0], self._latent_bounds[1])
        length = np.linalg.norm(change[..., :3], axis=-1, keepdims=True)
        change *= np.minimum(1.0, LONGEST_STEP_KM / np.maximum(length, 1e-12))
        # Too few picks for an event of its own: it stays, and is kept or left by others.
        change *= (has.sum(axis=-1) >= 4)[..., None]
        self.events = np.clip(self.events + change, self._bounds[0], self._bounds[1])
        return _losses(residuals, gate_s)


def _losses(residuals: np.ndarray, gate_s: float) -> np.ndarray:
    squares = np.where(np.isfinite(residuals), residuals, gate_s) ** 2
    return np.asarray(np.sqrt(squares.mean(axis=(1, 2))))


def settle_exactly(
    problem: Problem,
    picks: PickTable,
    events: np.ndarray,
    latent: np.ndarray | None,
    gate_s: float = MATCH_ALL,
    steps: int = 12,
) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Settles `events (event, 4)` with the provider's own times.

    Returns:
        Events, code and loss (seconds), the best seen.
    """
    if not len(events):
        return events, latent, 0.0
    low, high = np.asarray(problem.travel_times.bounds_km, np.float64)
    bounds = np.array([[*low, -np.inf], [*high, np.inf]])
    chain = ExactSteps(problem, picks, events[None].copy(), None if latent is None else latent[None].copy(), bounds)
    best = (events, latent, np.inf)
    for _ in range(steps):
        before, code = chain.events[0], None if chain.latents is None else chain.latents[0]
        loss = float(chain.step(gate_s, 1e-6)[0])
        if loss < best[2]:
            best = (before, code, loss)
        elif loss < best[2] * (1.0 + 1e-9) or loss < 1e-9:
            break
    return best
