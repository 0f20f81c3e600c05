"""Which of the order that the paper's Table 2 has holds here: differences of macro F1 between methods, seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from callbacks.class_scores import class_scores
from experiments.ablation_table import Spread
from experiments.cubism_methods import METHODS, SEVEN
from experiments.cubism_runs import Direction, Results, RowResult

F1 = "target/f1"
CLASSES = ("LP", "VT")
FURTHER = (
    ("dann", "source-only"),
    ("cubism", "dann"),
    ("source-balanced", "source-only"),
    ("source-adabn", "source-only"),
    ("dann", "source-adabn"),
)
"""Differences beside those of neighbours in the paper's order."""


@dataclass(frozen=True)
class Relation:
    """One method against another.

    Args:
        better: The one that the paper has above, or ours.
        worse: The other.
        where: Direction in words, or `mean of both`.
        difference: Of macro F1 in points, seed by seed.
        paper: The paper's difference, None where it has none.
    """

    better: str
    worse: str
    where: str
    difference: Spread
    paper: float | None

    @property
    def holds(self) -> bool:
        """Whether the mean difference is above 0."""
        return self.difference.mean > 0

    @property
    def wins(self) -> int:
        """Seeds in which it is above 0."""
        return sum(value > 0 for value in self.difference.values.values())

    @property
    def words(self) -> str:
        """Such as `Cubism > BMix-DA, Llaima to Deception`."""
        return f"{METHODS[self.better].label} > {METHODS[self.worse].label}, {self.where}"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "better": self.better,
            "worse": self.worse,
            "where": self.where,
            "holds": self.holds,
            "wins": self.wins,
            "paper": self.paper,
            "difference": self.difference.as_json(),
        }


def is_by_event(results: Results) -> bool:
    """Whether traces share events: then there are too few to rank methods by."""
    return any("target/n_events" in m for rows in results.values() for r in rows.values() for m in r.metrics.values())


def relations(results: Results) -> list[Relation]:
    """The paper's order, neighbour by neighbour, and a few further differences; nothing where ranking is out."""
    if is_by_event(results):
        return []
    found = []
    for better, worse in [*((b, w) for w, b in reversed(list(pairwise(SEVEN)))), *FURTHER]:
        by_direction = {}
        for direction, rows in results.items():
            if better in rows and worse in rows and (gap := _gap(rows[better], rows[worse])):
                by_direction[direction] = gap
                paper = _paper_gap(better, worse, [direction])
                found.append(Relation(better, worse, direction.words, Spread(gap), paper))
        shared = set.intersection(*map(set, by_direction.values())) if len(by_direction) > 1 else set()
        if shared:
            mean = {seed: float(np.mean([gap[seed] for gap in by_direction.values()])) for seed in sorted(shared)}
            paper = _paper_gap(better, worse, list(by_direction))
            found.append(Relation(better, worse, "mean of both", Spread(mean), paper))
    return found


def _gap(better: RowResult, worse: RowResult) -> dict[int, float]:
    """Points of macro F1 by seed."""
    ours, theirs = better.spread(F1), worse.spread(F1)
    if ours is None or theirs is None:
        return {}
    return {s: 100 * (value - theirs.values[s]) for s, value in ours.values.items() if s in theirs.values}


def _paper_gap(better: str, worse: str, directions: Sequence[Direction]) -> float | None:
    papers = [
        METHODS[better].paper[d.label][3] - METHODS[worse].paper[d.label][3]
        for d in directions
        if d.label in METHODS[better].paper and d.label in METHODS[worse].paper
    ]
    return float(np.mean(papers)) if len(papers) == len(directions) else None


def all_lp(rows: Mapping[str, RowResult]) -> dict[str, float]:
    """What calling every event LP scores; nothing where no run is finished."""
    for row in rows.values():
        for is_vt, _ in row.predictions.values():
            label = is_vt.astype(np.int64)
            return class_scores(label, np.zeros_like(label), CLASSES)
    return {}
