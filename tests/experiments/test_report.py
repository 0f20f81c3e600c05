"""The report: what it says, and that the page needs nothing beside it."""

import base64
import json
import re
from collections import namedtuple
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from experiments import report_content, report_html
from experiments.report import write_report
from experiments.report_content import duration, gather, layout_of, number, pivot_table
from experiments.report_html import as_html
from experiments.report_layout import Pivot
from experiments.report_markdown import as_markdown
from experiments.run_folder import RunFolder
from experiments.ubdiff import EXPERIMENT

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
METRICS = {
    "velocity/frechet": 2.0,
    "velocity/frechet_floor": 1.0,
    "velocity/frechet_ratio": 2.0,
    "velocity/family_encoder/frechet_ratio": 3.25,
    "velocity/mae_m_s": 6.5,
    "physics/residual_relative_l2": 0.8,
    "physics/shot_0/relative_l2": 0.11,
    "inversion/real/mae": 0.031,
    "inversion/published/mae": 0.0131,
    "inversion/real/field/dead_traces/mae": 0.07,
    "encoder/parameters": 12345.0,
    "paired/seconds": 125.0,
    "paired/peak_memory_bytes": 2.0**30,
    "never/heard_of": 1.5,
}
Sign = namedtuple("Sign", "name state evidence advice")
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Checks that tags close, and collects what the page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    made = RunFolder(tmp_path / "ubdiff" / "FlatVel-A-tiny-seed0")
    made.figures.mkdir(parents=True)
    (made.figures / "generated_pairs.png").write_bytes(PNG)
    made.metrics.write_text(json.dumps(METRICS))
    made.config.write_text("paired:\n  model: {x: '<1>'}\n")
    made.provenance.write_text(
        json.dumps(
            {"data": {"kind": "simulated", "sentence": "real maps & simulated gathers"}, "versions": {"torch": "2"}}
        )
    )
    made.stage("evaluate").mkdir()
    made.stage_record("evaluate").write_text(json.dumps({"features": {"velocity/frechet": "PCA-64 (abc123)"}}))
    return made


@pytest.fixture
def signs(monkeypatch) -> None:
    found = [Sign("one modality alone", "passed", "ratios 1.1 and 1.2", "do nothing"),
             Sign("no reflections", "raised", "residual 0.8 > 0.5", "train <longer>"),
             Sign("two steps", "unknown", "needs `--variant x`", "shorten step 1")]  # fmt: skip
    monkeypatch.setattr(report_content, "_signatures", lambda *_: tuple(found))


def test_the_page_is_whole_and_needs_nothing_beside_it(folder, signs):
    text = as_html(gather(EXPERIMENT, folder))
    page = Page(text)
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert base64.b64decode(page.references[0].partition(",")[2]) == PNG
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(r"@import|url\(", text)
    assert "prefers-color-scheme" in text
    assert "width=device-width" in text


def test_both_forms_say_the_same(folder, signs):
    content = gather(EXPERIMENT, folder)
    page, markdown = as_html(content), as_markdown(content)
    for said in ("0.0131", "published InversionNet", "3.25", "encoder of the family", "PCA-64 (abc123)", "2 min 05 s",
                 "1,024 MiB", "12,345", "Residual 0.8", "dead traces"):  # fmt: skip
        assert said in page.replace("&gt;", ">"), said
        assert said in markdown, said
    assert "real maps &amp; simulated gathers" in page
    assert "real maps & simulated gathers" in markdown
    assert "train &lt;longer&gt;" in page
    assert "x: &#x27;&lt;1&gt;&#x27;" in page
    assert "never/heard_of" in page  # in the list of all figures
    assert "figures/generated_pairs.png" in markdown


def test_only_a_raised_signature_gives_advice(folder, signs):
    content = gather(EXPERIMENT, folder)
    for text in (as_html(content), as_markdown(content)):
        assert "raised" in text
        assert "passed" in text
        assert (
            "none"
            not in re.sub(r"(?s)<style>.*?</style>", "", text).split("no reflections")[0].split("one modality")[-1]
        )


def test_every_figure_of_the_table_is_somewhere(folder):
    metrics = {name: 1.0 + i / 7 for i, name in enumerate(EXPERIMENT.metrics)}
    folder.metrics.write_text(json.dumps(metrics))
    layout = layout_of("ubdiff")
    plain = replace(layout, signatures=None)
    sections = report_content._sections(EXPERIMENT, plain, folder, metrics)
    shown = {cell for section in sections for table in section.tables for row in table.rows for cell in row}
    assert {number(value) for value in metrics.values()} <= shown


def test_every_picture_has_a_place_and_none_stands_twice(folder):
    for name in EXPERIMENT.figures:
        (folder.figures / name).write_bytes(PNG)
    sections = report_content._sections(EXPERIMENT, layout_of("ubdiff"), folder, {})
    placed = [picture.path.name for section in sections for picture in section.pictures]
    assert sorted(placed) == sorted(EXPERIMENT.figures)


def test_a_pivot_takes_what_matches_and_keeps_its_order():
    pivot = Pivot("c", r"a/(?P<row>\w+)/(?P<column>\w+)", "x", {"q": "Q", "p": "P"}, {"second": "2nd"})
    table, taken = pivot_table(pivot, {"a/first_one/p": 1.0, "a/second/q": 0.5, "a/second/r": 2.0, "b/first/p": 3.0})
    assert table.header == ("x", "Q", "P", "r")
    assert table.rows == (("2nd", "0.5", "", "2"), ("first one", "", "1", ""))
    assert taken == {"a/first_one/p", "a/second/q", "a/second/r"}
    assert pivot_table(pivot, {"b": 1.0}) == (None, set())


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.0, "0"), (1234567.0, "1,234,567"), (0.123456, "0.1235"), (6.5, "6.5"), (-2.0, "-2")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_figures_that_are_not_numbers_do_not_break_the_report():
    assert number(float("nan")) == "nan"
    assert number(float("inf")) == "inf"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.25, "4.2 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125.0, "2 min 05 s"), (7260.0, "2 h 01 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_run_beside_is_the_reference(folder):
    layout = layout_of("ubdiff")
    assert report_content._reference(layout, folder) is None
    beside = folder.root.with_name("FlatVel-A-tiny-without_two_step-seed0")
    beside.mkdir()
    (beside / "metrics.json").write_text('{"velocity/frechet": 9}')
    assert report_content._reference(layout, folder) == {"velocity/frechet": 9.0}


def test_the_program_writes_both_reports(folder, signs, capsys):
    assert report_html.main([str(folder.root)]) == 0
    assert Path(capsys.readouterr().out.strip()) == folder.root / "report.html"
    Page((folder.root / "report.html").read_text())
    assert "FlatVel-A-tiny-seed0" in folder.report.read_text()


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    assert report_html.main([str(tmp_path)]) == 2
    assert "no finished run is here" in capsys.readouterr().err
    (tmp_path / "metrics.json").write_text("{}")
    assert report_html.main([str(tmp_path)]) == 2
    assert "experiment's name" in capsys.readouterr().err


def test_a_variant_is_said(folder, signs):
    experiment = EXPERIMENT.as_variant("joint")
    write_report(experiment, folder)
    assert "variant joint" in (folder.root / "report.html").read_text()
    assert "variant `joint`" in folder.report.read_text()
