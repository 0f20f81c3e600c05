"""Running an ablation and writing its table, with a stand-in for the experiment's process."""

import csv
import io
import json
import statistics
import sys
from pathlib import Path

import pytest

from experiments import ablation, ablation_plan
from experiments.ablation_comparison import comparison, comparison_lines, improvement
from experiments.ablation_grid import Row
from experiments.ablation_plan import Options, PlannedRow
from experiments.ablation_table import RowResult, Spread, as_csv, as_markdown, collect
from experiments.ubdiff import EXPERIMENT

SEEDS = (0, 1, 2)


def _finish(root: Path, name: str, metrics: dict[str, float], config: str = "paired: {model: {x: 1}}\n") -> Path:
    folder = root / "ubdiff" / name
    (folder / "paired").mkdir(parents=True)
    (folder / "paired" / "stage.json").write_text('{"finished": true}')
    (folder / "config.yaml").write_text(config)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "provenance.json").write_text(
        '{"data": {"kind": "simulated", "sentence": "real maps, simulated gathers"}}'
    )
    return folder


def _result(name: str, runs: dict[int, dict[str, float]], kinds: tuple[str, ...] = ("simulated",)) -> RowResult:
    return RowResult(PlannedRow(Row(name), name), runs, ["real maps, simulated gathers"], list(kinds))


# -- the table ---------------------------------------------------------------------------------------------------------


def test_mean_and_spread_are_those_of_the_seeds(tmp_path):
    options = Options("FlatVel-A", "tiny", run_root=tmp_path)
    row = PlannedRow(Row("cnn"), "cnn", {"shared.model.x": 1})
    values = dict(zip(SEEDS, (1.0, 1.5, 2.6), strict=True))
    for seed, value in values.items():
        _finish(tmp_path, f"FlatVel-A-tiny-seed{seed}-cnn", {"velocity/frechet_ratio": value, "paired/seconds": 10.0,
                "evaluate/seconds": 5.0, "sampling/deep/seconds": 99.0, "autoencoder/cpu_seconds": 4.0,
                "paired/cpu_seconds": 8.0, "evaluate/cpu_seconds": 2.0})  # fmt: skip
    result = collect(EXPERIMENT, row, options, SEEDS)
    spread = result.spread("velocity/frechet_ratio")
    assert spread.mean == pytest.approx(sum(values.values()) / 3)
    assert spread.sd == pytest.approx(statistics.stdev(values.values()))
    assert result.spread("run/seconds").mean == 15.0
    assert result.spread("run/cpu_seconds").mean == 14.0
    assert result.spread("run/generator_cpu_seconds").mean == 12.0
    assert result.kinds == ["simulated"]


def test_what_is_not_finished_or_was_made_otherwise_has_no_figures(tmp_path):
    options = Options("FlatVel-A", "tiny", run_root=tmp_path)
    row = PlannedRow(Row("cnn"), "cnn", {"shared.model.x": 2})
    _finish(tmp_path, "FlatVel-A-tiny-seed0-cnn", {"seismic/mae": 1.0})
    half = _finish(tmp_path, "FlatVel-A-tiny-seed1-cnn", {"seismic/mae": 1.0}, "paired: {model: {x: 2}}\n")
    (half / "paired" / "stage.json").write_text('{"finished": false}')
    result = collect(EXPERIMENT, row, options, SEEDS)
    assert result.runs == {}
    assert "paired.model.x is 1, not 2" in result.missing[0]
    assert "anew" in result.missing[1]
    assert result.missing[2] == "not run"


def test_a_single_seed_has_no_spread_and_a_nan_is_no_figure():
    result = _result("r", {0: {"seismic/mae": 0.5, "velocity/mae_m_s": float("nan")}})
    assert str(result.spread("seismic/mae")) == "0.5"
    assert result.spread("velocity/mae_m_s") is None


def test_markdown_and_csv_say_the_same():
    grid = ablation.grid_named("ubdiff", "decoder")
    results = [
        _result("cnn", {0: {"seismic/mae": 0.25}, 1: {"seismic/mae": 0.75}}),
        _result("single_token", {}, kinds=()),
    ]
    results[1].missing[0] = "not run"
    text = as_markdown(grid, results, Options("FlatVel-A", "tiny"), (0, 1))
    assert "| cnn | simulated | 2 | 0.5 ± 0.35 |" in text
    assert "real maps, simulated gathers" in text
    assert "- single_token, seed 0: not run" in text
    rows = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert float(rows[0]["seismic/mae"]) == 0.5
    assert float(rows[0]["seismic/mae/sd"]) == pytest.approx(statistics.stdev([0.25, 0.75]))
    assert rows[1]["seismic/mae"] == ""


# -- UB-Diff against its rivals ----------------------------------------------------------------------------------------


def test_improvement_is_the_share_of_the_rivals_error_seed_by_seed():
    ours = _result(
        "ub_diff", {0: {"velocity/frechet": 8.0}, 1: {"velocity/frechet": 5.0}, 2: {"velocity/frechet": 1.0}}
    )
    rival = _result("joint", {0: {"velocity/frechet": 10.0}, 1: {"velocity/frechet": 20.0}})
    gain = improvement(ours, rival, "velocity/frechet")
    assert dict(gain.values) == {0: pytest.approx(0.2), 1: pytest.approx(0.75)}


def test_rivals_stand_under_the_promised_names_with_the_papers_figure_beside():
    metrics = {"velocity/frechet": 2.0, "seismic/family_encoder/frechet": 4.0, "physics/residual_relative_l2": 1.0,
               "inversion/generated/mae": 0.1, "inversion/generated/ssim": 0.9, "velocity/mae_m_s": 3.0}  # fmt: skip
    ours = _result("ub_diff", {0: {name: value / 2 for name, value in metrics.items()}})
    found = comparison([ours, _result("joint", {0: metrics}), _result("cnn", {0: metrics})])
    assert found["baseline/joint/velocity/frechet"]["mean"] == 2.0
    assert found["baseline/joint/seismic/family_encoder/frechet"]["mean"] == 4.0
    assert found["baseline/joint/physics/residual_relative_l2"]["mean"] == 1.0
    assert found["inversion/baseline_joint/mae"]["mean"] == 0.1
    assert "baseline/joint/velocity/mae_m_s" not in found
    gain = found["improvement/joint/seismic/family_encoder/frechet"]
    assert gain["mean"] == pytest.approx(0.5)
    assert gain["paper"] == "8 to 10 %"
    assert gain["paper_note"] == "other features, relative only"
    assert found["improvement/joint/velocity/frechet"]["paper"] == "7 to 22 %"


def test_where_ub_diff_is_worse_it_is_said():
    ours = _result("ub_diff", {0: {"velocity/frechet": 1.0, "physics/residual_relative_l2": 2.0}})
    rival = _result("joint", {0: {"velocity/frechet": 2.0, "physics/residual_relative_l2": 1.0}})
    text = "\n".join(comparison_lines([ours, rival]))
    assert "better on 1 of 2 figures; not on: physics, residual relative L2" in text
    assert "-100.0 %" in text
    assert comparison_lines([ours]) == []


def test_without_prior_physics_has_a_comparison_of_its_own():
    names = ("velocity/frechet", "seismic/frechet")
    ours, learned, joint = (
        _result(row, {0: dict(zip(names, values, strict=True))})
        for row, values in {"ub_diff": (1.0, 1.0), "learned_decoder": (1.0, 4.0), "joint": (2.0, 2.0)}.items()
    )
    found = comparison([ours, learned, joint])
    assert found["improvement/joint/seismic/frechet"]["mean"] == 0.5
    assert found["improvement_of_learned_decoder/joint/seismic/frechet"]["mean"] == -1.0
    text = "\n".join(comparison_lines([ours, learned, joint]))
    assert "Against `joint`: UB-Diff is better on all 2 figures." in text
    assert "UB-Diff without prior physics is better on 1 of 2 figures; not on: seismic" in text
    assert comparison_lines([ours, learned]) == []


@pytest.mark.parametrize(("seconds", "said"), [(90.0, "with 90 % of"), (30.0, "with 30 % of"), (None, "")])
def test_a_rival_with_less_training_is_not_called_like_for_like(seconds, said):
    ours = _result("ub_diff", {0: {"velocity/frechet": 1.0, "run/generator_cpu_seconds": 100.0}})
    budget = {} if seconds is None else {"run/generator_cpu_seconds": seconds}
    text = "\n".join(comparison_lines([ours, _result("joint", {0: {"velocity/frechet": 2.0} | budget})]))
    assert said in text
    assert ("CPU time" in text) == bool(said)
    assert ("not the same budget" in text) == (seconds == 30.0)


def test_spread_without_seeds_in_common_is_none():
    assert improvement(_result("a", {0: {"x": 1.0}}), _result("b", {1: {"x": 1.0}}), "x") is None
    assert Spread({0: 2.0}).sd is None


# -- running -----------------------------------------------------------------------------------------------------------

STAND_IN = """
import json, pathlib, sys
name = sys.argv[sys.argv.index("--name") + 1]
root = pathlib.Path(sys.argv[sys.argv.index("--run_root") + 1])
print("ubdiff: stage paired: anew (not run before)", file=sys.stderr)
if "single_token" in name:
    print("error: paired: no", file=sys.stderr)
    sys.exit(int("CODE"))
folder = root / "ubdiff" / name
(folder / "paired").mkdir(parents=True)
(folder / "paired" / "stage.json").write_text('{"finished": true}')
(folder / "config.yaml").write_text("paired: {}")
(folder / "metrics.json").write_text(json.dumps({"seismic/mae": 0.5, "velocity/mae_m_s": 20.0}))
(folder / "provenance.json").write_text('{"data": {"kind": "synthetic", "sentence": "synthetic maps"}}')
"""


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Replace each row's process by one that writes what a run leaves behind; `single_token` fails."""

    def use(code: int) -> None:
        script = tmp_path / "stand_in.py"
        script.write_text(STAND_IN.replace("CODE", str(code)))
        monkeypatch.setattr(
            ablation_plan.PlannedRow,
            "command",
            lambda row, _, options, seed: [sys.executable, str(script), *row.arguments(options, seed)],
        )
        monkeypatch.setattr(ablation, "check_rows", lambda *_: None)
        monkeypatch.setattr(ablation.signal, "signal", lambda *_: None)

    return use


def _call(tmp_path: Path, *arguments: str) -> int:
    common = ["ubdiff", "--grid", "decoder", "--seeds", "0,1", "--run_root", str(tmp_path / "runs")]
    return ablation.main([*common, "--cache_root", str(tmp_path / "cache"), *arguments])


def test_a_row_that_fails_is_reported_and_the_others_go_on(stand_in, tmp_path, capsys):
    stand_in(3)
    assert _call(tmp_path) == 1
    said = capsys.readouterr().err
    assert "FlatVel-A-tiny-seed1-single_token failed (exit code 3): error: paired: no" in said
    folder = tmp_path / "runs" / "ubdiff" / "ablations" / "FlatVel-A-tiny-decoder"
    table = json.loads((folder / "table.json").read_text())
    assert table["rows"]["cnn"]["metrics"]["seismic/mae"] == {
        "mean": 0.5,
        "sd": 0.0,
        "n": 2,
        "values": {"0": 0.5, "1": 0.5},
    }
    assert table["rows"]["single_token"]["missing"] == {"0": "not run", "1": "not run"}
    assert "| cnn | synthetic | 2 |" in (folder / "table.md").read_text()
    assert (folder / "table.csv").exists()
    assert "stage paired" in (folder / "logs" / "FlatVel-A-tiny-seed0-cnn.log").read_text()


def test_an_interrupted_row_stops_the_grid_and_the_table_is_written(stand_in, tmp_path, capsys):
    stand_in(130)
    assert _call(tmp_path) == 130
    table = json.loads((tmp_path / "runs/ubdiff/ablations/FlatVel-A-tiny-decoder/table.json").read_text())
    assert set(table["rows"]["cnn"]["missing"]) == {"1"}  # seed 1 was not begun
    assert "call again to go on" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt, ablation._TerminatedError])
def test_nothing_goes_on_when_the_grid_is_stopped(error, tmp_path, monkeypatch):
    """The run that is under way has ended before the exception leaves."""
    script = "import time, sys; print('ubdiff: stage paired: anew', flush=True); time.sleep(0.3 if INT else 60)"
    script = script.replace("INT", str(error is KeyboardInterrupt))

    class Bar:
        def set_postfix_str(self, *_: object) -> None:
            raise error

    started = []
    whole = ablation.subprocess.Popen
    monkeypatch.setattr(ablation.subprocess, "Popen", lambda *a, **k: started.append(whole(*a, **k)) or started[0])
    with pytest.raises(error):
        ablation._run_one([sys.executable, "-c", script], tmp_path / "log", Bar(), "name")
    assert started[0].returncode == (0 if error is KeyboardInterrupt else -15)


def test_only_the_table_and_only_the_commands(tmp_path, capsys):
    assert _call(tmp_path, "--table_only") == 0
    assert "no run is finished" in (tmp_path / "runs/ubdiff/ablations/FlatVel-A-tiny-decoder/table.md").read_text()
    capsys.readouterr()
    assert _call(tmp_path, "--dry_run", "--paired.trainer.max_epochs", "2") == 0
    commands = capsys.readouterr().out.splitlines()
    assert len(commands) == 2 * len(ablation.grid_named("ubdiff", "decoder").rows)  # two seeds
    assert all("--shared.model.seismic_decoder=" in command for command in commands)
    assert all("--paired.trainer.max_epochs=" in command for command in commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ubdif", "--grid", "freeze"], "known are: ubdiff"),
        (["ubdiff", "--grid", "freezes"], "did you mean 'freeze'"),
        (["ubdiff", "--grid", "freeze", "--seeds", "0,one"], "--seeds 0,one"),
        (["ubdiff", "--grid", "freeze", "--seeds", "0,0"], "each seed once"),
        (["ubdiff", "--grid", "freeze", "--preset", "tinny"], "did you mean 'tiny'"),
        (["ubdiff", "--grid", "freeze", "--config", "absent.yaml"], "absent.yaml"),
        (["ubdiff", "--grid", "freeze", "--nodots", "1"], "--nodots"),
    ],
)
def test_mistakes_are_said_in_one_sentence(arguments, said, capsys, monkeypatch):
    monkeypatch.setattr(ablation.signal, "signal", lambda *_: None)
    assert ablation.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")


def test_the_figure_has_a_line_a_strategy(stand_in, tmp_path, monkeypatch):
    stand_in(3)
    drawn = []
    from experiments import ablation_figures

    whole = ablation_figures._draw_line

    def draw_line(axes, rows, *rest):
        drawn.append(len(rows))
        whole(axes, rows, *rest)

    monkeypatch.setattr(ablation_figures, "_draw_line", draw_line)
    assert _call(tmp_path, "--grid", "freeze", "--seeds", "0") == 0
    assert drawn == [3] * 5
    folder = tmp_path / "runs" / "ubdiff" / "ablations" / "FlatVel-A-tiny-freeze"
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "![" in (folder / "table.md").read_text()
