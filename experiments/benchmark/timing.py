"""CPU seconds of a piece of work, on one thread."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Timing:
    """CPU seconds of one thing, over the counted repetitions."""

    name: str
    median_s: float
    least_s: float
    largest_s: float
    note: str = ""

    @classmethod
    def of(cls, name: str, seconds: list[float], note: str = "") -> "Timing":
        """Summarise the repetitions."""
        return cls(name, statistics.median(seconds), min(seconds), max(seconds), note)


@dataclass(frozen=True)
class Section:
    """What one part of the benchmark found.

    Args:
        timings: CPU seconds.
        ratios: Name -> how many times; both sides measured in this run.
        more: Anything else, as plain JSON values.
    """

    timings: list[Timing]
    ratios: dict[str, float]
    more: dict[str, object] = field(default_factory=dict)


def cpu_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return seconds
