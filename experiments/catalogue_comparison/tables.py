"""What the comparison's tables have in common: the figures of one answer, and Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.catalogue_comparison import scores
from experiments.catalogue_comparison.tools import Answer, Request


def figures_of(answer: Answer, request: Request, travel: Any) -> dict[str, Any]:
    """What every table has of an answer; `travel` are the travel times that all tools are judged by."""
    residual = scores.residuals_s(answer, request, travel)
    corrected = scores.without_station_medians(residual, request)
    n_events, n_picks = len(answer.times_s), int((answer.event_of_pick >= 0).sum())
    figures: dict[str, Any] = {
        "tool": answer.tool,
        "version": answer.version,
        "n_events": n_events,
        "n_picks": n_picks,
        "picks_an_event": n_picks / n_events if n_events else None,
        "cpu_s": answer.cpu_s,
        "process_cpu_s": answer.process_cpu_s,
        "peak_mb": answer.peak_mb,
    }
    for phase, name in ((0, "p"), (1, "s")):
        mine = request.phase == phase
        figures[f"median_{name}_s"] = _median(np.abs(residual[mine]))
        figures[f"median_{name}_corrected_s"] = _median(np.abs(corrected[mine]))
        figures[f"median_{name}_as_told_s"] = _median(np.abs(answer.residuals_s[mine]))
    return figures


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def text_of(value: float | None, digits: int) -> str:
    """A number in a table; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
