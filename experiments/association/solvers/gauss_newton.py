"""The default solver: events by back-projection, settled together by Gauss-Newton, bettered by re-randomisation.

The loss is the paper's (Eq. 10, squared and unrooted: W2^2 between arrivals and picks, summed over stations). Its many
poor minima are a trap for descents that move all events at once from random starts. So events are sought one by one
first, where they stand out in a stack over all places and origin times (`pursuit.py`), and only then settle together.
Where every event has a pick in every channel, the best solutions then have some events thrown again, annealed and
settled, for as long as that helps (`elite.py`).
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from tqdm import tqdm

from experiments.association.event_count import LEAST_EVIDENCE
from experiments.association.problem import Events, Problem
from experiments.association.solvers.back_projection import Candidates
from experiments.association.solvers.elite import SETTLING_STEPS, anneal, improve, random_chains
from experiments.association.solvers.exact_steps import exact_loss, n_explained, settle_exactly
from experiments.association.solvers.joint_steps import MATCH_ALL, explain
from experiments.association.solvers.latent_search import LatentSearch
from experiments.association.solvers.origin_times import likely_window, possible_window
from experiments.association.solvers.pick_table import PickTable, pick_table
from experiments.association.solvers.posterior_mean import posterior_mean
from experiments.association.solvers.pursuit import prune, pursue_complete, pursue_incomplete
from experiments.association.solvers.search import GATE_IN_ERRORS, LEAST_ERROR_S, Search
from experiments.association.solvers.solver import Estimate
from experiments.association.solvers.time_table import node_times, time_table
from experiments.association.solvers.tomography import tomography
from experiments.association.travel_times.field import FieldTravelTimes

MOST_EVENTS = 128
"""With more events than these, throwing a few of them again costs more than it wins."""
COLD_NOISE_KM, COLD_NOISE_S, N_COLD = 10.0, 0.3, 5
EXACT_S = 1e-5
"""A loss below this is rounding: the solution is taken as it is."""
ENOUGH_EXPLAINED = 0.85
"""Of the picks, or of the arrivals that events should have: a wave speed that leaves more unexplained is not the true
one. Of ten solves the right ones explained .93 and more of the picks, the others .8 and less."""


@dataclass(frozen=True)
class GaussNewton:
    """Back-projection, Gauss-Newton and elite re-randomisation.

    Args:
        chains: Solutions tried in a round of re-randomisation.
        iterations: Steps of each of them.
        candidates: Single events followed in a round of back-projection.
        rounds: Rounds of re-randomisation, at most; it ends earlier when nothing was won in a few.
        tomography_rounds: Where the wave speed is unknown and the field knows its family's mixtures: how often the
            eikonal solver is asked after the search over codes, at most; 0 for codes alone, as in the paper.
        starts: Where the wave speed is unknown: searches from new random codes, at most, while what was found leaves
            too many picks unexplained.
    """

    chains: int = 50
    iterations: int = 40
    candidates: int = 3000
    rounds: int = 10
    tomography_rounds: int = 12
    starts: int = 3

    def solve(self, problem: Problem, seed: int = 0, progress: bool = False) -> Estimate:
        """Solves a problem, with the wave speed where that is unknown.

        Args:
            problem: The problem.
            seed: The same seed gives the same estimate.
            progress: Whether to show a progress bar.
        """
        rng = np.random.default_rng(seed)
        if problem.travel_times.n_latent:
            return self._unknown_speed(problem, seed, rng, progress)
        table, exact = time_table(problem)
        nodes, picks = node_times(table), pick_table(problem)
        everywhere = not problem.may_be_incomplete
        window_s = problem.origin_time_range_s or possible_window(nodes, picks, everywhere)
        search = Search(table, nodes, picks, window_s, max(problem.time_error_s, LEAST_ERROR_S), everywhere)
        if everywhere:
            n_events = int(picks.counts[0]) if problem.n_events is None else problem.n_events
            events = pursue_complete(search, n_events, rng, self.candidates)
            if len(events) < n_events:
                events = np.concatenate([events, random_chains(search, 1, n_events - len(events), rng)[0]])
        else:
            events = pursue_incomplete(search, problem.n_events, rng, self.candidates, progress=progress)
        events, trace = self._better(search, events, rng, progress)
        if not everywhere and problem.n_events is None:
            events = prune(search, events, LEAST_EVIDENCE)
        loss = explain(table, picks, events, search.loss_gate_s)[2]
        least = events
        if not exact:
            events, _, loss = settle_exactly(problem, picks, events, None, search.loss_gate_s)
        if everywhere and len(events) and loss > EXACT_S:
            # The table's mean differs from its optimum as the exact times' does from theirs.
            events = events + posterior_mean(search, least, rng) - least
            loss = exact_loss(problem, picks, events, None, search.loss_gate_s)
        events = events[np.argsort(events[:, 3], kind="stable")]
        return Estimate(Events(events[:, :3], events[:, 3]), None, loss, trace)

    def _unknown_speed(self, problem: Problem, seed: int, rng: np.random.Generator, progress: bool) -> Estimate:
        """Of several starts the one that explains most, or the first that explains enough."""
        picks, found, most = pick_table(problem), None, -1.0
        for _ in range(max(1, self.starts)):
            estimate = self._with_latent(problem, rng, progress)
            if self.tomography_rounds and isinstance(problem.travel_times, FieldTravelTimes):
                quick = partial(replace(self, rounds=min(self.rounds, 2)).solve, seed=seed)
                estimate = tomography(problem, problem.travel_times, estimate, quick, self.tomography_rounds, progress)
            share = _explained_share(problem, picks, estimate)
            if share > most:
                found, most = estimate, share
            if most >= ENOUGH_EXPLAINED:
                break
        assert found is not None
        return found

    def _with_latent(self, problem: Problem, rng: np.random.Generator, progress: bool) -> Estimate:
        picks = pick_table(problem)
        n_events = problem.n_events
        if n_events is None:
            # A first guess; once the wave speed is known about, events are counted by their evidence.
            n_events = max(1, int(np.ceil(np.median(picks.counts))))
        state = LatentSearch(problem, n_events, rng, self.chains, 2 * self.iterations, self.candidates // 2)
        path, path_losses = [], []
        with tqdm(total=self.rounds + 1, desc="events and wave speed", leave=False, disable=not progress) as bar:
            for loss in state.run(self.rounds):
                path.append(state.events[0].copy())
                path_losses.append(loss)
                bar.update()
        events, latent = state.events[0], state.latents[0]
        gate_s = MATCH_ALL
        if problem.may_be_incomplete:
            search = state.search_at(latent, state.error_s)
            gate_s = search.gate_s
            if problem.n_events is None:
                events = pursue_incomplete(search, None, rng, self.candidates)
        if len(events):
            events, latent, loss = settle_exactly(
                problem, picks, events, latent, gate_s, steps=30, prior_s=state.last_prior_s
            )
        trace = {"positions_km": np.stack(path)[..., :3], "loss": np.array(path_losses)}
        events = events[np.argsort(events[:, 3], kind="stable")]
        return Estimate(Events(events[:, :3], events[:, 3]), latent, loss, trace)

    def _cold(self, search: Search, n_events: int, rng: np.random.Generator) -> np.ndarray:
        """The best of chains annealed from random events, so that the elite is not of one descent only."""
        chains = random_chains(search, self.chains, n_events, rng)
        chains[..., 3] = rng.uniform(*likely_window(search.nodes, search.picks), chains.shape[:2])
        losses = anneal(search, chains, 2 * self.iterations, COLD_NOISE_KM, COLD_NOISE_S, rng)
        return np.asarray(chains[np.argsort(losses)[:N_COLD]])

    def _better(
        self, search: Search, events: np.ndarray, rng: np.random.Generator, progress: bool
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The events after elite re-randomisation, and the way there."""
        if not len(events):
            return events, {}
        elite = events[None].copy()
        losses = anneal(search, elite, SETTLING_STEPS, 0.0, 0.0, rng)
        path, path_losses = [elite[0].copy()], [float(losses[0])]
        if losses[0] > EXACT_S and self.rounds > 0 and len(events) <= MOST_EVENTS:
            found = search.candidates(search.picks, self.candidates, rng)
            elite = np.concatenate([elite, self._cold(search, len(events), rng)])
            kept = 64 * len(events)
            found = Candidates(found.events[:kept], found.scores[:kept])
            with tqdm(total=self.rounds, desc="re-randomising", leave=False, disable=not progress) as bar:
                for better, losses in improve(
                    search, elite, found, rng, self.chains, self.iterations, self.rounds, enough_s=EXACT_S
                ):
                    path.append(better[0].copy())
                    path_losses.append(float(losses[0]))
                    bar.update()
        return path[-1], {"positions_km": np.stack(path)[..., :3], "loss": np.array(path_losses)}


def _explained_share(problem: Problem, picks: PickTable, estimate: Estimate) -> float:
    """Pairs of pick and arrival within the gate, over the picks or over the arrivals, whichever are fewer."""
    fewer = min(int(picks.counts.sum()), len(estimate.events) * len(picks.counts))
    if not fewer:
        return 0.0
    judged = replace(problem, travel_times=estimate.travel_times or problem.travel_times)
    gate_s = GATE_IN_ERRORS * max(judged.time_error_s, LEAST_ERROR_S)
    return n_explained(judged, picks, estimate.events.rows(), estimate.latent, gate_s) / fewer
