"""The runs that a table is made of: which there are, how each is started, and what the finished ones say."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.ablation_table import Spread
from experiments.cubism import SOURCE, TARGET, experiment_of, volcano_label
from experiments.cubism_methods import DEFAULT, METHODS
from experiments.cubism_stages import STAGES
from experiments.errors import SettingsError
from experiments.program import layers_of, parser_of
from experiments.run_folder import RunFolder, read_json
from experiments.settings import CONFIG_ROOT, StageBlocks, flattened, last_value, parse_options, read_yaml, resolve
from experiments.side_by_side import Job

OURS = CONFIG_ROOT / "cubism" / "preprocessing" / "ours.yaml"
BESIDE = ("source-only", "dann", "cubism")
"""The methods that a table also has with our own preprocessing."""


@dataclass(frozen=True)
class Direction:
    """From a labelled volcano to one whose labels are not used.

    Args:
        source: Name or folder of the labelled one.
        target: Of the other.
    """

    source: str
    target: str

    @property
    def label(self) -> str:
        """Such as `Llaima-Deception`."""
        return f"{volcano_label(self.source)}-{volcano_label(self.target)}"

    @property
    def words(self) -> str:
        """Such as `Llaima to Deception`."""
        return f"{volcano_label(self.source)} to {volcano_label(self.target)}"


@dataclass(frozen=True)
class Plan:
    """What all runs of a table have in common.

    Args:
        directions: In the order of the table.
        methods: Likewise.
        seeds: Likewise.
        preset: Of all runs.
        config: A settings file on top of it, part of the runs' names.
        data_root: Folder of the volcanoes' files; None for synthetic twins.
        cache_root: For what is made once.
        run_root: Folder of all runs.
        dotted: Further dotted options of all runs.
    """

    directions: tuple[Direction, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    preset: str = "tiny"
    config: Path | None = None
    data_root: str | None = None
    cache_root: str = "cache"
    run_root: Path = Path("runs")
    dotted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse options that would make one direction's runs another's."""
        layers = [("options", parse_options(self.dotted))]
        layers += [(str(self.config), read_yaml(self.config))] if self.config else []
        for setting in (SOURCE, TARGET, "seed_everything"):
            if last_value(setting, layers) is not None:
                raise SettingsError(
                    f"{setting}: a table runs several; name them with --source, --target and --seeds instead."
                )

    @property
    def label(self) -> str:
        """What tells this table's settings from another's: the preset, and the settings file where there is one."""
        return self.preset + (f"-{self.config.stem}" if self.config else "")

    @property
    def folder(self) -> Path:
        """Where its results go."""
        volcanoes = self.directions[0].label if len(self.directions) == 1 else self._both
        return self.run_root / "cubism" / "tables" / f"{volcanoes}-{self.label}"

    @property
    def _both(self) -> str:
        first = self.directions[0]
        return f"{volcano_label(first.source)}-and-{volcano_label(first.target)}"

    def with_our_preprocessing(self) -> "Plan | None":
        """A few methods again on spectrograms as we would make them; None where that would say nothing.

        That is where a settings file of the user's decides, or another pair than the paper's.
        """
        methods = tuple(name for name in self.methods if name in BESIDE)
        known = METHODS[DEFAULT].paper
        if self.config or not methods or any(direction.label not in known for direction in self.directions):
            return None
        return replace(self, methods=methods, config=OURS)

    def run_name(self, direction: Direction, method: str, seed: int) -> str:
        """Name of one run's folder."""
        return f"{direction.label}-{method}-{self.label}-seed{seed}"

    def run_folder(self, direction: Direction, method: str, seed: int) -> RunFolder:
        """One run's folder."""
        return RunFolder(self.run_root / "cubism" / self.run_name(direction, method, seed))

    def arguments(self, direction: Direction, method: str, seed: int) -> tuple[str, ...]:
        """What follows `python -m experiments.cubism`."""
        return (
            *("run", "--source", direction.source, "--target", direction.target, "--method", method),
            *("--preset", self.preset, "--seed", str(seed), "--name", self.run_name(direction, method, seed)),
            *("--run_root", str(self.run_root), "--cache_root", self.cache_root),
            *(("--data_root", self.data_root) if self.data_root else ()),
            *(("--config", str(self.config)) if self.config else ()),
            *self.dotted,
        )

    def jobs(self) -> list[Job]:
        """Every run, one seed's methods in both directions first: an early table has all rows."""
        return [
            Job(self.run_name(direction, method, seed), "experiments.cubism", self.arguments(direction, method, seed))
            for seed in self.seeds
            for method in self.methods
            for direction in self.directions
        ]

    def settings(self, direction: Direction, method: str, seed: int) -> dict[str, dict[str, Any]]:
        """Stage -> dotted settings that a run of this plan names, defaults left out."""
        experiment = experiment_of(method)
        options, dotted = parser_of(experiment).parse_known_args(self.arguments(direction, method, seed))
        layers = layers_of(experiment, options, dotted)
        blocks = [StageBlocks(stage.name) for stage in STAGES]
        merged = resolve(blocks, layers, variant=method, subject=direction.source, other_blocks=experiment.blocks)
        return {stage: flattened(content) for stage, content in merged.items()}


@dataclass
class RowResult:
    """What the runs of one method in one direction gave.

    Attributes:
        metrics: Seed -> metrics of its finished run.
        predictions: Seed -> (whether it is VT, probability of VT) of the events whose class is known.
        data: Sentences that say what the runs were trained and judged on.
        kinds: `real` or `synthetic`.
        settings: Seed -> resolved settings of stage `transfer`.
        missing: Seed -> why it has no figures.
    """

    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    predictions: dict[int, tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    settings: dict[int, dict[str, Any]] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)

    def spread(self, metric: str) -> Spread | None:
        """One metric over the seeds that have it."""
        values = {seed: found[metric] for seed, found in self.metrics.items() if metric in found}
        return Spread(values) if values else None


Results = Mapping[Direction, Mapping[str, RowResult]]


def collect(plan: Plan) -> Results:
    """What the finished runs say; a run that is not finished, or was made otherwise, has no figures."""
    found: dict[Direction, dict[str, RowResult]] = {}
    for direction in plan.directions:
        for method in plan.methods:
            row = found.setdefault(direction, {}).setdefault(method, RowResult())
            for seed in plan.seeds:
                _add(row, plan, direction, method, seed)
    return found


def _add(row: RowResult, plan: Plan, direction: Direction, method: str, seed: int) -> None:
    folder = plan.run_folder(direction, method, seed)
    why = _not_usable(folder, plan.settings(direction, method, seed))
    if why:
        row.missing[seed] = why
        return
    row.metrics[seed] = {name: float(value) for name, value in (read_json(folder.metrics) or {}).items()}
    row.settings[seed] = flattened(read_yaml(folder.config)[STAGES[0].name])
    row.predictions[seed] = read_predictions(folder.root / "predictions.csv")
    data = (read_json(folder.provenance) or {}).get("data", {})
    for value, values in ((data.get("sentence"), row.data), (data.get("kind"), row.kinds)):
        if value and value not in values:
            values.append(value)


def _not_usable(folder: RunFolder, wanted: Mapping[str, Mapping[str, Any]]) -> str | None:
    if not folder.metrics.exists():
        return "not finished" if folder.root.exists() else "not run"
    if any(not (read_json(folder.stage_record(stage.name)) or {}).get("finished") for stage in STAGES):
        return "a stage of it is to run anew"
    has = {stage: flattened(content) for stage, content in read_yaml(folder.config).items()}
    for stage, settings in wanted.items():
        for name, value in settings.items():
            if name.split(".")[-1] not in ("data_root", "cache_root") and has[stage].get(name) != value:
                return f"made with {name} = {has[stage].get(name)}, not {value}"
    return None


def read_predictions(path: Path) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Whether each labelled event is VT, and the probability of VT that it was given."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["true_class"]]
    return (
        np.array([row["true_class"] == "VT" for row in rows], bool),
        np.array([float(row["probability_vt"]) for row in rows]),
    )


def check(plan: Plan) -> None:
    """Put the settings of every row through the experiment's own parser before the first run starts.

    Raises:
        SettingsError: With the row and what the experiment says of it.
    """
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    from experiments.cubism import main

    for direction in plan.directions:
        for method in plan.methods:
            said = StringIO()
            with redirect_stdout(StringIO()), redirect_stderr(said):
                code = main([*plan.arguments(direction, method, plan.seeds[0]), "--print_config"])
            if code:
                lines = said.getvalue().strip().splitlines()
                text = (lines[-1] if lines else str(code)).removeprefix("error: ")
                raise SettingsError(f"{method}, {direction.words}: {text}")
