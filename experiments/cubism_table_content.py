"""The content of Cubism's table: one part a direction, then the order, then what label-free model selection would do.

Figures are percent, mean and standard deviation over seeds.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from datamodules.waveform_preprocessing import Preprocessing
from experiments.ablation_table import Spread
from experiments.cubism_comparison import Relation, all_lp, is_by_event, relations
from experiments.cubism_evaluation import preprocessing_words
from experiments.cubism_methods import DEFAULT, MEASURES, METHODS, SEVEN
from experiments.cubism_runs import Direction, Plan, Results, RowResult
from experiments.report_content import Picture, Section, Table, duration

HEADINGS = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
ALL_LP = "control: everything is LP"
NO_RANKING = (
    "No ranking is drawn from this pair: {traces} traces of {events} events decide nothing between methods. Traces of "
    "one event vote."
)
TRANSDUCTIVE = (
    "Macro figures over the whole target set, last epoch; its labels entered neither training nor the choice of "
    "weights. In percent, mean ± standard deviation over seeds; in brackets the paper's Table 2, which is of the real "
    "volcanoes."
)
ORDER = "The paper's order by macro F1, neighbour by neighbour, and some further differences."
BESIDE = "The table above prepares records as its caption says. Here a few methods on spectrograms that we would make."
SELECTION = (
    "The table above takes the last epoch. Here: what the unsupervised score would have chosen, and, apart and never "
    "used, the ORACLE, the epoch with the highest F1 by the target's own labels."
)


def points(spread: Spread | None) -> str:
    """Percent with spread."""
    if spread is None:
        return "-"
    return f"{100 * spread.mean:.1f}" + ("" if spread.sd is None else f" ± {100 * spread.sd:.1f}")


def sections(plan: Plan, results: Results, pictures: Sequence[Picture]) -> tuple[Section, ...]:
    """All parts of the table."""
    by_event = is_by_event(results)
    parts = []
    for direction, rows in results.items():
        text = NO_RANKING.format(**_counts(rows.values())) if by_event else TRANSDUCTIVE
        parts.append(Section(direction.words, text, (), (_scores(direction, rows, by_event),)))
    order = relations(results)
    if order:
        lines = tuple((r.words, *_verdict(r)) for r in order)
        table = Table("", ("relation", "holds", "points of F1", "seeds above 0", "the paper"), lines)
        parts.append(Section("Which of the paper's order holds", f"{ORDER} {_summary(order)}", (), (table,)))
    if not by_event:
        tables = tuple(_selection(direction, rows) for direction, rows in results.items())
        parts.append(Section("Choosing an epoch without labels", SELECTION, (), tables))
    if pictures:
        parts.append(Section("Pictures", "", tuple(pictures), ()))
    missing = [
        (f"{METHODS[method].label}, {direction.words}, seed {seed}", why)
        for direction, rows in results.items()
        for method, row in rows.items()
        for seed, why in row.missing.items()
    ]
    if missing:
        parts.append(Section("Without figures", "", (), (Table("", ("run", "why"), tuple(missing)),)))
    return tuple(parts)


def _summary(order: Sequence[Relation]) -> str:
    """How many neighbours stand as in the paper, on the mean of both directions where there are two."""
    neighbours = [r for r in order if (r.worse, r.better) in pairwise(SEVEN)]
    where = "mean of both" if any(r.where == "mean of both" for r in neighbours) else order[0].where
    counted = [r for r in neighbours if r.where == where]
    wrong = [f"{METHODS[r.better].label} > {METHODS[r.worse].label}" for r in counted if not r.holds]
    broken = f"; not so: {', '.join(wrong)}" if wrong else ""
    return f"Of the {len(counted)} neighbours {len(counted) - len(wrong)} stand as in the paper ({where}){broken}."


def beside_section(plan: Plan, results: Results) -> Section:
    """The same with our own preprocessing, in short."""
    tables = [replace(_scores(each, rows, by_event=False), caption=each.words) for each, rows in results.items()]
    missing = [
        f"{METHODS[method].label}, {direction.words}, seed {seed}: {why}"
        for direction, rows in results.items()
        for method, row in rows.items()
        for seed, why in row.missing.items()
    ]
    text = f"{BESIDE} {settings_line(plan, results)}" + (f" Without figures: {'; '.join(missing)}." if missing else "")
    return Section("With our preprocessing", text, (), tuple(tables))


def _verdict(relation: Relation) -> tuple[str, str, str, str]:
    difference = relation.difference
    sd = "" if difference.sd is None else f" ± {difference.sd:.1f}"
    paper = "-" if relation.paper is None else f"{relation.paper:+.1f}"
    n = len(difference.values)
    return "yes" if relation.holds else "NO", f"{difference.mean:+.1f}{sd}", f"{relation.wins} of {n}", paper


def _scores(direction: Direction, rows: Any, by_event: bool) -> Table:
    event = ("accuracy by event",) if by_event else ()
    header = ("method", *HEADINGS.values(), "recall LP", "recall VT", *event, "seeds")
    lines = []
    for name, row in rows.items():
        method = METHODS[name]
        published = dict(zip(MEASURES, method.paper.get(direction.label, ()), strict=False))
        cells = [points(row.spread(f"target/{measure}")) for measure in MEASURES]
        cells = [
            f"{cell} ({published[m]:.1f})" if m in published else cell for cell, m in zip(cells, MEASURES, strict=True)
        ]
        recalls = [points(row.spread(f"target/recall_{k}")) for k in ("lp", "vt")]
        votes = [points(row.spread("target/event_accuracy"))] if by_event else []
        lines.append((method.label, *cells, *recalls, *votes, str(len(row.metrics))))
    control = all_lp(rows)
    if control:
        shown = [f"{100 * control[m]:.1f}" for m in MEASURES]
        recalls = [f"{100 * control[f'recall_{k}']:.1f}" if f"recall_{k}" in control else "-" for k in ("lp", "vt")]
        lines.append((ALL_LP, *shown, *recalls, *("-" for _ in event), "-"))
    return Table("", header, tuple(lines))


def _selection(direction: Direction, rows: Any) -> Table:
    columns = {"target/f1": "last epoch", "validator/f1": "unsupervised score", "oracle/f1": "ORACLE, not used"}
    lines = [(METHODS[name].label, *(points(row.spread(metric)) for metric in columns)) for name, row in rows.items()]
    return Table(f"{direction.words}: macro F1 by what chooses the epoch", ("method", *columns.values()), tuple(lines))


def _counts(rows: Iterable[RowResult]) -> dict[str, int]:
    for row in rows:
        for metrics in row.metrics.values():
            return {"traces": int(metrics["target/n"]), "events": int(metrics["target/n_events"])}
    return {"traces": 0, "events": 0}


def costs(results: Results) -> Table:
    """Wall clock of one run, both stages, by method."""
    lines = []
    for direction, rows in results.items():
        for name, row in rows.items():
            seconds = [m["transfer/seconds"] + m["evaluate/seconds"] for m in row.metrics.values()]
            if seconds:
                lines.append((f"{METHODS[name].label}, {direction.words}", duration(sum(seconds) / len(seconds))))
    return Table("Wall clock of a run, mean over seeds", ("method", "time"), tuple(lines))


def data_line(results: Results) -> str:
    """What the data are, as the runs say it; twins that differ by their seed alone are named once."""
    said = [sentence for rows in results.values() for row in rows.values() for sentence in row.data]
    same = [re.sub(r"\(seed \d+\)", "(of the run's seed)", sentence) for sentence in said]
    return "; ".join(dict.fromkeys(said if len(set(said)) == len(set(same)) else same)) or "no run is finished"


def kinds(results: Results) -> list[str]:
    """`real` or `synthetic`, or both."""
    return list(dict.fromkeys(kind for rows in results.values() for row in rows.values() for kind in row.kinds))


def settings_line(plan: Plan, results: Results) -> str:
    """What a caption owes its reader: preset, preprocessing, weights, seeds."""
    rows_of = [rows[DEFAULT] for rows in results.values() if DEFAULT in rows]
    rows_of += [row for rows in results.values() for row in rows.values()]
    settings = next((each for row in rows_of for each in row.settings.values()), None)
    if settings is None:
        return f"Preset `{plan.label}`."
    chosen = Preprocessing(**{each.name: settings[f"data.{each.name}"] for each in fields(Preprocessing)})
    prepared = preprocessing_words(replace(chosen, standardization="none").as_dict())
    pretrained = settings.get("model.pretrained")
    weights = f"backbone starts from {Path(pretrained).name}" if pretrained else "backbone trained from scratch"
    by_score = "ValidatorChoice" in str(settings.get("trainer.callbacks"))
    epoch = "weights of the epoch that the unsupervised score chose" if by_score else "weights of the last epoch"
    return (
        f"Preset `{plan.label}`, seeds {', '.join(map(str, plan.seeds))}, {weights}, {epoch}, representation "
        f"`{settings['model.representation']}` in Cubism; {prepared}."
    )


def as_csv(results: Results) -> str:
    """One line a run and one line a control."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [*(f"target/{m}" for m in MEASURES), "target/recall_lp", "target/recall_vt", "target/average_precision"]
    names += ["target/event_accuracy", "validator/f1", "oracle/f1", "source/f1", "transfer/seconds"]
    writer.writerow(["source", "target", "method", "seed", *names])
    for direction, rows in results.items():
        for method, row in rows.items():
            for seed, metrics in row.metrics.items():
                cells = [metrics.get(name, "") for name in names]
                writer.writerow([direction.source, direction.target, method, seed, *cells])
        control = {f"target/{name}": value for name, value in all_lp(rows).items()}
        if control:
            writer.writerow([direction.source, direction.target, "all-lp", "", *(control.get(n, "") for n in names)])
    return text.getvalue()


def as_json(plan: Plan, results: Results) -> dict[str, Any]:
    """Every metric of every row, the paper's values, and the order."""
    return {
        "preset": plan.label,
        "seeds": list(plan.seeds),
        "options": list(plan.dotted),
        "data": data_line(results),
        "kinds": kinds(results),
        "caption": settings_line(plan, results),
        "directions": {
            direction.label: {
                "all_lp": all_lp(rows),
                "methods": {
                    name: {
                        "label": METHODS[name].label,
                        "paper": dict(zip(MEASURES, METHODS[name].paper.get(direction.label, ()), strict=False)),
                        "missing": {str(seed): why for seed, why in row.missing.items()},
                        "metrics": {
                            metric: spread.as_json()
                            for metric in sorted({m for found in row.metrics.values() for m in found})
                            if (spread := row.spread(metric))
                        },
                    }
                    for name, row in rows.items()
                },
            }
            for direction, rows in results.items()
        },
        "order": [relation.as_json() for relation in relations(results)],
    }
