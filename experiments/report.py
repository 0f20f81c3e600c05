"""report.md, report.html and the training curves: a run in one page."""

import json

from callbacks import figures
from experiments.experiment import Experiment
from experiments.report_content import Content, Table, gather, sentence
from experiments.report_html import as_html
from experiments.run_folder import RunFolder, write_text
from experiments.tracking import read_history

HTML_NAME = "report.html"


def write_report(experiment: Experiment, folder: RunFolder) -> None:
    """Draw the training curves, and write `report.md` and `report.html` from what the run folder holds."""
    histories = {}
    for stage in experiment.stages:
        path = folder.stage(stage.name) / "history.jsonl"
        if stage.fits and path.exists():
            histories[stage.name] = read_history(path)
    if histories:
        figures.save(figures.training_curves(histories), folder.figures / "training_curves.png", folder.root.name)
    content = gather(experiment, folder)
    write_text(folder.report, as_markdown(content))
    write_text(folder.root / HTML_NAME, as_html(content))


def as_markdown(content: Content) -> str:
    """The report as markdown; pictures by their place in the run folder."""
    variant = f", variant `{content.variant}`" if content.variant else ""
    lines = [f"# {content.title}", "", f"Run `{content.run}`{variant}.", "", f"**Data: {content.data}**", ""]
    if content.signatures:
        lines += ["## Failure signatures", ""]
        for sign in content.signatures:
            lines.append(f"- **{sign.state}**: {sign.name}. {sentence(sign.evidence)}")
            lines += [f"  {sign.advice}"] if sign.state == "raised" else []
        lines.append("")
    for section in content.sections:
        lines += [f"## {section.title}", ""]
        lines += [section.text, ""] if section.text else []
        for picture in section.pictures:
            lines += [f"![{picture.caption}](figures/{picture.path.name})", "", picture.caption, ""]
        for table in section.tables:
            lines += _table(table)
    lines += ["## The run", "", *_table(content.stages), *_table(content.parts)]
    lines += [f"- {text}." for text in content.features]
    pairs = "; generated pairs: `samples.npz`" if content.has_samples else ""
    lines += ["", f"All figures: `metrics.json`; settings: `config.yaml`{pairs}.", ""]
    lines += ["```json", json.dumps(content.provenance, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    return [
        *([table.caption, ""] if table.caption else []),
        f"| {' | '.join(table.header)} |",
        "| --- |" + " ---: |" * (len(table.header) - 1),
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table.rows),
        "",
    ]
