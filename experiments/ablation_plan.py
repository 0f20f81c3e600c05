"""From a grid to command lines: what each row runs, on which data, under which name.

A row that wants more pairs than there are training maps runs on synthetic maps of the same family instead, and its name
says so; where the family has no generator it is left out, with the reason.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.ablation_grid import Grid, Row, look_up
from experiments.errors import SettingsError
from experiments.experiment import Experiment
from experiments.settings import SHARED, Settings, flattened, for_subject, parse_options, read_preset, read_yaml

TRAINING_SHARE = 0.8  # of maps that are not split by their publisher: the last fifth is held out
ROUND_TO = 500  # maps a file


@dataclass(frozen=True)
class Options:
    """What all rows of an ablation have in common.

    Args:
        dataset: Family.
        preset: Preset.
        config: A settings file on top of it.
        data_root: Folder of real data; None for synthetic maps.
        cache_root: Where made data are kept.
        run_root: Folder of all runs.
        dotted: Further dotted options, below those of the rows.
    """

    dataset: str
    preset: str
    config: Path | None = None
    data_root: str | None = None
    cache_root: str = "cache"
    run_root: Path = Path("runs")
    dotted: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What the names of all runs begin with, up to the seed: a settings file makes them other runs."""
        return f"{self.dataset}-{self.preset}" + (f"-{self.config.stem}" if self.config else "")

    def layers(self, paper: str) -> list[Settings]:
        """Preset, settings file and options, lowest first, each as it is for the data set.

        Raises:
            SettingsError: If one of them cannot be read.
        """
        file = [read_yaml(self.config)] if self.config else []
        layers = [read_preset(paper, self.preset), *file, parse_options(self.dotted)]
        return [for_subject(layer, self.dataset) for layer in layers]


@dataclass(frozen=True)
class PlannedRow:
    """A row with nothing left open but the seed.

    Args:
        row: As it stands in the grid.
        name: End of the run folder's name.
        options: Dotted option -> value.
        common: Those of the whole ablation's dotted options that its variant has a block for.
        synthetic: Whether it leaves the real data for synthetic maps.
        impossible: Why it cannot be run, or None.
    """

    row: Row
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    common: dict[str, Any] = field(default_factory=dict)
    synthetic: bool = False
    impossible: str | None = None

    def run_name(self, options: Options, seed: int) -> str:
        """Name of the run folder."""
        return f"{options.label}-seed{seed}-{self.name}"

    def arguments(self, options: Options, seed: int) -> list[str]:
        """What follows `python -m experiments.<paper>`."""
        real = options.data_root and not self.synthetic
        return [
            *("run", "--dataset", options.dataset, "--preset", options.preset, "--seed", str(seed)),
            *("--run_root", str(options.run_root), "--cache_root", options.cache_root),
            *("--name", self.run_name(options, seed)),
            *(("--data_root", str(options.data_root)) if real else ()),
            *(("--config", str(options.config)) if options.config else ()),
            *(("--variant", self.row.variant) if self.row.variant else ()),
            *(f"--{name}={_text(value)}" for name, value in {**self.common, **self.options}.items()),
        ]

    def command(self, paper: str, options: Options, seed: int) -> list[str]:
        """The whole command line of one run."""
        return [sys.executable, "-m", f"experiments.{paper}", *self.arguments(options, seed)]


def plan_rows(experiment: Experiment, grid: Grid, options: Options) -> list[PlannedRow]:
    """Every row of a grid, computed.

    Raises:
        SettingsError: If a row does not fit the settings below it.
        DataError: If the data cannot be read.
    """
    layers = options.layers(experiment.paper)
    wanted = [row.n_pairs for row in grid.rows if row.n_pairs is not None]
    maps = _training_maps(options, layers) if wanted else 0
    planned = []
    for row in grid.rows:
        if row.variant is not None and row.variant not in experiment.variants:
            raise SettingsError(
                f"grid {grid.name}, row {row.name}: variant {row.variant!r} is none of {list(experiment.variants)}."
            )
        whole = PlannedRow(row, row.name, row.options(layers), common_options(experiment, row.variant, options.dotted))
        enough = row.n_pairs is None or row.n_pairs <= maps
        planned.append(whole if enough else _on_synthetic_maps(whole, options, layers, maps, max(wanted)))
    return planned


def common_options(experiment: Experiment, variant: str | None, dotted: Sequence[str]) -> dict[str, Any]:
    """Dotted options without those of stages that only other variants have."""
    own = experiment.as_variant(variant or "")
    here = {SHARED, *own.stage_names, *(stage.group for stage in own.stages)}
    elsewhere = experiment.blocks - here
    return {
        name: value for name, value in flattened(parse_options(dotted)).items() if name.split(".")[0] not in elsewhere
    }


def check_rows(experiment: Experiment, planned: Sequence[PlannedRow], options: Options, seed: int) -> None:
    """Put every row's settings through the experiment's own parser before the first row starts.

    Raises:
        SettingsError: With the row and what the experiment says of it.
    """
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    from experiments.program import main

    for row in planned:
        if row.impossible:
            continue
        said = StringIO()
        with redirect_stdout(StringIO()), redirect_stderr(said):
            code = main(experiment, [*row.arguments(options, seed), "--print_config"])
        if code:
            lines = said.getvalue().strip().splitlines()
            raise SettingsError(f"row {row.name}: {(lines[-1] if lines else str(code)).removeprefix('error: ')}")


def _on_synthetic_maps(
    planned: PlannedRow, options: Options, layers: Sequence[Settings], maps: int, most: int
) -> PlannedRow:
    from datamodules.simulate.velocity_maps import SYNTHETIC_FAMILIES

    if options.dataset not in SYNTHETIC_FAMILIES:
        why = (
            f"{options.dataset} has {maps} training maps here and no generator, so {planned.row.n_pairs} pairs cannot "
            "be made; give more of its files with --data_root."
        )
        return replace(planned, impossible=why)
    # As many maps for each of these rows: m is the same, only n differs.
    n_maps = math.ceil((most + _validation_maps(layers)) / TRAINING_SHARE / ROUND_TO) * ROUND_TO
    return replace(
        planned,
        name=f"{planned.name}-{n_maps}_synthetic_maps",
        options={**planned.options, f"{SHARED}.data.n_synthetic_maps": n_maps},
        synthetic=True,
    )


def _training_maps(options: Options, layers: Sequence[Settings]) -> int:
    """Maps that a run may make training pairs of."""
    from datamodules.openfwi import OpenFWIDataModule

    if options.data_root is None:
        n_maps = _default(look_up(layers, f"{SHARED}.data.n_synthetic_maps"), "n_synthetic_maps")
        return int(n_maps * TRAINING_SHARE) - _validation_maps(layers)
    module = OpenFWIDataModule(
        options.dataset,
        options.data_root,
        options.cache_root,
        content="velocity",
        n_validation_maps=_validation_maps(layers),
    )
    return int(module.source.provenance["train_maps"])


def _validation_maps(layers: Sequence[Settings]) -> int:
    return _default(look_up(layers, f"{SHARED}.data.n_validation_maps"), "n_validation_maps")


def _default(value: Any, argument: str) -> int:
    """What a setting is, or else the data module's default."""
    import inspect

    from datamodules.openfwi import OpenFWIDataModule

    return int(inspect.signature(OpenFWIDataModule).parameters[argument].default if value is None else value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
