"""Every row of every ablation trains one step in each of its stages, and generates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.ablation_grid import grid_named, read_grids
from experiments.ablation_plan import Options, PlannedRow, common_options
from experiments.experiment import Experiment
from experiments.program import main
from experiments.run_folder import RunFolder, read_json
from experiments.ubdiff import EXPERIMENT

SMOKE = Path(__file__).parents[1] / "smoke.yaml"
MODEL_STAGES = ("autoencoder", "paired", "diffusion", "generate")


def _without_judging() -> Experiment:
    """The experiment up to the generated pairs; `whole` keeps the names of the other blocks known."""
    kept = {
        name: tuple(stage for stage in stages if stage.name in MODEL_STAGES)
        for name, stages in EXPERIMENT.variants.items()
    }
    return replace(EXPERIMENT, variants={**kept, "whole": EXPERIMENT.stages})


def _smallest(options: dict[str, Any]) -> dict[str, Any]:
    """A row's options where a number of pairs, maps or steps is as small as it can be; none of the stages left out."""
    small = {"shared.data.n_pairs": 8, "shared.data.n_synthetic_maps": 60}
    small |= {name: 1 for name in options if name.endswith(("max_steps", "max_epochs"))}
    return {name: small.get(name, value) for name, value in options.items() if not name.startswith("evaluate.")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ablations")


@pytest.mark.slow(minutes=0.7)
@pytest.mark.parametrize("grid", list(read_grids("ubdiff")))
def test_every_row_runs_one_step(grid, root):
    options = Options(
        "FlatVel-A",
        "tiny",
        SMOKE,
        cache_root=str(root / "cache"),
        run_root=root / "runs",
        dotted=tuple(
            f"--{stage}.trainer.{limit}=1" for stage in MODEL_STAGES[:3] for limit in ("max_steps", "max_epochs")
        ),
    )
    experiment, layers = _without_judging(), options.layers("ubdiff")
    for row in grid_named("ubdiff", grid).rows:
        common = common_options(experiment, row.variant, options.dotted)
        planned = PlannedRow(row, row.name, _smallest(row.options(layers)), common)
        assert main(experiment, planned.arguments(options, 0)) == 0, row.name
        folder = RunFolder(options.run_root / "ubdiff" / planned.run_name(options, 0))
        for stage in experiment.as_variant(row.variant or "").stages:
            assert read_json(folder.stage_record(stage.name))["finished"], (row.name, stage.name)
        assert folder.samples.exists()
