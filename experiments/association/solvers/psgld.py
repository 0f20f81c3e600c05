"""The paper's solver: preconditioned stochastic gradient Langevin dynamics (Sections 2.5 and 5.3, Eq. 12).

Every chain holds hypocentres s, origin times tau and, for an unknown wave speed, its latent code z, and moves by

    theta <- theta - eta G dW + sqrt(2 eta G) epsilon xi,

with dW the gradient of the transport misfit at a few stations drawn anew each step, xi standard normal, and G = 1 over
the root of the running mean of dW^2, the RMSProp preconditioner of Li et al. (2016); G = 1 gives Eq. 12 as printed. A
chain whose misfit over all stations falls under the threshold goes on with smaller steps; one that has not after so
many epochs starts anew, up to ten times. `sgd` is the same without noise.

As in the paper's program, lengths are in units of the volume's longest side (there 100 km), z runs from 0 to 1, the
misfit is the squared, unrooted W_2, and times are in units that make the wave speed about 1 (there 10 s). Thresholds
are in seconds. Ours are: all chains in one array, a step of all of them costing little more than of one; the gradient
in closed form; two stations a step where the program has one (`stations_per_step`); steps that go on shrinking once
the threshold is passed (`settle`); a dustbin where picks may be missing or spurious.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from experiments.association.problem import Events, Problem
from experiments.association.solvers.psgld_misfit import misfit_and_gradient, misfit_and_gradient_by_pot
from experiments.association.solvers.psgld_start import Scales, draw_starts, scales_of
from experiments.association.solvers.psgld_step import gradient_by_events, move
from experiments.association.solvers.solver import Estimate
from experiments.association.transport import ArrivalSets

Transport = Literal["sorted", "pot"]


@dataclass(frozen=True)
class PreconditionedSGLD:
    """Preconditioned SGLD.

    Args:
        chains: Chains at once; the best is returned.
        learning_rate: eta; 0.01 in the paper's program, {1e-2, 5e-3, 1e-3, 1e-4} in its text.
        noise: epsilon, on the same grid; 0 for stochastic gradient descent.
        threshold_s: Root mean square misfit under which a chain's steps shrink (l*: 1e-4 in the paper's units is
            0.1 s); by default `threshold_in_errors` standard errors, not below what steps of this size can reach.
        threshold_in_errors: See `threshold_s`.
        decay: Factor on learning rate and noise there; 0.1 in the paper, 1 for none.
        settle: Further factor that the refinement approaches geometrically; 1 for none.
        restarts: How often a chain may start in all; 10 in the text.
        patience_epochs: Epochs after which a chain above the threshold starts anew; 30 to 50 in the paper's program.
        refine_epochs: Epochs after the threshold; 50 to 100 in the paper's program.
        steps_per_epoch: Steps between looks at the misfit over all stations.
        stations_per_step: Stations drawn for a step; their phases come together.
        preconditioned: Whether G is RMSProp's; otherwise 1.
        smoothing: RMSProp's alpha.
        pretrain_times: Whether origin times alone move in the first epochs, for events far apart in time.
        pretrain_epochs: How many epochs.
        transport: `sorted`, or `pot` for the paper's one POT problem after another.
        p: Power of the transport cost.
        rooted: Whether misfits are rooted, as Eq. 10 has it.
        reach_s: Where picks may be missing or spurious, how far a pick may be from its arrival while chains explore;
            infinite for the paper's forced matching. It shrinks in the refinement, to `reach_in_errors` at most.
        reach_in_errors: Standard errors within which a pick belongs to an arrival, in the end.
    """

    chains: int = 200
    learning_rate: float = 1e-2
    noise: float = 1e-3
    threshold_s: float | None = None
    threshold_in_errors: float = 3.0
    decay: float = 0.2
    settle: float = 0.005
    restarts: int = 10
    patience_epochs: int = 40
    refine_epochs: int = 30
    steps_per_epoch: int = 100
    stations_per_step: int = 2
    preconditioned: bool = True
    smoothing: float = 0.99
    pretrain_times: bool = False
    pretrain_epochs: int = 5
    transport: Transport = "sorted"
    p: float = 2.0
    rooted: bool = False
    reach_s: float = 0.7
    reach_in_errors: float = 8.0

    def solve(self, problem: Problem, seed: int = 0, progress: bool = False) -> Estimate:
        """Solve; the same seed gives the same estimate, and starts do not depend on the solver's settings.

        Args:
            problem: The problem, with its number of events given.
            seed: Of starts, station draws and noise, which have a stream each.
            progress: Whether to show a bar.

        Raises:
            ValueError: When the number of events is not given.
        """
        if problem.n_events is None:
            raise ValueError("psgld and sgd need the number of events; give it (--events), or use gauss_newton.")
        return _Run(self, problem, problem.n_events, seed).estimate(progress)


def sgd(**settings: Any) -> PreconditionedSGLD:
    """Stochastic gradient descent: the same solver without noise (Section 5.4); takes the same settings."""
    return PreconditionedSGLD(**{**settings, "noise": 0.0})


class _Run:
    """One solve: the state of all chains."""

    def __init__(self, settings: PreconditionedSGLD, problem: Problem, n_events: int, seed: int) -> None:
        self.settings, self.problem, self.n_events = settings, problem, n_events
        start, draws, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
        self.start_rng, self.draw_rng, self.noise_rng = start, draws, noise
        self.scales: Scales = scales_of(problem)
        self.sets = ArrivalSets.of([problem.picks.time_s[picks] for picks in problem.picks_of_channel])
        self.channels_of_station = [
            np.flatnonzero(problem.channels[:, 0] == station) for station in np.unique(problem.channels[:, 0])
        ]
        incomplete = problem.may_be_incomplete and settings.transport == "sorted"
        self.first_reach_s = settings.reach_s if incomplete else np.inf
        self.last_reach_s = min(self.first_reach_s, settings.reach_in_errors * problem.time_error_s)
        # Steps of learning rate eta keep every unknown moving by about eta: that much misfit never goes away.
        floor_s = settings.learning_rate * self.scales.time_s if settings.preconditioned else 0.0
        by_errors_s = settings.threshold_in_errors * problem.time_error_s
        self.threshold_s = max(by_errors_s, floor_s) if settings.threshold_s is None else settings.threshold_s
        self.unknowns = draw_starts(self.start_rng, problem, self.scales, settings.chains, n_events)
        self.mean_square = np.zeros_like(self.unknowns)
        self.limits = self.scales.limits(n_events)
        chains = settings.chains
        self.age = np.zeros(chains, np.int64)  # epochs since the chain's start
        self.refined = np.full(chains, -1, np.int64)  # epochs of refinement, -1 while exploring
        self.starts = np.ones(chains, np.int64)
        self.best_loss = np.inf
        self.best: np.ndarray = self.unknowns[0].copy()
        self.history: list[np.ndarray] = []
        self.losses: list[np.ndarray] = []
        self.best_chain = 0

    def _evaluate(
        self, unknowns: np.ndarray, channels: np.ndarray, reach_s: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray | None]]:
        """Misfit `(chain, channel)`, its gradient by arrival, and the arrivals' derivatives."""
        positions_km, origin_s, latent = self.scales.physical(unknowns, self.n_events)
        times_s, by_position, by_latent = self.problem.travel_times.times_and_derivatives(
            torch.from_numpy(positions_km),
            self.problem.channels[channels],
            None if latent is None else torch.from_numpy(latent[:, None]),
        )
        arrivals_s = np.swapaxes(times_s.numpy() + origin_s[..., None], 1, 2)
        sets = self.sets[torch.from_numpy(channels)]
        settings = self.settings
        if settings.transport == "pot":
            misfit, by_arrival = misfit_and_gradient_by_pot(arrivals_s, sets, settings.p, settings.rooted)
        else:
            misfit, by_arrival = misfit_and_gradient(arrivals_s, sets, settings.p, reach_s, settings.rooted)
        return misfit, by_arrival, (by_position.numpy(), None if by_latent is None else by_latent.numpy())

    def _gradient(self, channels: np.ndarray, reach_s: float) -> np.ndarray:
        """Gradient of the misfit, averaged over the channels drawn, by the scaled unknowns."""
        _, by_arrival, (by_position, by_latent) = self._evaluate(self.unknowns, channels, reach_s)
        gradient = np.empty_like(self.unknowns)
        unit = self.scales.time_s ** (1.0 if self.settings.rooted else self.settings.p) * len(channels)
        length, time = self.scales.length_km / unit, self.scales.time_s / unit
        gradient_by_events(by_arrival, by_position, length, time, gradient)
        if by_latent is not None:
            by_code = np.einsum("bce,becl->bl", by_arrival, by_latent)
            gradient[:, 4 * self.n_events :] = by_code * self.scales.latent_width / unit
        return gradient

    def _step(self, rate: np.ndarray, noise: np.ndarray, reach_s: float, moving: np.ndarray) -> None:
        settings = self.settings
        n_drawn = min(settings.stations_per_step, len(self.channels_of_station))
        drawn = self.draw_rng.choice(len(self.channels_of_station), n_drawn, replace=False)
        channels = np.concatenate([self.channels_of_station[station] for station in drawn])
        nothing = np.empty((0, 0))
        move(
            self.unknowns,
            self._gradient(channels, reach_s),
            self.mean_square if settings.preconditioned else nothing,
            settings.smoothing,
            rate,
            noise,
            self.noise_rng.standard_normal(self.unknowns.shape) if settings.noise > 0.0 else nothing,
            moving,
            *self.limits,
        )

    def _epoch(self) -> None:
        """One epoch of all chains, whose steps are of their own size."""
        settings = self.settings
        refining = self.refined >= 0
        phase = self.refined / max(settings.refine_epochs, 1)
        factor = np.where(refining, settings.decay * settings.settle ** np.clip(phase, 0.0, 1.0), 1.0)
        reach_s = self.first_reach_s
        if refining.any() and np.isfinite(reach_s):
            reach_s *= (self.last_reach_s / reach_s) ** min(1.0, 2.0 * float(phase.max()))
        moving = np.ones(self.unknowns.shape[1], bool)
        if settings.pretrain_times and int(self.age.max()) < settings.pretrain_epochs:
            moving[:] = False
            moving[3 : 4 * self.n_events : 4] = True
        for _ in range(settings.steps_per_epoch):
            self._step(factor * settings.learning_rate, factor * settings.noise, reach_s, moving)

    def _rms_s(self, reach_s: float) -> np.ndarray:
        """Root mean square misfit of every chain over all channels, seconds."""
        misfit, _, _ = self._evaluate(self.unknowns, np.arange(len(self.problem.channels)), reach_s)
        if self.settings.rooted:
            misfit = misfit**self.settings.p
        rms_s: np.ndarray = np.asarray(misfit.mean(axis=1)) ** (1.0 / self.settings.p)
        return rms_s

    def estimate(self, progress: bool) -> Estimate:
        from tqdm import tqdm

        settings = self.settings
        longest = settings.restarts * settings.patience_epochs + settings.refine_epochs
        for _ in tqdm(range(longest), desc="psgld" if settings.noise else "sgd", disable=not progress):
            self._epoch()
            self.age += 1
            self.refined[self.refined >= 0] += 1
            loss_s = self._rms_s(self.first_reach_s)
            self.history.append(self.unknowns[:, : 4 * self.n_events].astype(np.float32))
            self.losses.append(loss_s)
            if self._keep_best(loss_s) or (self.refined >= settings.refine_epochs).any():
                break
            self.refined[(loss_s < self.threshold_s) & (self.refined < 0)] = 0
            if np.isfinite(self.first_reach_s) and int(self.age.max()) >= settings.patience_epochs:
                # Unmatched picks hold the misfit up by an unknown amount: the best of the chains are good enough.
                self.refined[(loss_s <= np.quantile(loss_s, 0.25)) & (self.refined < 0)] = 0
            self._restart()
        positions_km, origin_s, latent = self.scales.physical(self.best[None], self.n_events)
        order = np.argsort(origin_s[0], kind="stable")
        track = np.stack(self.history)[:, self.best_chain].reshape(-1, self.n_events, 4)[:, order, :3]
        return Estimate(
            events=Events(positions_km[0, order], origin_s[0, order]),
            latent=None if latent is None else latent[0],
            loss=float(self.best_loss),
            trace={
                "positions_km": track * self.scales.length_km + self.scales.origin_km,
                "loss": np.stack(self.losses)[:, self.best_chain],
            },
        )

    def _keep_best(self, loss_s: np.ndarray) -> bool:
        """Remembers the best state so far; whether it cannot get better than rounding."""
        chain = int(np.argmin(loss_s))
        if loss_s[chain] < self.best_loss:
            self.best_loss, self.best, self.best_chain = float(loss_s[chain]), self.unknowns[chain].copy(), chain
        return self.best_loss < 1e-9

    def _restart(self) -> None:
        late = (self.refined < 0) & (self.age >= self.settings.patience_epochs) & (self.starts < self.settings.restarts)
        if late.any():
            fresh = draw_starts(self.start_rng, self.problem, self.scales, int(late.sum()), self.n_events)
            self.unknowns[late], self.mean_square[late] = fresh, 0.0
            self.age[late] = 0
            self.starts[late] += 1
