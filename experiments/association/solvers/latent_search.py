"""Events and an unknown wave speed together.

Chains start at random events and random codes z of the wave speed. Each anneals: arrivals matched to picks, a damped
Gauss-Newton step of all events and the code (`exact_steps.py`), noise that falls to zero. The code is held by a prior
that is loosened as events find their places. Then, round by round, the best chains get offspring: their code gives a
table of travel times, with which events are sought afresh, one by one, as for a known wave speed (`pursuit.py`); or
some of their events are thrown again and their code is moved a little. It ends when the loss no longer falls.
"""

from collections.abc import Iterator

import numpy as np
import torch

from experiments.association.problem import Problem
from experiments.association.solvers.elite import random_chains
from experiments.association.solvers.exact_steps import CodePrior, ExactSteps
from experiments.association.solvers.joint_steps import MATCH_ALL
from experiments.association.solvers.origin_times import possible_window
from experiments.association.solvers.pick_table import pick_table
from experiments.association.solvers.pursuit import pursue_complete, pursue_incomplete
from experiments.association.solvers.search import GATE_IN_ERRORS, LEAST_ERROR_S, Search
from experiments.association.solvers.time_table import node_times, time_table

SEARCH_NODES = 21
FIRST_PRIOR_S = 0.5
FIRST_GATE_S = 2.0
FITTED_SHARE = 0.4
"""Of a field's error: what is left of it when the code is fitted to the picks themselves."""
N_ELITE = 6
N_SOUGHT_AFRESH = 3
SAME = 1e-4


class LatentSearch:
    """The state of a search: an elite of events and codes.

    Args:
        problem: The problem; its travel times have a latent code.
        n_events: How many events there are.
        rng: Source of chance.
        n_chains: Chains at once.
        iterations: Steps of the first chains; offspring take half as many.
        n_candidates: Single events followed when events are sought afresh.
    """

    def __init__(
        self,
        problem: Problem,
        n_events: int,
        rng: np.random.Generator,
        n_chains: int = 60,
        iterations: int = 80,
        n_candidates: int = 1500,
    ) -> None:
        self._problem, self._n_events, self._rng = problem, n_events, rng
        self._n_chains, self._iterations, self._n_candidates = n_chains, iterations, n_candidates
        self._picks, self._prior = pick_table(problem), CodePrior.of(problem.travel_times)
        low, high = np.asarray(problem.travel_times.bounds_km, np.float64)
        tau = (-np.inf, np.inf) if problem.origin_time_range_s is None else problem.origin_time_range_s
        self._bounds = np.array([[*low, tau[0]], [*high, tau[1]]])
        self._everywhere = not problem.may_be_incomplete
        self.events = np.empty((0, n_events, 4))
        self.latents = np.empty((0, len(self._prior.mean)))
        self.losses = np.empty(0)

    @property
    def _gate_s(self) -> float:
        return MATCH_ALL if self._everywhere else FITTED_SHARE * self.error_s * GATE_IN_ERRORS

    @property
    def last_prior_s(self) -> float:
        """The prior's weight once events have found their places: that of Bayes' rule with errors of `error_s`."""
        return self.error_s / float(np.sqrt(self._picks.counts.sum()))

    @property
    def error_s(self) -> float:
        """Standard error of a pick against its predicted arrival, as far as known."""
        return max(self._problem.time_error_s, LEAST_ERROR_S)

    def run(self, rounds: int, patience: int = 3) -> Iterator[float]:
        """Searches; yields the best loss after each round."""
        self._anneal(*self._start(), self._iterations, FIRST_PRIOR_S, 8.0, 0.2)
        yield float(self.losses[0])
        since = 0
        for _ in range(rounds):
            before = float(self.losses[0])
            self._anneal(*self._offspring(), self._iterations // 2, self.last_prior_s, 2.0, 0.1)
            yield float(self.losses[0])
            since = 0 if self.losses[0] < before * (1.0 - 10 * SAME) else since + 1
            if since >= patience:
                return

    def _start(self) -> tuple[np.ndarray, np.ndarray]:
        """Random events and codes; origin times such that each chain's mean arrival is the mean pick."""
        shape = (self._n_chains, self._n_events)
        low, high = self._bounds[:, :3]
        positions_km = self._rng.uniform(low, high, (*shape, 3))
        codes = self._prior.mean + self._prior.sd * self._rng.standard_normal((self._n_chains, len(self._prior.mean)))
        codes = np.clip(codes, *self._prior.bounds)
        if self._problem.origin_time_range_s is not None:
            times_s = self._rng.uniform(*self._problem.origin_time_range_s, shape)
        else:
            with torch.no_grad():
                travel_s = self._problem.travel_times.times(
                    torch.from_numpy(positions_km),
                    self._problem.channels,
                    torch.from_numpy(codes)[:, None].expand(*shape, -1),
                ).numpy()
            mean_pick_s = np.mean([row[:n].mean() for row, n in zip(*self._picks, strict=True) if n])
            times_s = mean_pick_s - travel_s.mean(axis=(1, 2))[:, None] + self._rng.uniform(-0.7, 0.7, shape)
        return np.concatenate([positions_km, times_s[..., None]], axis=-1), codes

    def _anneal(
        self, events: np.ndarray, codes: np.ndarray, iterations: int, prior_s: float, noise_km: float, noise_s: float
    ) -> None:
        """Runs new chains and takes the best of all into the elite."""
        chains = ExactSteps(self._problem, self._picks, events, codes, self._bounds, self._prior)
        for i in range(iterations):
            fall = max(0.0, 1.0 - 1.5 * i / iterations) ** 2
            held_s = self.last_prior_s * (prior_s / self.last_prior_s) ** fall
            gate_s = self._gate_s if self._everywhere else max(self._gate_s, FIRST_GATE_S * fall)
            chains.step(gate_s, 1e-3 + 0.3 * fall, held_s)
            if fall > 0.0:
                chains.shake(noise_km * fall, noise_s * fall, self._rng)
        losses = np.concatenate([self.losses, chains.losses(self._gate_s)])
        kept: list[int] = []
        for i in np.argsort(losses):
            if len(kept) < N_ELITE and (not kept or losses[i] > losses[kept[-1]] * (1.0 + SAME)):
                kept.append(int(i))
        self.losses = losses[kept]
        self.events = np.concatenate([self.events, chains.events])[kept]
        assert chains.latents is not None
        self.latents = np.concatenate([self.latents, chains.latents])[kept]

    def search_at(self, code: np.ndarray, error_s: float) -> Search:
        """A search with the wave speed of this code."""
        table, _ = time_table(self._problem, code, SEARCH_NODES)
        nodes = node_times(table, SEARCH_NODES)
        window_s = self._problem.origin_time_range_s or possible_window(nodes, self._picks, self._everywhere)
        return Search(table, nodes, self._picks, window_s, error_s, self._everywhere)

    def _offspring(self) -> tuple[np.ndarray, np.ndarray]:
        """Events sought afresh with the elite's codes, then the elite with some events thrown again."""
        rng, events, codes = self._rng, [], []
        pool = np.empty((0, 4))
        for i in range(min(N_SOUGHT_AFRESH, len(self.events))):
            search = self.search_at(self.latents[i], max(self.error_s, float(self.losses[i])))
            if self._everywhere:
                found = pursue_complete(search, self._n_events, rng, self._n_candidates)
            else:
                found = pursue_incomplete(search, self._n_events, rng, self._n_candidates, max_rounds=4)
            lacking = self._n_events - len(found)
            events.append(np.concatenate([found, random_chains(search, 1, lacking, rng)[0]]))
            codes.append(self.latents[i])
            if i == 0:
                pool = search.candidates(self._picks, self._n_candidates, rng).events[: 40 * self._n_events]
        low, high = self._bounds[:, :3]
        while len(events) < self._n_chains:
            parent = min(int(rng.exponential(N_ELITE / 3)), len(self.events) - 1)
            child, code = self.events[parent].copy(), self.latents[parent].copy()
            n_thrown = min(self._n_events, 1 + int(rng.exponential(0.2 * self._n_events)))
            thrown = rng.choice(self._n_events, n_thrown, replace=False)
            kind = rng.random()
            if kind < 0.4 and len(pool):
                child[thrown] = pool[np.minimum(rng.exponential(len(pool) / 5, n_thrown).astype(int), len(pool) - 1)]
            elif kind < 0.6:
                child[thrown, :3] = rng.uniform(low, high, (n_thrown, 3))
            elif kind < 0.8:
                child[thrown] += rng.standard_normal((n_thrown, 4)) * np.array([10.0, 10.0, 10.0, 0.3])
            else:
                child += rng.standard_normal(child.shape) * np.array([3.0, 3.0, 3.0, 0.1])
            far = rng.choice([0.0, 0.15, 0.3, 0.6])
            events.append(np.clip(child, self._bounds[0], self._bounds[1]))
            codes.append(np.clip(code + far * self._prior.sd * rng.standard_normal(len(code)), *self._prior.bounds))
        return np.stack(events), np.stack(codes)
