"""UB-Diff against its rivals: what each scores, and by how much of a rival's error UB-Diff's is smaller.

The paper (arXiv 2501.00941, Key Results) gives FID improvements of 7 to 22 % on velocity and 8 to 10 % on seismic, with
features that are not those used here: the percentages stand beside ours, and no more than that.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.ablation_table import RowResult, Spread

OURS = {
    "ub_diff": ("UB-Diff's improvement", "UB-Diff"),
    # The rivals may not compute a gather from its map; this row does without, too.
    "learned_decoder": ("Improvement of UB-Diff without prior physics", "UB-Diff without prior physics"),
}
"""Rows that are compared with the rivals, by name: their heading, and what a sentence calls them."""
RIVALS = ("joint", "without_two_step", "unpaired")
PAPER = {"velocity": "7 to 22 %", "seismic": "8 to 10 %"}
OTHER_RECONSTRUCTION = (
    "The held-out seismic MAE of `joint` and `unpaired` is that of their seismic autoencoder, which sees the gather "
    "itself: not to be compared with UB-Diff's, which sees the map."
)
PAPER_NOTE = "other features, relative only"

BUDGET = "run/generator_cpu_seconds"
SAME_BUDGET = 0.8
"""Least share of UB-Diff's CPU time that a rival of the same budget takes to train."""

_CARRIED = re.compile(r"(velocity|seismic)/(\w+/)?(frechet\w*|kid)|physics/.+")
_FRECHET = re.compile(r"(velocity|seismic)/(\w+/)?frechet")
# What decides whether UB-Diff is better, beside every Frechet distance; smaller is better.
_DECIDING = {
    "physics/residual_relative_l2": "physics, residual relative L2",
    "physics/relative_l2": "physics, relative L2",
    "inversion/generated/mae": "inversion trained on generated pairs, MAE",
}


def baseline_name(rival: str, metric: str) -> str | None:
    """Name of a rival's metric beside UB-Diff's: `baseline/<rival>/...` and `inversion/baseline_<rival>/...`."""
    if metric.startswith("inversion/generated/"):
        return f"inversion/baseline_{rival}/{metric.removeprefix('inversion/generated/')}"
    return f"baseline/{rival}/{metric}" if _CARRIED.fullmatch(metric) else None


def improvement(ours: "RowResult", rival: "RowResult", metric: str) -> "Spread | None":
    """Share of the rival's error that ours avoids, `(rival - ours) / rival`, seed by seed."""
    from experiments.ablation_table import Spread

    mine, theirs = ours.spread(metric), rival.spread(metric)
    if mine is None or theirs is None:
        return None
    shared = [seed for seed in mine.values if theirs.values.get(seed)]
    values = {seed: (theirs.values[seed] - mine.values[seed]) / theirs.values[seed] for seed in shared}
    return Spread(values) if values else None


def comparison(results: Sequence["RowResult"]) -> dict[str, Any]:
    """Rivals' metrics under their names beside UB-Diff's, and UB-Diff's improvement over each rival; empty without."""
    rivals = _run(results, RIVALS)
    found: dict[str, Any] = {}
    for name, rival in rivals.items():
        for metric, spread in rival.metrics.items():
            if beside := baseline_name(name, metric):
                found[beside] = spread.as_json()
    for row, ours in _run(results, OURS).items():
        prefix = "improvement" if row == "ub_diff" else f"improvement_of_{row}"
        for name, rival in rivals.items():
            for metric in _deciding(ours):
                if (gain := improvement(ours, rival, metric)) is not None:
                    entry = gain.as_json()
                    if match := _FRECHET.fullmatch(metric):
                        entry |= {"paper": PAPER[match[1]], "paper_note": PAPER_NOTE}
                    found[f"{prefix}/{name}/{metric}"] = entry
    return found


def comparison_lines(results: Sequence["RowResult"]) -> list[str]:
    """The same as markdown: one line a figure, one column a rival, the paper's beside; nothing without rivals."""
    rivals, lines = _run(results, RIVALS), []
    for row, ours in _run(results, OURS).items() if rivals else ():
        heading, called = OURS[row]
        lines += [
            f"## {heading}",
            "",
            f"Share of the rival's figure by which that of {called} is smaller, seed by seed; below 0 the rival is "
            "better.",
            "",
            f"| figure | {' | '.join(f'over {name}' for name in rivals)} | the paper ({PAPER_NOTE}) |",
            "| --- |" + " ---: |" * len(rivals) + " --- |",
        ]
        for metric, text in _deciding(ours).items():
            gains = [improvement(ours, rival, metric) for rival in rivals.values()]
            match = _FRECHET.fullmatch(metric)
            cells = " | ".join("-" if gain is None else _percent(gain) for gain in gains)
            lines.append(f"| {text} | {cells} | {PAPER[match[1]] if match else '-'} |")
        lines += ["", *(_verdict(called, ours, name, rival) for name, rival in rivals.items())]
        if rivals.keys() & {"joint", "unpaired"}:
            lines.append(f"- {OTHER_RECONSTRUCTION}")
        lines.append("")
    return lines[:-1]


def _verdict(called: str, ours: "RowResult", name: str, rival: "RowResult") -> str:
    """Better on both modalities, on physics and on inversion, or not: said in one line, by the means."""
    gains = {text: improvement(ours, rival, metric) for metric, text in _deciding(ours).items()}
    known = {text: gain.mean for text, gain in gains.items() if gain is not None}
    worse = [text for text, gain in known.items() if gain <= 0]
    if not known:
        return f"- Against `{name}`: no figure that both have."
    better = f"{len(known) - len(worse)} of {len(known)} figures; not on: {'; '.join(worse)}"
    better = better if worse else f"all {len(known)} figures"
    return f"- Against `{name}`: {called} is better on {better}.{_budget(called, ours, name, rival)}"


def _budget(called: str, ours: "RowResult", name: str, rival: "RowResult") -> str:
    """What the rival was trained with, as a share of our CPU time; nothing where it was not measured."""
    mine, theirs = ours.spread(BUDGET), rival.spread(BUDGET)
    if mine is None or theirs is None or not mine.mean:
        return ""
    share = theirs.mean / mine.mean
    said = f" It was trained with {100 * share:.0f} % of the CPU time of {called}"
    return f"{said}." if share >= SAME_BUDGET else f"{said}: not the same budget, lengthen its `variants` settings."


def _deciding(ours: "RowResult") -> dict[str, str]:
    names: dict[str, str] = {}
    for metric in ours.metrics:
        if match := _FRECHET.fullmatch(metric):
            features = (match[2] or "PCA-64/").removesuffix("/").replace("_", " ")
            names[metric] = f"{match[1]}, Frechet distance ({features})"
    ordered = dict(sorted(names.items(), key=lambda item: (item[0].startswith("seismic"), item[0].count("/"))))
    return {**ordered, **_DECIDING}


def _run(results: Sequence["RowResult"], names: Iterable[str]) -> "dict[str, RowResult]":
    by_name = {result.planned.name: result for result in results if result.runs}
    return {name: by_name[name] for name in names if name in by_name}


def _percent(gain: "Spread") -> str:
    return f"{100 * gain.mean:+.1f} %" + ("" if gain.sd is None else f" ± {100 * gain.sd:.1f}")
