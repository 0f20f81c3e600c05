"""What a report says, apart from how it looks: gathered once, written as markdown and as HTML.

Which figure stands where is the layout's business (`experiments.report_layout`).
"""

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.experiment import Experiment
from experiments.report_layout import Chapter, Headline, Layout, Pivot
from experiments.run_folder import RunFolder, read_json


@dataclass(frozen=True)
class Table:
    """A table, ready to be written."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A chapter with its content; text first, then pictures, then tables."""

    title: str
    text: str
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Content:
    """All that a report says."""

    title: str
    run: str
    variant: str
    data: str
    kind: str
    headlines: tuple[tuple[Headline, str], ...]
    signatures: tuple[Any, ...]
    sections: tuple[Section, ...]
    stages: Table
    parts: Table
    features: tuple[str, ...]
    metrics: Mapping[str, float]
    provenance: Mapping[str, Any]
    settings: str
    has_samples: bool = False


def gather(experiment: Experiment, folder: RunFolder) -> Content:
    """Read a run folder.

    Raises:
        SettingsError: If one of its files was damaged from outside.
    """
    metrics = {name: float(value) for name, value in (read_json(folder.metrics) or {}).items()}
    provenance = read_json(folder.provenance) or {}
    layout = layout_of(experiment.paper)
    data = provenance.get("data", {})
    records = {stage.name: read_json(folder.stage_record(stage.name)) or {} for stage in experiment.stages}
    features = {name: text for record in records.values() for name, text in record.get("features", {}).items()}
    return Content(
        title=experiment.title,
        run=folder.root.name,
        variant="" if experiment.is_default_variant else experiment.variant,
        data=data.get("sentence", "unknown"),
        kind=data.get("kind", "unknown"),
        headlines=tuple((item, number(metrics[item.metric])) for item in layout.headlines if item.metric in metrics),
        signatures=_signatures(layout, folder, metrics),
        sections=_sections(experiment, layout, folder, metrics),
        stages=_stages([stage.name for stage in experiment.stages], metrics),
        parts=Table(
            "Parameters",
            ("part", "parameters"),
            tuple(
                (name.removesuffix("/parameters").replace("_", " "), f"{int(value):,}")
                for name, value in metrics.items()
                if name.endswith("/parameters")
            ),
        ),
        features=tuple(f"Features of {name} (name and digest): {text}" for name, text in sorted(features.items())),
        metrics=metrics,
        provenance=provenance,
        settings=folder.config.read_text(encoding="utf-8") if folder.config.exists() else "",
        has_samples=folder.samples.exists(),
    )


def layout_of(paper: str) -> Layout:
    """A paper's own layout, or a plain one."""
    if importlib.util.find_spec(f"experiments.{paper}_report") is None:
        return Layout()
    layout: Layout = importlib.import_module(f"experiments.{paper}_report").LAYOUT
    return layout


def number(value: float) -> str:
    """A figure for reading: whole numbers whole, others to four digits."""
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"


def sentence(text: str) -> str:
    """Text that begins and ends as a sentence does."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def pivot_table(pivot: Pivot, metrics: Mapping[str, float]) -> tuple[Table | None, set[str]]:
    """The table of a pattern, and the names that went into it."""
    cells: dict[str, dict[str, float]] = {}
    taken = set()
    for name, value in metrics.items():
        match = re.fullmatch(pivot.pattern, name)
        if match:
            parts = match.groupdict(default="")
            cells.setdefault(parts["row"], {})[parts["column"]] = value
            taken.add(name)
    if not cells:
        return None, taken
    rows = _ordered(cells, pivot.rows)
    columns = _ordered({column for row in cells.values() for column in row}, pivot.columns)
    return Table(
        pivot.caption,
        (pivot.corner, *(pivot.columns.get(column, _words(column)) for column in columns)),
        tuple((pivot.rows.get(row, _words(row)), *(_cell(cells[row], column) for column in columns)) for row in rows),
    ), taken


def _cell(row: Mapping[str, float], column: str) -> str:
    return number(row[column]) if column in row else ""


def _ordered(found: Mapping[str, Any] | set[str], known: Mapping[str, str]) -> list[str]:
    return [name for name in known if name in found] + sorted(name for name in found if name not in known)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", ", ")


def _sections(
    experiment: Experiment, layout: Layout, folder: RunFolder, metrics: Mapping[str, float]
) -> tuple[Section, ...]:
    left = {name: caption for name, caption in experiment.figures.items() if (folder.figures / name).exists()}
    rest = dict(metrics)
    sections = []
    for chapter in (*layout.chapters, Chapter("Further figures", prefixes=("",), pictures=("",))):
        tables = []
        for pivot in chapter.pivots:
            table, taken = pivot_table(pivot, rest)
            rest = {name: value for name, value in rest.items() if name not in taken}
            tables += [table] if table else []
        listed = [name for name in experiment.metrics if name in rest and name.startswith(chapter.prefixes)]
        if listed:
            rows = tuple((experiment.metrics[name], number(rest.pop(name))) for name in listed)
            tables.insert(0 if chapter.list_first else len(tables), Table("", ("figure", "value"), rows))
        shown = [name for name in left if name.startswith(chapter.pictures)] if chapter.pictures else []
        pictures = tuple(Picture(folder.figures / name, left.pop(name)) for name in shown)
        if tables or pictures:
            sections.append(Section(chapter.title, chapter.text, pictures, tuple(tables)))
    return tuple(sections)


def _stages(names: Sequence[str], metrics: Mapping[str, float]) -> Table:
    columns: dict[str, tuple[str, Callable[[float], str]]] = {
        "seconds": ("wall clock", duration),
        "cpu_seconds": ("CPU time", duration),
        "peak_memory_bytes": ("peak memory", lambda value: f"{value / 2**20:,.0f} MiB"),
    }
    known = [key for key in columns if any(f"{name}/{key}" in metrics for name in names)]
    rows = [
        (name, *(columns[key][1](metrics[f"{name}/{key}"]) if f"{name}/{key}" in metrics else "" for key in known))
        for name in names
        if f"{name}/seconds" in metrics
    ]
    return Table("Stages", ("stage", *(columns[key][0] for key in known)), tuple(rows))


def duration(seconds: float) -> str:
    """Seconds for reading, such as `2 min 05 s`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _signatures(layout: Layout, folder: RunFolder, metrics: Mapping[str, float]) -> tuple[Any, ...]:
    if layout.signatures is None or not metrics:
        return ()
    module, _, name = layout.signatures.rpartition(".")
    judge = getattr(importlib.import_module(module), name)
    return tuple(judge(metrics, reference=_reference(layout, folder)))


def _reference(layout: Layout, folder: RunFolder) -> dict[str, float] | None:
    """Metrics of the variant that this run is compared with, if it lies beside under one of its usual names."""
    if layout.reference is None:
        return None
    run, variant = folder.root.name, layout.reference
    head, _, tail = run.rpartition("-seed")
    beside = [f"{head}-{variant}-seed{tail}", f"{run.removesuffix('-ub_diff')}-{variant}"]
    for name in beside:
        found = read_json(folder.root.with_name(name) / folder.metrics.name) if name != run else None
        if found:
            return {key: float(value) for key, value in found.items()}
    return None
