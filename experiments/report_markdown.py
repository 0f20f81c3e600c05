"""A report's content as markdown."""

import json
from collections.abc import Iterable

from experiments.report_content import Content, Section, Table, sentence


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
    lines += section_lines(content.sections, "figures/")
    lines += ["## The run", "", *table_lines(content.stages), *table_lines(content.parts)]
    lines += [f"- {text}." for text in content.features]
    pairs = "; generated pairs: `samples.npz`" if content.has_samples else ""
    lines += ["", f"All figures: `metrics.json`; settings: `config.yaml`{pairs}.", ""]
    lines += ["```json", json.dumps(content.provenance, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def section_lines(sections: Iterable[Section], picture_folder: str) -> list[str]:
    """Sections with their pictures, which lie in `picture_folder` seen from the markdown, and tables."""
    lines = []
    for section in sections:
        lines += [f"## {section.title}", ""]
        lines += [section.text, ""] if section.text else []
        for picture in section.pictures:
            lines += [f"![{picture.caption}]({picture_folder}{picture.path.name})", "", picture.caption, ""]
        for table in section.tables:
            lines += table_lines(table)
    return lines


def table_lines(table: Table) -> list[str]:
    """A table with its caption; nothing for one without rows."""
    if not table.rows:
        return []
    return [
        *([table.caption, ""] if table.caption else []),
        f"| {' | '.join(table.header)} |",
        "| --- |" + " ---: |" * (len(table.header) - 1),
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table.rows),
        "",
    ]
