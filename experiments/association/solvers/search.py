"""What a search works on, and what all its stages ask of it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from experiments.association.event_count import evidence
from experiments.association.solvers.back_projection import BINS_A_WIDTH, Candidates, back_project
from experiments.association.solvers.joint_steps import MATCH_ALL, explain, take_steps
from experiments.association.solvers.origin_times import Window
from experiments.association.solvers.pick_table import PickTable
from experiments.association.solvers.time_table import NodeTimes, TimeTable, derive_times

GATE_IN_ERRORS = 4.0
SETTLING_STEPS = 8
BINS_A_WINDOW = 2000
LEAST_ERROR_S = 2e-3


@dataclass(frozen=True)
class Search:
    """Travel times, picks, and how far apart they may be.

    Args:
        table: Travel times.
        nodes: The same at the nodes of the search grid.
        picks: The picks.
        window_s: Possible origin times.
        error_s: Standard error of a pick against its predicted arrival.
        everywhere: Whether every event has a pick in every channel.
    """

    table: TimeTable
    nodes: NodeTimes
    picks: PickTable
    window_s: Window
    error_s: float
    everywhere: bool

    @property
    def gate_s(self) -> float:
        """Largest residual of a pick that counts as explained."""
        return GATE_IN_ERRORS * self.error_s

    @property
    def loss_gate_s(self) -> float:
        """The gate of the loss: none where every event has a pick in every channel."""
        return MATCH_ALL if self.everywhere else self.gate_s

    @property
    def width_s(self) -> float:
        """Width of the stack's tents: the change of time from node to node, or what the picks' errors ask for."""
        return max(self.nodes.step_s, 2.5 * self.error_s)

    @property
    def bounds(self) -> np.ndarray:
        """`(2, 4)`: lowest and highest x, y, z, tau."""
        return np.column_stack([self.table.bounds_km, np.array(self.window_s)])

    def candidates(self, picks: PickTable, n: int, rng: np.random.Generator, progress: bool = False) -> Candidates:
        """Single events that explain these picks, best first; a long span of time is searched window by window."""
        complete = self.everywhere and bool((picks.counts > 0).all())
        low_s, high_s = self.window_s
        longest_s = BINS_A_WINDOW * self.width_s / BINS_A_WIDTH
        n_windows = max(1, int(np.ceil((high_s - low_s) / longest_s)))
        edges = np.linspace(low_s, high_s, n_windows + 1)
        parts = []
        for start_s, end_s in tqdm(list(pairwise(edges)), desc="stacking", leave=False, disable=not progress):
            mine = picks
            if n_windows > 1:
                reach_s = self.gate_s + self.width_s
                mine = picks.between(
                    start_s + self.nodes.times_s.min() - reach_s, end_s + self.nodes.times_s.max() + reach_s
                )
                if not mine.counts.any():
                    continue
            wanted = min(n, 50 + 20 * int(mine.counts.max())) if n_windows > 1 else n
            parts.append(
                back_project(
                    self.table, self.nodes, mine, self.width_s, (start_s, end_s), self.gate_s, wanted, complete, rng
                )
            )
        if not parts:
            return Candidates(np.empty((0, 4)), np.empty(0))
        events, scores = np.concatenate([p.events for p in parts]), np.concatenate([p.scores for p in parts])
        order = np.argsort(-scores, kind="stable")
        return Candidates(events[order], scores[order])

    def settle(self, events: np.ndarray, gate_s: float, steps: int = SETTLING_STEPS) -> np.ndarray:
        """Gauss-Newton of all events with the picks within the gate; `MATCH_ALL` for one pick of every channel."""
        if not len(events):
            return events
        chains = events[None].copy()
        quiet = np.zeros(steps + 1)
        take_steps(
            self.table, self.picks, chains, np.full(steps + 1, gate_s), quiet, quiet, quiet + 1e-6, self.bounds,
            np.random.default_rng(0), 1e-9, np.empty(1),
        )  # fmt: skip
        return np.asarray(chains[0])

    def unexplained(self, events: np.ndarray) -> tuple[PickTable, np.ndarray]:
        """Picks that no event explains, and how many each event does `(event,)`."""
        if not len(events):
            return self.picks, np.zeros(0, int)
        pick_of_event, _, _ = explain(self.table, self.picks, events, self.gate_s)
        used = np.zeros(self.picks.times_s.shape, bool)
        channel, event = np.nonzero(pick_of_event >= 0)
        used[channel, pick_of_event[channel, event]] = True
        return self.picks.without(used), (pick_of_event >= 0).sum(axis=0)

    def evidence(self, events: np.ndarray) -> np.ndarray:
        """`(event,)` nats, see `event_count.py`; chance is what no event explains."""
        pick_of_event, residuals_s, _ = explain(self.table, self.picks, events, self.gate_s)
        derivatives = np.empty((len(events), 4, len(self.picks.counts)))
        for event, out in zip(events, derivatives, strict=True):
            derive_times(self.table, event[0], event[1], event[2], out)
        left = self.picks.counts - (pick_of_event >= 0).sum(axis=1) + 1
        rates = self.picks.rates() * left / np.maximum(self.picks.counts, 1)
        extent = self.bounds[1] - self.bounds[0]
        return evidence(residuals_s, derivatives, rates, self.error_s, float(np.prod(extent)))
