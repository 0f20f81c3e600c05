"""Cubism's table, from run folders with known figures."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments import cubism_generalisation, cubism_table
from experiments.cubism_comparison import relations
from experiments.cubism_methods import METHODS, SEVEN
from experiments.cubism_runs import Direction, Plan, collect
from experiments.cubism_table_content import points
from experiments.settings import nested

L_TO_D, D_TO_L = Direction("Llaima", "Deception"), Direction("Deception", "Llaima")
N_LP, N_VT = 30, 10


def finished_run(plan: Plan, direction: Direction, method: str, seed: int, f1: float, **more: float) -> None:
    """A run folder as the pipeline leaves it."""
    folder = plan.run_folder(direction, method, seed)
    defaults = {"data.order": "ours", "data.mean_removal": True, "data.band_pass": True, "data.padding": "background"}
    defaults |= {"data.floor_db": 60.0, "data.crop": True, "data.resize": "antialiased", "data.size": 64}
    defaults |= {"data.standardization": "none", "model.representation": "latent", "model.pretrained": None}
    config = {}
    for stage, settings in plan.settings(direction, method, seed).items():
        folder.stage(stage).mkdir(parents=True)
        folder.stage_record(stage).write_text(json.dumps({"finished": True}))
        config[stage] = {}
        for name, value in {**defaults, **settings}.items():
            merged = nested(name, value)
            block, content = next(iter(merged.items()))
            if isinstance(content, dict):
                config[stage].setdefault(block, {}).update(content)
            else:
                config[stage][block] = content
    folder.config.write_text(yaml.safe_dump(config))
    measures = dict.fromkeys(("accuracy", "precision", "recall", "f1", "recall_lp", "recall_vt"), f1)
    metrics = {f"target/{name}": value for name, value in measures.items()}
    metrics |= {"oracle/f1": f1 + 0.05, "validator/f1": f1 - 0.02, "transfer/seconds": 60.0, "evaluate/seconds": 5.0}
    folder.metrics.write_text(json.dumps({**metrics, "target/n": N_LP + N_VT, **more}))
    provenance = {"data": {"kind": "synthetic", "sentence": "synthetic twins"}}
    folder.provenance.write_text(json.dumps(provenance))
    draw = np.random.default_rng(seed)
    lines = ["event_id,group,true_class,predicted_class,probability_lp,probability_vt"]
    for i in range(N_LP + N_VT):
        p = draw.random() * 0.5 + 0.5 * (i >= N_LP)
        lines.append(f"{i},{i},{'VT' if i >= N_LP else 'LP'},{'VT' if p > 0.5 else 'LP'},{1 - p:.4f},{p:.4f}")
    (folder.root / "predictions.csv").write_text("\n".join(lines) + "\n")
    np.savez(
        folder.stage("evaluate") / "embedding.npz", points=np.zeros((4, 2), np.float32), is_source=[True, True] * 2,
        label=np.array([0, 1, 0, -1]),
    )  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    return Plan((L_TO_D, D_TO_L), tuple(METHODS), (0, 1), "tiny", run_root=tmp_path)


def score(method: str, seed: int) -> float:
    """The paper's order but for one pair of neighbours."""
    order = [*SEVEN, "source-balanced", "source-adabn"]
    place = {"bmix-da": "cubism", "cubism": "bmix-da"}.get(method, method)
    return 0.4 + 0.05 * order.index(place) + 0.01 * seed


@pytest.fixture(scope="module")
def whole_plan(tmp_path_factory):
    return Plan((L_TO_D, D_TO_L), tuple(METHODS), (0, 1), "tiny", run_root=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def table(whole_plan):
    plan = whole_plan
    for direction in plan.directions:
        for method in plan.methods:
            for seed in plan.seeds:
                if (method, seed) != ("dann", 1):
                    finished_run(plan, direction, method, seed, score(method, seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        assert cubism_table.main(["--seeds", "0,1", "--run_root", str(plan.run_root), "--table_only"]) == 0
    return plan.folder


def test_the_table_has_means_spreads_the_paper_and_the_controls(table):
    said = (table / "table.md").read_text()
    cubism = next(line for line in said.splitlines() if line.startswith("| Cubism |"))
    assert "65.5 ± 0.7 (92.4)" in cubism
    assert "(95.0)" in cubism
    assert "| control: everything is LP | 75.0 | 37.5 | 50.0 | 42.9 | 100.0 | 0.0 | - |" in said
    assert "Source-Only, class-balanced" in said
    assert "synthetic twins" in said
    assert "trained from scratch" in said
    assert "order as published, no mean removal, no band pass, no crop, padding zero, floor 60 dB" in said
    assert "last epoch" in said
    assert "| DANN, Llaima to Deception, seed 1 | not run |" in said
    assert "ORACLE, not used" in said


def test_which_of_the_paper_s_order_holds_is_computed_seed_by_seed(table, whole_plan):
    said = (table / "table.md").read_text()
    assert "| Cubism > BMix-DA, mean of both | NO | -5.0 ± 0.0 | 0 of 2 | +1.9 |" in said
    assert "| DANN > DM-ADA-Flow, Llaima to Deception | yes | +5.0 | 1 of 1 | +2.9 |" in said
    assert "Of the 6 neighbours 5 stand as in the paper (mean of both); not so: Cubism > BMix-DA" in said
    found = {(r.better, r.worse, r.where): r for r in relations(collect(whole_plan))}
    assert found["dann", "source-only", "mean of both"].difference.mean == pytest.approx(20)
    assert found["cubism", "dann", L_TO_D.words].paper == pytest.approx(9.39)  # the abstract's 9.4
    assert found["source-balanced", "source-only", "mean of both"].paper is None


def test_numbers_stand_in_csv_json_and_html_too(table):
    with (table / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 * len(METHODS) - 1) + 2
    assert sum(row["method"] == "all-lp" for row in rows) == 2
    found = json.loads((table / "table.json").read_text())
    method = found["directions"]["Llaima-Deception"]["methods"]["cubism"]
    assert method["metrics"]["target/f1"]["mean"] == pytest.approx(0.655)
    assert method["paper"]["f1"] == 92.38
    assert found["kinds"] == ["synthetic"]
    page = (table / "table.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "65.5 ± 0.7 (92.4)" in page


def test_our_preprocessing_stands_in_a_part_of_its_own(tmp_path):
    plan = Plan((L_TO_D,), ("dann", "bmix-da"), (0,), "tiny", run_root=tmp_path)
    beside = plan.with_our_preprocessing()
    assert beside is not None
    assert beside.methods == ("dann",)
    finished_run(plan, L_TO_D, "dann", 0, 0.6)
    finished_run(beside, L_TO_D, "dann", 0, 0.9)
    arguments = ["--one_way", "--methods", "dann,bmix-da", "--seeds", "0", "--run_root", str(tmp_path), "--table_only"]
    assert cubism_table.main(arguments) == 0
    main_part, _, part = (plan.folder / "table.md").read_text().partition("## With our preprocessing")
    assert "| DANN | 60.0" in main_part
    assert "| DANN | 90.0" in part
    assert "order ours, padding background" in part
    found = json.loads((plan.folder / "table.json").read_text())["with our preprocessing"]
    assert found["directions"]["Llaima-Deception"]["methods"]["dann"]["metrics"]["target/f1"]["mean"] == 0.9
    assert cubism_table.main([*arguments, "--main_only"]) == 0
    assert "With our preprocessing" not in (plan.folder / "table.md").read_text()


def test_too_few_events_are_not_ranked(tmp_path):
    directions = (Direction("NVCh", "CAU"),)
    plan = Plan(directions, ("source-only", "dann"), (0,), "tiny", run_root=tmp_path)
    for method in plan.methods:
        finished_run(plan, directions[0], method, 0, 0.5, **{"target/n_events": 4, "target/event_accuracy": 0.75})
    arguments = ["--source", "NVCh", "--target", "CAU", "--one_way", "--methods", "source-only,dann", "--seeds", "0"]
    assert cubism_table.main([*arguments, "--run_root", str(tmp_path), "--table_only"]) == 0
    said = (plan.folder / "table.md").read_text()
    assert "No ranking is drawn from this pair: 40 traces of 4 events" in said
    assert "accuracy by event" in said
    assert "paper's order" not in said
    assert "With our preprocessing" not in said


def test_a_run_made_otherwise_has_no_figures(plan):
    finished_run(plan, L_TO_D, "cubism", 0, 0.9)
    config = plan.run_folder(L_TO_D, "cubism", 0).config
    config.write_text(config.read_text().replace("co_balanced", "source"))
    row = collect(plan)[L_TO_D]["cubism"]
    assert row.missing[0] == "made with model.balance = source, not co_balanced"
    assert points(row.spread("target/f1")) == "-"


def test_the_paper_s_values_are_those_of_its_table(plan):
    for method in SEVEN:
        for accuracy, precision, recall, f1 in METHODS[method].paper.values():
            assert all(40 < value < 97 for value in (accuracy, precision, recall, f1))
    f1 = [np.mean([values[3] for values in METHODS[m].paper.values()]) for m in SEVEN]
    assert f1 == sorted(f1), "the paper's order"
    assert METHODS["cubism"].paper[D_TO_L.label] == (96.15, 95.75, 91.44, 93.41)


def test_every_command_is_one_the_experiment_takes(plan, capsys, tmp_path):
    assert cubism_table.main(["--seeds", "0-1", "--run_root", str(tmp_path), "--dry_run"]) == 0
    commands = capsys.readouterr().out.splitlines()
    assert len(commands) == 2 * 2 * (len(METHODS) + 3), "three methods with our preprocessing too"
    assert "--method cubism" in "".join(commands)
    from experiments.cubism import main

    words = commands[-1].split()
    assert main([*words[words.index("run") :], "--print_config"]) == 0


def test_all_methods_of_one_direction_are_a_table_too(monkeypatch):
    from experiments.cubism import main

    given = []
    monkeypatch.setattr(cubism_table, "main", lambda arguments: given.append(arguments) or 0)
    assert main(["run", "--method", "all", "--source", "Deception", "--target", "Llaima", "--seed", "7", "--preset",
                 "tiny", "--transfer.trainer.max_epochs", "2"]) == 0  # fmt: skip
    assert given[0][:6] == ["--source", "Deception", "--target", "Llaima", "--one_way", "--main_only"]
    assert given[0][6:8] == ["--seeds", "7"]
    assert given[0][-2:] == ["--transfer.trainer.max_epochs", "2"]
    assert main(["fit", "--stage", "transfer", "--method", "all"]) == 2
    assert main(["run", "--method", "all", "--name", "mine"]) == 2


WRONG = [
    (["--methods", "dan"], "did you mean 'dann'"),
    (["--seeds", "a"], "0-4"),
    (["--seeds", "1,1"], "each seed once"),
    (["--jobs", "0"], "--jobs 0"),
    (["--shared.data.source", "CAU"], "--source"),
    (["--preset", "tinny"], "did you mean"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_options_get_one_sentence(tmp_path, capsys, arguments, message):
    assert cubism_table.main(["--run_root", str(tmp_path / "runs"), *arguments]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert message in said[0]
    assert not (tmp_path / "runs").exists()


def test_generalisation_draws_both_volcanoes_folds(tmp_path):
    options = cubism_generalisation.parser().parse_args(["--run_root", str(tmp_path), "--folds", "2"])
    runs = cubism_generalisation.folds(options, ())
    assert len(runs) == 4
    assert "--shared.data.validation_fold=1" in runs[1].arguments
    for i, run in enumerate(runs):
        folder = tmp_path / "cubism" / run.name
        folder.mkdir(parents=True)
        values = {"held_out/accuracy": 0.9 + 0.02 * i, "held_out/f1": 0.9, "target/accuracy": 0.6, "target/f1": 0.5}
        (folder / "metrics.json").write_text(json.dumps(values))
    out = tmp_path / "out"
    out.mkdir()
    cubism_generalisation.write(runs, tmp_path / "cubism", out, "tiny", 0)
    found = json.loads((out / "generalisation.json").read_text())["results"]
    assert list(found) == ["Llaima to Llaima", "Llaima to Deception", "Deception to Deception", "Deception to Llaima"]
    assert found["Llaima to Llaima"]["accuracy"]["mean"] == pytest.approx(0.91)
    assert found["Deception to Llaima"]["f1"]["mean"] == pytest.approx(0.5)
    assert Path(out / "generalisation.png").stat().st_size > 1000
