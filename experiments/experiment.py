"""What an experiment is: its stages in order, and what makes each of them that stage.

The entry points (`experiments/<paper>.py`) define one each. Classes are named by their import path, so that `--help`
answers without importing torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    pass

Subcommand = Literal["fit", "validate", "test", "predict"]


@dataclass(frozen=True)
class Link:
    """One setting computed from another, as `LightningArgumentParser.link_arguments` takes it."""

    source: str
    target: str
    compute: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment.

    Args:
        name: Its name, which is also that of its block in the settings and of its folder.
        starts_from: The stage whose final weights it starts from, if any.
        settings: What makes it this stage; the lowest layer of its settings.
        subcommands: What of the trainer it runs, in order. A stage with `fit` runs on all ranks; others on rank 0.
        callbacks: Import path of a function `(run folder, settings) -> callbacks` that this stage adds.
        sources: Modules, beside the module and the data module, that its result depends on.
        products: Files below the run folder that it makes; where one is gone, the stage is not finished.
        module: Import path of its LightningModule, where it is not the experiment's.
        datamodule: Import path of its LightningDataModule, where it is not the experiment's.
        group: Block of settings that it shares with the other stages of that group.
        reads: Dotted setting -> file below the run folder, made by an earlier stage, whose path it gets.
        uses: Further stages whose final weights its result depends on.
        trains: Prefixes of the weights that it trains, all by default; its final weights are these and those it
            started from, and nothing that no stage has trained yet.
        builds_on: Prefixes of the weights it starts from that its result depends on, all by default.
        ignores: Prefixes of settings of other stages' networks and data, which its result does not depend on.
    """

    name: str
    starts_from: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    subcommands: tuple[Subcommand, ...] = ("fit",)
    callbacks: "str | None" = None
    sources: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    module: str | None = None
    datamodule: str | None = None
    group: str | None = None
    reads: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    trains: tuple[str, ...] = ("",)
    builds_on: tuple[str, ...] = ("",)
    ignores: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it trains."""
        return "fit" in self.subcommands


@dataclass(frozen=True)
class Shorthand:
    """A plain option such as `--dataset`, and the settings it stands for."""

    name: str
    help: str
    expand: Callable[[Any], Mapping[str, Any]]
    is_flag: bool = False


COMMON_SHORTHANDS = (
    Shorthand("cache_root", "folder for what is made once (default: cache)", lambda v: {"data.cache_root": v}),
    Shorthand("seed", "seed of the run (default: 0)", lambda v: {"seed_everything": int(v)}),
    Shorthand("devices", "processes or GPUs per node", lambda v: {"trainer.devices": v if v == "auto" else int(v)}),
    Shorthand("nodes", "nodes, each with that many devices", lambda v: {"trainer.num_nodes": int(v)}),
)


@dataclass(frozen=True)
class Experiment:
    """One paper's experiment.

    Args:
        paper: Short name: folder of its presets and of its runs.
        title: One line for `--help`.
        module: Import path of its LightningModule.
        datamodule: Import path of its LightningDataModule.
        variants: Name -> stages in order; the first is the default.
        variant: Which of them this is.
        subject: Dotted setting that names what is run on, such as `data.dataset`; part of the run folder's name.
        shorthands: Plain options beside the dotted ones.
        links: Settings computed from others.
        shared: Prefixes of dotted settings that must be the same in all stages.
        metrics: The report's table: name in metrics.json -> what it says.
        figures: The report's pictures: file name -> caption.
        layers: Settings between the preset and the user's file: (where they come from, blocks), lowest first.
        run_label: What a run's name begins with, from the flattened settings of its first stage; by default the
            subject's value.
    """

    paper: str
    title: str
    module: str
    datamodule: str
    variants: Mapping[str, tuple[Stage, ...]]
    subject: str
    shorthands: tuple[Shorthand, ...] = ()
    links: tuple[Link, ...] = ()
    shared: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    layers: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    run_label: Callable[[Mapping[str, Any]], str] | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this variant, in order."""
        return self.variants[self.variant or next(iter(self.variants))]

    @property
    def is_default_variant(self) -> bool:
        """Whether this is the experiment as published, not one of its rivals or ablations."""
        return self.variant in ("", next(iter(self.variants)))

    def as_variant(self, name: str) -> "Experiment":
        """The same experiment with another variant's stages."""
        return replace(self, variant=name)

    def module_of(self, stage: Stage) -> str:
        """Import path of a stage's LightningModule."""
        return stage.module or self.module

    def datamodule_of(self, stage: Stage) -> str:
        """Import path of a stage's LightningDataModule."""
        return stage.datamodule or self.datamodule

    @property
    def blocks(self) -> set[str]:
        """Names that blocks of settings may have: stages and groups of all variants."""
        stages = [stage for variant in self.variants.values() for stage in variant]
        return {stage.name for stage in stages} | {stage.group for stage in stages if stage.group}

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def stage_names(self) -> list[str]:
        """Names of the stages in order."""
        return [stage.name for stage in self.stages]
