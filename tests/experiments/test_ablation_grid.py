"""Ablation grids and W&B sweeps: what rows stand for, and that the experiment's own parser takes every one of them."""

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.ablation_grid import Row, grid_named, look_up, read_grids
from experiments.ablation_plan import Options, plan_rows
from experiments.cli import SuiteCLI, load
from experiments.errors import SettingsError
from experiments.experiment import Subcommand
from experiments.program import parser_of, quiet, settings_of
from experiments.ubdiff import EXPERIMENT

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "experiments" / "grids" / "quick.yaml"
SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("ubdiff*.yaml"))
LAYERS = [
    {
        "shared": {"data": {"n_pairs": 100}, "trainer": {"max_epochs": 7}},
        "paired": {"trainer": {"max_epochs": 40}, "data": {"batch_size": 8}},
        "variants": {"joint": {"paired": {"trainer": {"max_epochs": 10}}}},
    },
    {"paired": {"trainer": {"max_epochs": 20}}},
]


@pytest.mark.parametrize(
    ("dotted", "variant", "value"),
    [
        ("paired.trainer.max_epochs", None, 20),
        ("diffusion.trainer.max_epochs", None, 7),
        ("paired.data.n_pairs", None, 100),
        ("paired.model.width", None, None),
        ("paired.trainer.max_epochs", "joint", 20),  # the later layer wins as a whole
    ],
)
def test_look_up_merges_as_the_settings_do(dotted, variant, value):
    assert look_up(LAYERS, dotted, variant) == value
    assert look_up(LAYERS[:1], "paired.trainer.max_epochs", "joint") == 10


@pytest.mark.parametrize("variant", ["joint", "unpaired"])
@pytest.mark.parametrize(
    ("preset", "config", "dataset", "n_maps"),
    [
        ("tiny", None, "FlatVel-A", 3800),
        ("tiny", QUICK, "FlatVel-A", 3800),
        ("tiny", None, "FlatFault-A", 340),
        ("small", None, "CurveVel-A", 3800),
        ("small", None, "FlatFault-A", 340),
        ("paper", None, "FlatVel-A", 24000),
    ],
)
def test_rivals_take_as_many_steps_as_ub_diff_though_of_fewer_maps(preset, config, dataset, n_maps, variant):
    layers = Options(dataset, preset, config).layers("ubdiff")
    n_pairs = look_up(layers, "shared.data.n_pairs")

    def steps(stage: str, samples: int, whose: str) -> int:
        fixed = look_up(layers, f"{stage}.trainer.max_steps", whose)
        batch = look_up(layers, f"{stage}.data.batch_size", whose)
        return fixed or look_up(layers, f"{stage}.trainer.max_epochs", whose) * (samples // batch)

    assert steps("autoencoder", n_pairs, variant) == pytest.approx(steps("autoencoder", n_maps, "ub_diff"), rel=0.02)
    assert steps("diffusion", n_pairs, variant) == pytest.approx(steps("diffusion", n_maps, "ub_diff"), rel=0.02)
    # Patches cost less a step than rays; that the CPU time is as long can be seen in the table alone.
    assert steps("paired", n_pairs, variant) >= steps("paired", n_pairs, "ub_diff")


@pytest.mark.parametrize(
    ("preset", "config", "dataset"),
    [
        ("tiny", None, "FlatVel-A"),
        ("tiny", QUICK, "FlatVel-A"),
        ("tiny", None, "FlatFault-A"),
        ("small", None, "CurveVel-A"),
    ],
)
def test_without_prior_physics_the_seismic_decoder_takes_as_many_steps_as_that_of_joint(preset, config, dataset):
    layers = Options(dataset, preset, config).layers("ubdiff")
    [row] = [row for row in grid_named("ubdiff", "prior_physics").rows if row.name == "learned_decoder"]
    options = row.options(layers)
    for name in ("shared.model.seismic_decoder", "shared.model.direct_wave", "paired.data.batch_size"):
        assert options[name] == look_up(layers, name, "joint")
    epochs = look_up(layers, "paired.trainer.max_epochs", "joint")
    assert options["paired.trainer.max_epochs"] == pytest.approx(epochs, rel=0.04)


def test_a_scaled_row_starts_from_what_the_data_set_s_preset_says():
    layers = Options("FlatFault-A", "tiny").layers("ubdiff")
    epochs = look_up(layers, "autoencoder.trainer.max_epochs")
    assert epochs != look_up(Options("FlatVel-A", "tiny").layers("ubdiff"), "autoencoder.trainer.max_epochs")
    half = Row("r", scale={"autoencoder.trainer.max_epochs": 0.5})
    assert half.options(layers) == {"autoencoder.trainer.max_epochs": epochs // 2}


def test_a_factor_scales_what_is_there_or_takes_a_share_of_another_setting():
    row = Row(
        "r", scale={"paired.trainer.max_epochs": 0.25, "paired.model.thaw_after": [0.5, "paired.trainer.max_epochs"]}
    )
    assert row.options(LAYERS) == {"paired.trainer.max_epochs": 5, "paired.model.thaw_after": 10}
    tiny = Row("r", scale={"paired.trainer.max_epochs": 0.001})
    assert tiny.options(LAYERS) == {"paired.trainer.max_epochs": 1}


def test_equal_steps_are_those_of_the_preset_whatever_n_is():
    row = Row("r", set={"shared.data.n_pairs": 1000}, equal_steps=("paired",))
    options = row.options(LAYERS)
    assert options["paired.trainer.max_steps"] == 20 * (100 // 8)
    assert options["paired.trainer.max_epochs"] == -1
    fixed = Row("r", equal_steps=("paired",)).options([*LAYERS, {"paired": {"trainer": {"max_steps": 33}}}])
    assert fixed["paired.trainer.max_steps"] == 33


def test_nothing_to_scale_is_said_with_the_option():
    with pytest.raises(SettingsError, match=r"autoencoder\.trainer\.max_steps is None"):
        Row("r", scale={"autoencoder.trainer.max_steps": 0.5}).options(LAYERS)
    with pytest.raises(SettingsError, match="set all three"):
        Row("r", equal_steps=("diffusion",)).options(LAYERS[:1])


def test_rows_of_one_name_are_one_run_and_all_has_each_once():
    rows: dict[str, Row] = {}
    for grid in read_grids("ubdiff").values():
        names = [row.name for row in grid.rows]
        assert len(names) == len(set(names))
        for row in grid.rows:
            assert rows.setdefault(row.name, row).options(_layers()) == row.options(_layers())
    assert [row.name for row in grid_named("ubdiff", "all").rows] == list(rows)


def test_the_named_ablations_are_there():
    grids = read_grids("ubdiff")
    assert {
        "two_step",
        "freeze",
        "n_pairs",
        "decoder",
        "direct_wave",
        "denoiser",
        "steps",
        "latent",
        "baselines",
        "prior_physics",
    } <= set(grids)
    assert len(grids["freeze"].rows) == 5 * 3
    assert {(row.at, row.line) for row in grids["n_pairs"].rows} == set(
        itertools.product((250, 1000, 5000, 10000), ("frozen", "not frozen"))
    )


def test_a_misspelt_grid_offers_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'freeze'"):
        grid_named("ubdiff", "freezing")


def _layers() -> list[dict]:
    return Options("FlatVel-A", "tiny").layers("ubdiff")


def _plan(grid: str, **options: Any) -> dict:
    planned = plan_rows(
        EXPERIMENT, grid_named("ubdiff", grid), Options(**{"dataset": "FlatVel-A", "preset": "tiny"} | options)
    )
    return {row.row.name: row for row in planned}


def test_more_pairs_than_maps_run_on_synthetic_maps_under_another_name():
    rows = _plan("n_pairs")
    assert not rows["n1000-both"].synthetic
    assert rows["n1000-both"].name == "n1000-both"
    for name in ("n5000-both", "n10000-both"):
        assert rows[name].synthetic
        assert rows[name].name == f"{name}-13000_synthetic_maps"
        assert rows[name].options["shared.data.n_synthetic_maps"] == 13000
        assert 0.8 * 13000 - 200 >= 10000


def test_real_data_are_left_only_by_the_rows_that_need_more(openfwi_root, tmp_path):
    rows = _plan("n_pairs", data_root=str(openfwi_root), cache_root=str(tmp_path))
    options = Options("FlatVel-A", "tiny", data_root=str(openfwi_root))
    assert "--data_root" in rows["n1000-both"].arguments(options, 0)
    assert "--data_root" not in rows["n10000-both"].arguments(options, 0)
    rows = _plan("n_pairs", dataset="FlatFault-A", data_root=str(openfwi_root), cache_root=str(tmp_path))
    assert "no generator" in rows["n10000-both"].impossible


def test_a_settings_file_and_a_seed_are_part_of_a_runs_name():
    dotted = ("--shared.model.latent_dim", "64")
    row, options = _plan("decoder", config=QUICK, dotted=dotted)["cnn"], Options("FlatVel-A", "tiny", QUICK)
    assert row.run_name(options, 3) == "FlatVel-A-tiny-quick-seed3-cnn"
    arguments = row.arguments(options, 3)
    assert arguments.index("--shared.model.latent_dim=64") < arguments.index("--shared.model.seismic_decoder=cnn")


def test_an_option_of_a_stage_goes_to_the_variants_that_have_it():
    rows = _plan("baselines", dotted=("--autoencoder.trainer.max_epochs=3", "--paired.trainer.max_epochs=2"))
    assert set(rows["without_two_step"].common) == {"paired.trainer.max_epochs"}
    assert set(rows["joint"].common) == {"paired.trainer.max_epochs", "autoencoder.trainer.max_epochs"}
    assert set(_plan("two_step", dotted=("--typo.x=1",))["ub_diff"].common) == {"typo.x"}  # the experiment refuses it


# -- the experiment's own parser ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _as_the_program_does() -> None:
    quiet()


@cache
def _cli(module: str, datamodule: str, subcommand: Subcommand) -> SuiteCLI:
    """One parser for all stages of the same classes; building it is what takes the time."""
    return SuiteCLI(
        load(module), load(datamodule), {}, subcommand,
        origin="any", action="parse", links=EXPERIMENT.links,
    )  # fmt: skip


_SEEN: set[str] = set()


def _parse(arguments: list[str]) -> None:
    """Put a command line through everything that looks at it before objects are made."""
    options, dotted = parser_of(EXPERIMENT).parse_known_args(arguments)
    experiment = EXPERIMENT.as_variant(options.variant)
    settings = settings_of(experiment, options, dotted)
    for stage in experiment.stages:
        fingerprint = repr((options.variant, stage.name, settings[stage.name]))
        if fingerprint not in _SEEN:
            _SEEN.add(fingerprint)
            command = stage.subcommands[0]
            cli = _cli(experiment.module_of(stage), experiment.datamodule_of(stage), command)
            cli.parse_arguments(cli.parser, {"subcommand": command, command: settings[stage.name]})


@pytest.mark.parametrize("config", [None, QUICK], ids=["tiny", "quick"])
@pytest.mark.parametrize("grid", list(read_grids("ubdiff")))
def test_the_experiment_takes_every_row_of_every_grid(grid, config):
    options = Options("FlatVel-A", "tiny", config)
    rows = plan_rows(EXPERIMENT, grid_named("ubdiff", grid), options)
    assert rows
    for row in rows:  # a wrong one raises, as the next test shows
        _parse(row.arguments(options, 1))


def test_a_row_that_is_wrong_would_be_noticed():
    with pytest.raises(SettingsError, match="seismic_decoder"):
        _parse(["run", "--preset", "tiny", "--shared.model.seismic_decoder=conv"])
    with pytest.raises(SettingsError, match="latent_dimm"):
        _parse(["run", "--preset", "tiny", "--shared.model.latent_dimm=3"])


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_experiment_takes_every_key_and_value_of_a_sweep(path):
    sweep = yaml.safe_load(path.read_text())
    assert (ROOT / sweep["program"]).exists()
    command = [part for part in sweep["command"] if not part.startswith("${")]
    assert command[:3] == ["-m", "experiments.ubdiff", "run"]
    for key, content in sweep["parameters"].items():
        for value in content["values"]:
            assert value is not None, "an agent writes None, which is not YAML's null"
            _parse([*command[2:], f"--{key}={value}"])  # as an agent passes it
    first = [f"--{key}={content['values'][0]}" for key, content in sweep["parameters"].items()]
    last = [f"--{key}={content['values'][-1]}" for key, content in sweep["parameters"].items()]
    for together in (first, last):
        _parse([*command[2:], *together])
