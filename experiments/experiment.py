"""What an experiment is: its stages in order, and what makes each of them that stage.

The entry points (`experiments/<paper>.py`) define one each. Classes are named by their import path, so that `--help`
answers without importing torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from experiments.run_folder import RunFolder

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
    """

    name: str
    starts_from: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    subcommands: tuple[Subcommand, ...] = ("fit",)
    callbacks: "str | None" = None
    sources: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class Experiment:
    """One paper's experiment.

    Args:
        paper: Short name: folder of its presets and of its runs.
        title: One line for `--help`.
        module: Import path of its LightningModule.
        datamodule: Import path of its LightningDataModule.
        stages: In order.
        subject: Dotted setting that names what is run on, such as `data.dataset`; part of the run folder's name.
        shorthands: Plain options beside the dotted ones.
        links: Settings computed from others.
        shared: Prefixes of dotted settings that must be the same in all stages.
        metrics: The report's table: name in metrics.json -> what it says.
        figures: The report's pictures: file name -> caption.
    """

    paper: str
    title: str
    module: str
    datamodule: str
    stages: tuple[Stage, ...]
    subject: str
    shorthands: tuple[Shorthand, ...] = ()
    links: tuple[Link, ...] = ()
    shared: tuple[str, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def stage_names(self) -> list[str]:
        """Names of the stages in order."""
        return [stage.name for stage in self.stages]


CallbacksFactory = Callable[["RunFolder", Mapping[str, Any]], "list[Callback]"]
