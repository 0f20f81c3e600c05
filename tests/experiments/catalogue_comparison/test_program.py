"""The comparison's commands, through its own entry, with our tool alone and small catalogues."""

import functools
import json

import pytest

from experiments.catalogue_comparison import rising_rates
from experiments.catalogue_comparison.program import main
from experiments.catalogue_comparison.tools import StoppedError

# The simulator's medium of three dimensions, and programs of their own.
pytestmark = pytest.mark.slow(minutes=0.4)


@pytest.fixture(autouse=True, scope="module")
def simulated_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rising_rates, "simulate_catalogue", functools.cache(rising_rates.simulate_catalogue))
        yield


def test_rising_rates_score_and_draw(tmp_path):
    assert main(["synthetic", "--per_minute", "2", "--events", "20", "--out", str(tmp_path)]) == 0
    (row,) = json.loads((tmp_path / "rates.json").read_text())["rows"]
    assert (row["tool"], row["n_true"]) == ("ours", 20)
    assert row["event_f1"] > 0.8
    assert row["pick_f1"] > 0.8
    assert "| 2 a minute |" in (tmp_path / "rates.md").read_text()
    assert (tmp_path / "rates.png").stat().st_size > 5000


def test_a_tool_that_was_stopped_has_a_row_that_says_so(tmp_path, monkeypatch, capsys):
    def stopped(tool, *_):
        raise StoppedError(f"{tool.name} was stopped after 5 CPU-s; give it more, or smaller catalogues.")

    monkeypatch.setattr(rising_rates, "run", stopped)
    arguments = ["--per_minute", "2", "--events", "20", "--limit_cpu_s", "5", "--out", str(tmp_path)]
    assert main(["synthetic", *arguments]) == 0
    assert "stopped after 5 CPU-s" in (tmp_path / "rates.md").read_text()
    assert "was stopped" in capsys.readouterr().err


def test_growth_is_measured_row_by_row(tmp_path):
    assert main(["growth", "--days", "2", "1", "--events_per_day", "15", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "growth.json").read_text())["rows"]
    assert [row["days"] for row in rows] == [1, 2]
    assert all(row["n_found"] > 0 and row["cpu_s"] >= row["association_cpu_s"] > 0 for row in rows)
    assert (tmp_path / "growth.png").stat().st_size > 5000
