"""report.html: a run as ONE page that needs nothing beside it, readable on a phone and on paper.

python -m experiments.report_html runs/ubdiff/FlatVel-A-tiny-seed0

Pictures are inside the page; no script, no font and no style comes from elsewhere.
"""

import argparse
import base64
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.errors import SettingsError
from experiments.report_content import Content, Picture, Section, Table, number, sentence
from experiments.report_style import STYLE
from experiments.run_folder import RunFolder, read_json

_KINDS = {"real": "real data", "simulated": "real maps, simulated gathers", "synthetic": "synthetic"}


def as_html(content: Content) -> str:
    """The whole page."""
    name, _, subtitle = content.title.partition(":")
    variant = f" (variant {content.variant})" if content.variant else ""
    body = [
        "<header>",
        f"<p class=run>{escape(content.run)}{escape(variant)}</p>",
        f"<h1>{escape(name)}</h1>",
        f"<p class=subtitle>{escape(subtitle.strip())}</p>" if subtitle else "",
        f"<p class=data><span class=kind>{escape(_KINDS.get(content.kind, content.kind))}</span> "
        f"{escape(content.data)}</p>",
        "</header>",
        _headlines(content),
        _signatures(content.signatures),
        *map(section, content.sections),
        _run(content),
        _details(content),
    ]
    return page(content.run, body)


def page(title: str, body: Iterable[str]) -> str:
    """A whole page of some parts; empty ones are left out."""
    return (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        '<meta name=color-scheme content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _headlines(content: Content) -> str:
    cards = [
        f"<div class=card><dt>{escape(item.label)}</dt><dd>{escape(value)}</dd>"
        f"<dd class=note>{escape(item.note)}</dd></div>"
        for item, value in content.headlines
    ]
    return f"<dl class=cards>{''.join(cards)}</dl>" if cards else ""


def _signatures(signatures: Sequence[Any]) -> str:
    if not signatures:
        return ""
    rows = []
    for sign in signatures:
        state = str(sign.state)
        advice = f"<p class=advice>{prose(sign.advice)}</p>" if state == "raised" else ""
        rows.append(
            f"<li><span class='state {escape(state)}'>{escape(state)}</span>"
            f"<div><strong>{escape(sign.name)}</strong><p>{prose(sentence(sign.evidence))}</p>{advice}</div></li>"
        )
    return f"<section><h2>Failure signatures</h2><ul class=signatures>{''.join(rows)}</ul></section>"


def prose(text: str) -> str:
    """Text with its `code` and its **bold** words marked."""
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


def section(content: Section) -> str:
    """A chapter: text, pictures, tables."""
    text = f"<p>{prose(content.text)}</p>" if content.text else ""
    pictures = "".join(map(picture, content.pictures))
    tables = "".join(map(table, content.tables))
    return f"<section><h2>{escape(content.title)}</h2>{text}{pictures}{tables}</section>"


def picture(shown: Picture) -> str:
    """A picture, inside the page, over its caption."""
    encoded = base64.b64encode(shown.path.read_bytes()).decode("ascii")
    return (
        f'<figure><div class=wide><img alt="{escape(shown.caption)}" src="data:image/png;base64,{encoded}"></div>'
        f"<figcaption>{escape(shown.caption)}</figcaption></figure>"
    )


def table(content: Table) -> str:
    """A table, nothing where it has no rows; cells may have `code` and **bold** words."""
    if not content.rows:
        return ""
    # Not a <caption>: that would scroll with the table on a narrow screen.
    caption = f"<p class=caption>{escape(content.caption)}</p>" if content.caption else ""
    head = "".join(f"<th scope=col>{prose(cell)}</th>" for cell in content.header)
    rows = "".join(_row(row) for row in content.rows)
    return f"{caption}<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _row(row: Sequence[str]) -> str:
    first, *others = row
    control = " class=control" if first.startswith(("control", "published", "floor")) else ""
    cells = "".join(f"<td>{prose(cell)}</td>" for cell in others)
    return f"<tr{control}><th scope=row>{prose(first)}</th>{cells}</tr>"


def _run(content: Content) -> str:
    features = "".join(f"<li>{escape(text)}</li>" for text in content.features)
    listed = f"<ul class=features>{features}</ul>" if features else ""
    return f"<section><h2>The run</h2>{table(content.stages)}{table(content.parts)}{listed}</section>"


def _details(content: Content) -> str:
    figures = Table("", ("name in metrics.json", "value"), tuple((k, number(v)) for k, v in content.metrics.items()))
    data = content.provenance.get("data", {})
    source = {key: value for key, value in content.provenance.items() if key != "data"}
    citation = data.get("citation") if isinstance(data, Mapping) else None
    return "".join(
        (
            "<section><h2>Provenance</h2>",
            f"<p class=cite>{escape(str(citation))} Licence: {escape(str(data.get('licence')))}.</p>"
            if citation
            else "",
            fold("Data", definitions(flat(data))),
            fold("Machine, versions and command", definitions(flat(source))),
            fold("Settings of every stage", f"<pre>{escape(content.settings)}</pre>"),
            fold(f"All {len(content.metrics)} figures", table(figures)),
            "</section>",
        )
    )


def fold(title: str, content: str) -> str:
    """What opens when it is asked for."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def definitions(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values."""
    return "<dl class=facts>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in pairs) + "</dl>"


def flat(content: Any) -> list[tuple[str, Any]]:
    """Names and values of a mapping and of the mappings in it."""
    pairs: list[tuple[str, Any]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            pairs += list(value.items())
        else:
            pairs.append((name.replace("_", " "), " ".join(map(str, value)) if isinstance(value, list) else value))
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both reports of a run anew."""
    parser = argparse.ArgumentParser(prog="python -m experiments.report_html", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder, such as runs/ubdiff/FlatVel-A-tiny-seed0")
    folder = RunFolder(parser.parse_args(arguments).run.resolve())
    try:
        experiment = experiment_of(folder)
        from experiments.report import HTML_NAME, write_report

        write_report(experiment, folder)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(folder.root / HTML_NAME)
    return 0


def experiment_of(folder: RunFolder) -> Any:
    """The experiment that a run folder belongs to, by the folder that it lies in, and its variant by its stages.

    Raises:
        SettingsError: If it is no finished run, or of no experiment.
    """
    if not folder.metrics.exists():
        raise SettingsError(f"{folder.root}: no finished run is here (there is no metrics.json); name a run folder.")
    paper = folder.root.parent.name
    if not paper.isidentifier() or importlib.util.find_spec(f"experiments.{paper}") is None:
        raise SettingsError(f"{folder.root}: a run lies in a folder with its experiment's name, such as ubdiff/.")
    experiment = importlib.import_module(f"experiments.{paper}").EXPERIMENT
    command = (read_json(folder.provenance) or {}).get("command", [])
    named = [name for name in experiment.variants if f"--variant {name}" in " ".join(command).replace("=", " ")]
    if named:
        return experiment.as_variant(named[-1])
    finished = {path.parent.name for path in folder.root.glob("*/stage.json")}
    fitting = [name for name, stages in experiment.variants.items() if {stage.name for stage in stages} == finished]
    return experiment.as_variant(fitting[0]) if fitting else experiment


if __name__ == "__main__":
    sys.exit(main())
