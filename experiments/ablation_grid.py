"""Ablation grids as they stand in `grids/<paper>.yaml`, and the options that a row stands for.

A grid is a question and rows; a row is a name and what it changes:

    freeze:
      question: ...
      rows:
        - {name: freeze_both-half, line: both, at: 0.5,
           set: {paired.model.freeze: both}, scale: {autoencoder.trainer.max_epochs: 0.5}}

`set` holds dotted options; `variant` another order of stages; `scale` multiplies what preset, settings file and options
say (`0.5`), or takes a share of another setting (`[0.5, paired.trainer.max_epochs]`); `equal_steps` names stages that
take as many optimiser steps as they would with the preset's number of pairs. `line` and `at` place it in the figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.errors import SettingsError
from experiments.settings import SHARED, Settings, flattened, for_variant, nearest, read_yaml

GRID_ROOT = Path(__file__).parent / "grids"
ALL = "all"
N_PAIRS = "data.n_pairs"


@dataclass(frozen=True)
class Row:
    """One row of a grid: one run a seed.

    Args:
        name: End of the run folder's name.
        variant: The experiment's variant; None for its default.
        set: Dotted option -> value.
        scale: Dotted option -> factor of its present value, or (factor, other option).
        equal_steps: Stages whose number of optimiser steps does not follow the number of pairs.
        line: The line of the figure that it is on.
        at: Where on that line.
    """

    name: str
    variant: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    scale: Mapping[str, Any] = field(default_factory=dict)
    equal_steps: tuple[str, ...] = ()
    line: str | None = None
    at: float | str | None = None

    @property
    def n_pairs(self) -> int | None:
        """The number of training pairs that it asks for, if it does."""
        return self.set.get(f"{SHARED}.{N_PAIRS}")

    def options(self, layers: Sequence[Settings]) -> dict[str, Any]:
        """Dotted option -> value, with nothing left to compute.

        Args:
            layers: Preset, settings file and options of the whole grid, lowest first.

        Raises:
            SettingsError: If there is no number to scale.
        """
        options = dict(self.set)
        for name, rule in self.scale.items():
            factor, source = rule if isinstance(rule, list | tuple) else (rule, name)
            value = look_up(layers, source, self.variant)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise SettingsError(
                    f"row {self.name}: {source} is {value!r}, wanted a positive number to take {factor} of; "
                    f"set it with --{source} N."
                )
            options[name] = max(1, round(factor * value)) if isinstance(value, int) else factor * value
        for stage in self.equal_steps:
            options |= self._equal_steps(stage, layers)
        return options

    def _equal_steps(self, stage: str, layers: Sequence[Settings]) -> dict[str, int]:
        names = (
            "trainer.max_epochs",
            "trainer.max_steps",
            "data.batch_size",
            N_PAIRS,
            "trainer.accumulate_grad_batches",
        )
        epochs, steps, batch, pairs, accumulated = (look_up(layers, f"{stage}.{name}", self.variant) for name in names)
        if not (isinstance(steps, int) and steps > 0):
            if not all(isinstance(value, int) and value > 0 for value in (epochs, batch, pairs)):
                raise SettingsError(
                    f"row {self.name}: the steps of stage {stage} follow from trainer.max_epochs, data.batch_size and "
                    f"{N_PAIRS}, found {epochs!r}, {batch!r} and {pairs!r}; set all three."
                )
            steps = epochs * max(1, max(1, pairs // batch) // (accumulated or 1))
        return {f"{stage}.trainer.max_epochs": -1, f"{stage}.trainer.max_steps": steps}


@dataclass(frozen=True)
class Grid:
    """A named ablation.

    Args:
        name: Its name.
        question: What it asks, in one sentence.
        rows: Its rows.
        figure: `x` and `y`, each a name in metrics.json or `at`, and `lines`, what the lines are; None for no figure.
    """

    name: str
    question: str
    rows: tuple[Row, ...]
    figure: Mapping[str, str] | None = None


def look_up(layers: Sequence[Settings], dotted: str, variant: str | None = None) -> Any:
    """Value of `<stage>.<setting>` after merging the layers, or None where none of them says.

    Args:
        layers: Lowest first; in a layer the variant's part wins over the rest, and a stage's block over `shared`.
        dotted: The option.
        variant: Whose part of the layers counts beside the rest.
    """
    block, _, setting = dotted.partition(".")
    found = None
    for layer in layers:
        merged = for_variant(layer, variant or "")
        for name in (SHARED, block):
            found = flattened(merged.get(name) or {}).get(setting, found)
    return found


def read_grids(paper: str) -> dict[str, Grid]:
    """All grids of a paper by name.

    Raises:
        SettingsError: If it has none, or the file is not as it should be.
    """
    path = GRID_ROOT / f"{paper}.yaml"
    grids: dict[str, Grid] = {}
    for name, content in read_yaml(path).items():
        try:
            rows = tuple(
                Row(**{**row, "name": str(row["name"]), "equal_steps": tuple(row.get("equal_steps", ()))})
                for row in content["rows"]
            )
            grids[name] = Grid(name, content["question"], rows, content.get("figure"))
        except (KeyError, TypeError, AttributeError) as error:
            raise SettingsError(
                f"{path}, grid {name!r}: wanted `question` and `rows`, each row with a `name` ({error}); correct it."
            ) from None
    return grids


def grid_named(paper: str, name: str) -> Grid:
    """One grid; `all` has every row of every grid once.

    Raises:
        SettingsError: If there is no such grid; the message offers the nearest name.
    """
    grids = read_grids(paper)
    if name == ALL:
        rows = {row.name: row for grid in grids.values() for row in grid.rows}
        return Grid(ALL, "All ablations together.", tuple(rows.values()))
    if name not in grids:
        raise SettingsError(f"--grid {name}: {paper} has no such grid; {nearest(name, [*grids, ALL])}")
    return grids[name]
