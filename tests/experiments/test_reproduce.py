"""Reference values: read, compared, told apart, written anew."""

import json
from pathlib import Path

import pytest
import yaml

from experiments import reproduce
from experiments.reproduce import Value, main, read_reference, references


def test_every_shipped_reference_can_be_read_and_says_what_it_was_made_from():
    assert references()
    for name in references():
        content = yaml.safe_load((reproduce.REFERENCES / f"{name}.yaml").read_text())
        assert len(content["git_revision"]) >= 40
        for run in read_reference(name):
            assert callable(reproduce._main_of(run.program))
            assert run.values
            assert all(value.relative or value.absolute for value in run.values)
            assert all(value.value != 0.0 for value in run.values), "a value that nobody has written"


@pytest.mark.parametrize(
    ("value", "found", "agrees"),
    [
        (Value("a", 10.0, relative=0.1), 10.9, True),
        (Value("a", 10.0, relative=0.1), 11.1, False),
        (Value("a", -10.0, relative=0.1), -10.9, True),
        (Value("a", 0.9, absolute=0.05), 0.94, True),
        (Value("a", 0.9, absolute=0.05), 0.96, False),
        (Value("a", 0.9, absolute=0.05), None, False),
        (Value("a", 0.9, absolute=0.05), float("nan"), False),
    ],
)
def test_a_value_agrees_within_its_tolerance(value, found, agrees):
    assert value.agrees(found) is agrees


@pytest.fixture
def reference(tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce, "REFERENCES", tmp_path / "reference")
    (tmp_path / "reference").mkdir()
    run = {"program": "experiments.nothing", "arguments": ["run"], "results": "paper/run/metrics.json"}
    values = {"field/rmse": {"value": 2.0, "relative": 0.1}, "nested.count": {"value": 4533248.0, "absolute": 0.5}}
    content = {"git_revision": "", "runs": [{**run, "values": values}]}
    (tmp_path / "reference" / "paper-tiny.yaml").write_text("# kept\n" + yaml.safe_dump(content))
    return tmp_path


def results(folder: Path, rmse: float) -> None:
    path = folder / "runs" / "paper" / "run" / "metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"field/rmse": rmse, "nested": {"count": 4533248}}))


def compare(folder: Path, *more: str) -> int:
    return main(["--paper", "paper", "--run_root", str(folder / "runs"), "--compare_only", *more])


def test_what_agrees_and_what_does_not(reference, capsys):
    results(reference, 2.1)
    assert compare(reference) == 0
    assert "2 of 2 values" in capsys.readouterr().out
    results(reference, 2.5)
    assert compare(reference) == 1
    assert "**no**" in (reference / "runs" / "paper-tiny.md").read_text()
    told = json.loads((reference / "runs" / "paper-tiny.json").read_text())["values"]
    assert [entry["agrees"] for entry in told] == [False, True]


def test_a_missing_result_is_no_agreement(reference):
    assert compare(reference) == 1
    assert "missing" in (reference / "runs" / "paper-tiny.md").read_text()


def test_a_new_reference_keeps_tolerances_and_comments(reference):
    results(reference, 2.5)
    assert compare(reference, "--write") == 0
    assert compare(reference) == 0
    text = (reference / "reference" / "paper-tiny.yaml").read_text()
    assert text.startswith("# kept\n")
    assert yaml.safe_load(text)["runs"][0]["values"]["field/rmse"] == {"value": 2.5, "relative": 0.1}


def test_no_such_reference(reference, capsys):
    assert main(["--paper", "papers"]) == 2
    assert "paper-tiny" in capsys.readouterr().err
