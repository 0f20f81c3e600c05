"""report.html of a folder of runs: every run and every table in it as ONE page that needs nothing beside it.

python -m experiments.report_overview runs

Runs of `experiments.<paper>` stand in a table with their headline figures, data, seed and revision; what each has in
pictures and tables is folded below. Other results, such as ablation tables and benchmarks, bring a markdown file, which
is taken over with its pictures.
"""

import argparse
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from experiments.errors import SettingsError
from experiments.report_content import Content, Picture, Table, gather
from experiments.report_html import definitions, experiment_of, flat, fold, page, picture, prose, section, table
from experiments.run_folder import RunFolder, write_text

PAPERS = {"ubdiff": "UB-Diff", "harpa": "HARPA", "cubism": "Cubism"}
NAME = "report.html"
_KINDS = {"real": "real", "simulated": "simulated from real", "synthetic": "synthetic"}


def overview(run_root: Path) -> str:
    """The page of a folder of runs.

    Raises:
        SettingsError: If nothing is there.
    """
    papers = [_paper(run_root, paper, title) for paper, title in PAPERS.items()]
    others = [_results(path, run_root) for path in sorted(_markdown_files(run_root))]
    if not any(papers) and not others:
        raise SettingsError(f"{run_root}: no finished run is here; run an experiment first, or name another folder.")
    header = (
        "<header><p class=run>seismic-lightning</p><h1>All runs</h1>"
        f"<p class=subtitle>{escape(run_root.resolve().name)}: each figure with data, seed and revision.</p></header>"
    )
    return page("All runs", [header, *papers, *others])


def _paper(run_root: Path, paper: str, title: str) -> str:
    runs = [RunFolder(path.parent) for path in sorted((run_root / paper).glob("*/metrics.json"))]
    if not runs:
        return ""
    contents = [gather(experiment_of(folder), folder) for folder in runs]
    references = _of_paper(paper)
    folds = [_run(content) for content in contents]
    return (
        f"<section><h2>{escape(title)}</h2>{_runs_table(contents)}{_links(paper, contents)}{references}"
        f"{''.join(folds)}</section>"
    )


def _of_paper(paper: str) -> str:
    """What the paper itself has."""
    values = importlib.import_module(f"experiments.{paper}_report").PAPER_VALUES
    return table(Table("In the paper", ("what", "its value"), tuple(values)))


def _runs_table(contents: Sequence[Content]) -> str:
    labels = list(dict.fromkeys(item.label for content in contents for item, _ in content.headlines))
    rows = []
    for content in contents:
        values = {item.label: value for item, value in content.headlines}
        revision = str(content.provenance.get("git_revision", ""))
        short = re.sub(r"^([0-9a-f]{8})[0-9a-f]*", r"\1", revision)
        about = (_KINDS.get(content.kind, content.kind), str(content.provenance.get("seed", "")), short)
        rows.append((content.run, *(values.get(label, "") for label in labels), *about))
    return table(Table("", ("run", *labels, "data", "seed", "revision"), tuple(rows)))


def _links(paper: str, contents: Sequence[Content]) -> str:
    items = [
        f"<li>{escape(content.run)}: <a href='{paper}/{escape(content.run)}/report.html'>its report</a>, "
        f"<a href='{paper}/{escape(content.run)}/config.yaml'>all settings</a></li>"
        for content in contents
    ]
    return f"<ul class=features>{''.join(items)}</ul>"


def _run(content: Content) -> str:
    data = content.provenance.get("data", {})
    source = {key: value for key, value in content.provenance.items() if key != "data"}
    inside = [
        f"<p class=data><span class=kind>{escape(content.kind)}</span> {escape(content.data)}</p>",
        *(section(each) for each in content.sections),
        definitions([*flat(data), *flat(source)]),
    ]
    return fold(f"{content.run}: pictures, tables, provenance", "".join(inside))


# -- other results -----------------------------------------------------------------------------------------------------


def _markdown_files(run_root: Path) -> Iterator[Path]:
    """Markdown of results that are not runs: a run's own folder has a metrics.json."""
    for path in run_root.rglob("*.md"):
        parents = [parent for parent in path.parents if run_root in parent.parents]
        if not any((parent / "metrics.json").exists() or parent.name == "wandb" for parent in parents):
            yield path


def _results(path: Path, run_root: Path) -> str:
    return f"<section>{_as_html(path)}<p class=cite>{escape(str(path.relative_to(run_root)))}</p></section>"


def _as_html(path: Path) -> str:
    """The markdown that the suite writes: headings, paragraphs, lists, tables and pictures."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        lines = block.strip("\n").splitlines()
        shown = re.fullmatch(r"!\[(.*)\]\((.+)\)", block.strip(), re.DOTALL)
        if shown:
            file = path.parent / shown.group(2)
            parts.append(picture(Picture(file, shown.group(1))) if file.suffix == ".png" and file.exists() else "")
        elif lines[0].startswith("#"):
            level = min(3, 1 + len(lines[0]) - len(lines[0].lstrip("#")))
            parts.append(f"<h{level}>{prose(lines[0].lstrip('# '))}</h{level}>")
            parts += [f"<p>{prose(' '.join(lines[1:]))}</p>"] if lines[1:] else []
        elif lines[0].startswith("|") and len(lines) > 1:
            cells = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in lines]
            parts.append(table(Table("", cells[0], tuple(cells[2:]))))
        elif lines[0].startswith("- "):
            items = re.split(r"^- ", block, flags=re.MULTILINE)[1:]
            parts.append(f"<ul>{''.join(f'<li>{prose(item.strip())}</li>' for item in items)}</ul>")
        elif lines[0].startswith("```"):
            parts.append(fold("Provenance", f"<pre>{escape(block.strip('`').removeprefix('json'))}</pre>"))
        else:
            parts.append(f"<p>{prose(' '.join(lines))}</p>")
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m experiments.report_overview", description=__doc__.splitlines()[0])
    parser.add_argument("run_root", type=Path, nargs="?", default=Path("runs"), help="folder of all runs (runs)")
    run_root = parser.parse_args(arguments).run_root
    try:
        write_text(run_root / NAME, overview(run_root))
    except (SettingsError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(run_root / NAME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
