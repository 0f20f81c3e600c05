"""Elite re-randomisation: the best solutions so far, some of their events thrown again, annealed and settled.

The number of events is fixed, so that losses compare: the squared distance of Eq. 10 where every event has a pick in
every channel, its dustbin variant (`matching.py`) where picks may be missing or spurious.
"""

from collections.abc import Iterator

import numpy as np

from experiments.association.solvers.back_projection import Candidates
from experiments.association.solvers.joint_steps import explain, take_steps
from experiments.association.solvers.search import Search

NOISE_KM, NOISE_S = 1.0, 0.05
SETTLING_STEPS = 12
THROW = np.array([8.0, 8.0, 8.0, 0.3])
"""How far an event is moved, km and s."""
SAME = 1e-6
"""Losses this close, relatively, are of the same solution."""


def anneal(
    search: Search, chains: np.ndarray, iterations: int, noise_km: float, noise_s: float, rng: np.random.Generator,
    enough_s: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Runs `chains (chain, event, 4)` in place, with noise that falls to zero at half time.

    Returns:
        `(chain,)`, losses in seconds.
    """
    fall = np.clip(1.0 - 2.0 * np.arange(iterations) / iterations, 0.0, 1.0) ** 2
    losses = np.empty(len(chains))
    take_steps(
        search.table, search.picks, chains, search.loss_gate_s * (1.0 + fall), noise_km * fall, noise_s * fall,
        1e-6 + 0.3 * fall, search.bounds, rng, enough_s, losses,
    )  # fmt: skip
    return losses


def random_chains(search: Search, n_chains: int, n_events: int, rng: np.random.Generator) -> np.ndarray:
    """`(chain, event, 4)`, uniform in space and time."""
    return np.asarray(rng.uniform(search.bounds[0], search.bounds[1], (n_chains, n_events, 4)))


def offspring(
    parents: np.ndarray, misfits: np.ndarray, candidates: Candidates, n_chains: int, rng: np.random.Generator
) -> np.ndarray:
    """Copies of parents with some events thrown again.

    Args:
        parents: `(parent, event, 4)`, best first.
        misfits: `(parent, event)`: the worse, the likelier an event is thrown again.
        candidates: Single events to throw in.
        n_chains: How many.
        rng: Source of chance.
    """
    n_events = parents.shape[1]
    which = early(len(parents), n_chains, 3, rng)
    children: np.ndarray = parents[which].copy()
    for child, parent in zip(children, which, strict=True):
        weight = misfits[parent] + 1e-12
        n_thrown = min(n_events, 1 + int(rng.exponential(0.15 * n_events)))
        thrown = rng.choice(n_events, n_thrown, replace=False, p=weight / weight.sum())
        kind = rng.random()
        if kind < 0.6 and len(candidates.events):
            child[thrown] = candidates.events[early(len(candidates.events), n_thrown, 6, rng)]
        elif kind < 0.8 and len(parents) > 1:
            # A crossing: another parent's event instead, the nearest one or the next.
            other = parents[rng.integers(len(parents))]
            distance_km = np.abs(other[None, :, :3] - child[thrown, None, :3]).sum(axis=-1)
            rank = rng.integers(0, min(2, n_events), n_thrown)
            child[thrown] = other[distance_km.argsort(axis=1)[np.arange(n_thrown), rank]]
        else:
            child[thrown] += rng.standard_normal((n_thrown, 4)) * THROW
    return children


def early(n: int, size: int, part: int, rng: np.random.Generator) -> np.ndarray:
    """`(size,)` numbers of 0 to n - 1, exponentially fewer from `n / part` on: of a list with the best first."""
    return np.asarray(np.minimum(rng.exponential(n / part, size).astype(int), n - 1))


def improve(
    search: Search,
    elite: np.ndarray,
    candidates: Candidates,
    rng: np.random.Generator,
    n_chains: int = 50,
    iterations: int = 40,
    rounds: int = 10,
    patience: int = 3,
    enough_s: float = 1e-6,
    n_elite: int = 6,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lowers the loss of an elite, round by round.

    Args:
        search: The search.
        elite: `(elite, event, 4)`, to start with.
        candidates: Single events to throw in.
        rng: Source of chance.
        n_chains: Solutions tried in a round.
        iterations: Steps of each.
        rounds: At most so many.
        patience: Rounds without gain before it ends.
        enough_s: A loss that needs no bettering.
        n_elite: How many are kept.

    Yields:
        After each round the elite, best first, and its losses in seconds.
    """
    losses = anneal(search, elite, SETTLING_STEPS, 0.0, 0.0, rng)
    since = 0
    for _ in range(rounds):
        misfits = np.stack([_misfits(search, events) for events in elite])
        children = offspring(elite, misfits, candidates, n_chains, rng)
        found = anneal(search, children, iterations, NOISE_KM, NOISE_S, rng, enough_s)
        before = float(losses.min())
        elite, losses = _best(np.concatenate([elite, children]), np.concatenate([losses, found]), n_elite)
        yield elite, losses
        since = 0 if losses[0] < before * (1.0 - SAME) else since + 1
        if losses[0] < enough_s or since >= patience:
            return


def _misfits(search: Search, events: np.ndarray) -> np.ndarray:
    """`(event,)`, mean square residual; a missing pick counts a gate."""
    residuals_s = explain(search.table, search.picks, events, search.loss_gate_s)[1]
    return np.asarray((np.where(np.isfinite(residuals_s), residuals_s, search.loss_gate_s) ** 2).mean(axis=0))


def _best(chains: np.ndarray, losses: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The `n` best that are not the same."""
    order = np.argsort(losses)
    kept = [int(order[0])]
    for i in order[1:]:
        if len(kept) < n and losses[i] > losses[kept[-1]] * (1.0 + SAME) + 1e-12:
            kept.append(int(i))
    return chains[kept], losses[kept]
