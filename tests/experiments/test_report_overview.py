"""The page over all runs: whole, nothing beside it, and honest about where figures come from."""

import json

import pytest

from experiments.report_overview import main, overview
from tests.experiments.test_report import PNG, Page


@pytest.fixture
def runs(tmp_path):
    for paper, name, metrics in (
        ("ubdiff", "FlatVel-A-tiny-seed0", {"physics/residual_relative_l2": 0.123}),
        ("harpa", "overthrust-tiny-seed0", {"association/gauss_newton/accuracy": 0.987}),
    ):
        folder = tmp_path / paper / name
        (folder / "figures").mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(metrics))
        data = {"kind": "synthetic", "sentence": f"maps & speeds of {paper}"}
        provenance = {"data": data, "seed": 7, "git_revision": "0123456789abcdef" * 2 + "01234567-dirty"}
        (folder / "provenance.json").write_text(json.dumps(provenance))
        (folder / "config.yaml").write_text("a: 1\n")
        (folder / "report.md").write_text("# not taken over\n\nof a run")
    table = tmp_path / "table"
    table.mkdir()
    (table / "picture.png").write_bytes(PNG)
    (table / "table.md").write_text(
        "# A table\n\nWith `code` & words.\n\n| method | F1 |\n| --- | --- |\n| **ours** | .9 |\n| DANN | .8 |\n\n"
        "![What it shows](picture.png)\n\n- first\n- second\n\n```json\n{}\n```\n"
    )
    return tmp_path


def test_the_page_has_every_run_and_every_table(runs):
    text = overview(runs)
    page = Page(text)
    assert not page.tags & {"script", "iframe"}
    outside = [reference for reference in page.references if not reference.startswith("data:")]
    assert sorted(outside) == sorted(
        f"{paper}/{name}/{file}"
        for paper, name in (("ubdiff", "FlatVel-A-tiny-seed0"), ("harpa", "overthrust-tiny-seed0"))
        for file in ("report.html", "config.yaml")
    )
    for part in ("0.123", "0.987", "01234567-dirty"[:8], "maps &amp; speeds of ubdiff", "<strong>ours</strong>"):
        assert part in text, part
    for part in ("Fig. 15, 8x20, CF .79", "ACC .963, e_l .02 s", "7 to 22 % better"):
        assert part in text, "the papers' own values stand beside"
    assert "<code>code</code> &amp; words" in text
    assert "data:image/png;base64," in text
    assert "not taken over" not in text


def test_the_command_writes_one_file(runs, capsys):
    assert main([str(runs)]) == 0
    assert (runs / "report.html").read_text().startswith("<!doctype html>")


def test_nothing_there_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "no finished run" in capsys.readouterr().err
    assert main([str(tmp_path / "none")]) == 2
    assert not list(tmp_path.iterdir())
