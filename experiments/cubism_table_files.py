"""Files of Cubism's table: table.md, table.html, table.csv, table.json, pictures of all methods, and its W&B run."""

from dataclasses import replace
from typing import Any

import numpy as np

from callbacks import figures, transfer_figures
from experiments import wandb_run
from experiments.cubism_evaluation import EMBEDDING
from experiments.cubism_methods import METHODS
from experiments.cubism_runs import Direction, Plan, Results, collect
from experiments.cubism_stages import EVALUATE
from experiments.cubism_table_content import (
    as_csv,
    as_json,
    beside_section,
    costs,
    data_line,
    kinds,
    sections,
    settings_line,
)
from experiments.provenance import provenance
from experiments.report_content import Content, Picture, Table
from experiments.report_html import as_html
from experiments.report_markdown import section_lines, table_lines
from experiments.run_folder import write_json, write_text
from experiments.settings import flattened

TITLE = "Cubism and its rivals: unsupervised transfer between two volcanoes"
SHOWN_FEATURES = ("source-only", "dann", "dm-ada", "cubism")
"""The methods of the paper's Fig. 5."""
PRECISION_RECALL, FEATURES = "precision_recall.png", "features.png"
CAPTIONS = {
    PRECISION_RECALL: "Precision over recall of VT on the target, all methods, seeds pooled (the paper's Fig. 4).",
    FEATURES: "t-SNE of what the classifier's head reads, each run's own embedding (the paper's Fig. 5).",
}


def write(plan: Plan, beside: Plan | None = None) -> None:
    """Write the table of the finished runs, and log it to W&B.

    Args:
        plan: The table's runs.
        beside: Further ones, with our own preprocessing, which get a part of their own.
    """
    results = collect(plan)
    plan.folder.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(plan, results)
    content = _content(plan, results, pictures)
    found = as_json(plan, results)
    if beside:
        further = collect(beside)
        content = replace(content, sections=(*content.sections, beside_section(beside, further)))
        found["with our preprocessing"] = as_json(beside, further)
    write_text(plan.folder / "table.md", as_markdown(content))
    write_text(plan.folder / "table.csv", as_csv(results))
    write_json(plan.folder / "table.json", found)
    write_text(plan.folder / "table.html", as_html(content))
    _log(plan, found, pictures)


def _content(plan: Plan, results: Results, pictures: list[Picture]) -> Content:
    numbers = {k: v for k, v in flattened(as_json(plan, results)["directions"]).items() if k.endswith(".mean")}
    data = data_line(results)
    return Content(
        title=TITLE,
        run=plan.folder.name,
        variant="",
        data=f"{data}. {settings_line(plan, results)}",
        kind=", ".join(kinds(results)) or "unknown",
        headlines=(),
        signatures=(),
        sections=sections(plan, results, pictures),
        stages=costs(results),
        parts=Table("", (), ()),
        features=(),
        metrics={name.removesuffix(".mean").replace(".", "/"): float(value) for name, value in numbers.items()},
        provenance=provenance({"sentence": data}, plan.seeds[0]),
        settings="",
    )


def as_markdown(content: Content) -> str:
    """The table as markdown; pictures by their place beside it."""
    lines = [f"# {content.title}", "", f"**Data: {content.data}**", ""]
    lines += [*section_lines(content.sections, ""), "## The runs", "", *table_lines(content.stages)]
    return "\n".join(lines).rstrip() + "\n"


# ---- pictures ----------------------------------------------------------------------------------------------------


def _pictures(plan: Plan, results: Results) -> list[Picture]:
    drawn = {PRECISION_RECALL: _precision_recall(results), FEATURES: _features(plan, results)}
    made = []
    kind = "synthetic twins, not recorded there" if "synthetic" in kinds(results) else "real events"
    foot = f"{kind}; preset {plan.label}"
    for name, figure in drawn.items():
        if figure is not None:
            figures.save(figure, plan.folder / name, foot)
            made.append(Picture(plan.folder / name, CAPTIONS[name]))
    return made


def _precision_recall(results: Results) -> Any:
    panels: dict[str, dict[str, Any]] = {}
    share = {}
    for direction, rows in results.items():
        for name, row in rows.items():
            found = list(row.predictions.values())
            is_vt = np.concatenate([is_vt for is_vt, _ in found]) if found else np.zeros(0, bool)
            if is_vt.any():
                score = np.concatenate([score for _, score in found])
                panels.setdefault(direction.words, {})[METHODS[name].label] = (is_vt, score)
                share[direction.words] = float(is_vt.mean())
    return transfer_figures.precision_recall_curves(panels, share) if panels else None


def _features(plan: Plan, results: Results) -> Any:
    """The first direction's embeddings, of the first seed that each method has finished."""
    direction: Direction = plan.directions[0]
    points, domain, label = {}, {}, {}
    for name in SHOWN_FEATURES:
        row = results[direction].get(name)
        for seed in row.metrics if row else ():
            path = plan.run_folder(direction, name, seed).stage(EVALUATE.name) / EMBEDDING
            if path.exists():
                title = f"{METHODS[name].label}, {direction.words}, seed {seed}"
                with np.load(path) as kept:
                    points[title], label[title] = kept["points"], kept["label"]
                    domain[title] = ["source" if is_source else "target" for is_source in kept["is_source"]]
                break
    if not points:
        return None
    source, _, target = direction.words.partition(" to ")
    return transfer_figures.embeddings(points, domain, label, ("LP", "VT"), {"source": source, "target": target})


# ---- W&B ---------------------------------------------------------------------------------------------------------


def _log(plan: Plan, found: dict[str, Any], pictures: list[Picture]) -> None:
    """One W&B run for the table; its folder keeps its id, so that a table written again goes on in it."""
    config = {key: found[key] for key in ("preset", "seeds", "options", "data", "kinds", "caption")}
    run = wandb_run.start(plan.folder, "cubism_table", [], config)
    if run is None:
        return
    import wandb

    rows: list[list[Any]] = []
    for direction, content in found["directions"].items():
        for name, method in content["methods"].items():
            for metric, spread in method["metrics"].items():
                if metric.startswith(("target/", "oracle/", "validator/")):
                    rows.append([direction, name, metric, spread["mean"], spread["sd"], spread["n"]])
                    run.summary[f"{direction}/{name}/{metric}"] = spread["mean"]
    columns = ["direction", "method", "metric", "mean", "sd", "seeds"]
    shown: dict[str, Any] = {picture.path.stem: wandb.Image(str(picture.path)) for picture in pictures}
    run.log({"table": wandb.Table(columns=columns, data=rows), **shown})
    run.finish()
