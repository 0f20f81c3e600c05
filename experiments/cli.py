"""SuiteCLI: Lightning's CLI for one stage, with the run folder, exact resume and errors in one sentence."""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from torchmetrics import Metric

from experiments.checkpoints import AtomicCheckpointIO
from experiments.errors import SettingsError
from experiments.experiment import Link, Subcommand
from experiments.settings import Settings, flattened, nearest

# Lightning 2.6 calls what jsonargparse 4.53 has deprecated.
os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")

# What a stage's settings consist of; arguments of a single subcommand are not settings.
BLOCKS = ("seed_everything", "trainer", "model", "data", "checkpoint")


def load(path: str) -> Any:
    """The object that an import path names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def accepted_settings(module: type[LightningModule], datamodule: type[LightningDataModule]) -> Callable[[str], bool]:
    """Says of a dotted setting whether a stage made of these two classes has it."""
    arguments = {
        "model": set(inspect.signature(module).parameters),
        "data": set(inspect.signature(datamodule).parameters),
    }

    def accepts(setting: str) -> bool:
        block, _, name = setting.partition(".")
        return block not in arguments or name.partition(".")[0] in arguments[block]

    return accepts


class SuiteCLI(LightningCLI):
    """Run, or only check, one subcommand of one stage.

    Differences from LightningCLI: settings come as a mapping that was merged before (`experiments.settings`); there is
    one checkpoint, `last.ckpt`, written whole at each epoch's end; loggers and callbacks of the run are added to those
    in the settings; a wrong setting raises `SettingsError` in place of printing a usage page.

    Args:
        module: The LightningModule's class.
        datamodule: The LightningDataModule's class.
        settings: Of the stage, as merged.
        subcommand: `fit`, `validate`, `test` or `predict`.
        origin: What to call the settings in a message, such as the stage's name.
        action: `parse` checks names and types; `instantiate` also makes the objects; `run` runs the subcommand.
        links: Settings computed from others.
        loggers: For the trainer.
        callbacks: Beside those in the settings.
        resume_from: Checkpoint at which a fit goes on.
    """

    def __init__(
        self,
        module: type[LightningModule],
        datamodule: type[LightningDataModule],
        settings: Mapping[str, Any],
        subcommand: Subcommand,
        *,
        origin: str,
        action: Literal["parse", "instantiate", "run"] = "run",
        links: tuple[Link, ...] = (),
        loggers: list[Logger] | None = None,
        callbacks: list[Callback] | None = None,
        resume_from: Path | None = None,
    ) -> None:
        self.fitted = False
        self._action = action
        self._origin = origin
        accepts = accepted_settings(module, datamodule)
        self._links = [link for link in links if accepts(link.source) and accepts(link.target)]
        self._loggers = loggers or []
        self._callbacks = callbacks or []
        self._resume_from = resume_from
        # One parser in place of four: reading the signatures is most of what a stage's start costs.
        own: dict[str, set[str]] = {subcommand: LightningCLI.subcommands()[subcommand]}
        self.subcommands = lambda: own  # type: ignore[method-assign]
        super().__init__(
            module,
            datamodule,
            save_config_callback=None,  # the pipeline writes one file for all stages
            seed_everything_default=0,
            trainer_defaults={
                "enable_model_summary": False,  # the report has the sizes
                "num_sanity_val_steps": 0,  # a resumed fit must not do more than another
                "enable_progress_bar": sys.stderr.isatty(),
            },
            auto_configure_optimizers=False,
            parser_kwargs={name: {"exit_on_error": False} for name in self.subcommands()} | {"exit_on_error": False},
            args={"subcommand": subcommand, subcommand: dict(settings)},
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the one checkpoint of a stage, and the experiment's links."""
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.filename": "last",
                "checkpoint.save_top_k": 1,
                "checkpoint.enable_version_counter": False,
                "checkpoint.save_on_train_epoch_end": True,
            }
        )
        for link in self._links:
            parser.link_arguments(link.source, link.target, compute_fn=link.compute)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the merged settings; say in one sentence what is wrong with them."""
        assert isinstance(args, dict)
        subcommand = args["subcommand"]
        self._refuse_unknown(self._subcommand_parsers[subcommand], args[subcommand])
        _check_seed(args[subcommand].get("seed_everything"), self._origin)
        try:
            self.config: Namespace = parser.parse_object(args)
        except Exception as error:
            raise SettingsError(f"stage {self._origin}: {_first_sentence(error)}") from error

    def _refuse_unknown(self, parser: LightningArgumentParser, settings: Mapping[str, Any]) -> None:
        known = {str(action.dest) for action in parser._actions}
        targets = {link.target: link.source for link in self._links}
        for name in flattened(settings):
            if name in targets:
                raise SettingsError(
                    f"stage {self._origin}: {name} follows from {targets[name]}; "
                    f"set that one (--shared.{targets[name]} VALUE)."
                )
            parts = name.split(".")
            if not any(".".join(parts[:n]) in known for n in range(len(parts), 0, -1) if n > 1 or len(parts) == 1):
                raise SettingsError(f"stage {self._origin}: there is no setting {name!r}; {nearest(name, known)}")

    def instantiate_classes(self) -> None:
        """Make module, data module and trainer, unless only the settings are to be checked."""
        if self._action == "parse":
            return
        try:
            super().instantiate_classes()
        except ValueError as error:
            raise SettingsError(f"stage {self._origin}: {_first_sentence(error)}") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the trainer with the run's loggers, callbacks and checkpoint writer."""
        config = self._get(self.config_init, "trainer")
        config["callbacks"] = [*(config.get("callbacks") or []), *self._callbacks]
        plugins = config.get("plugins") or []
        config["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
        config["use_distributed_sampler"] = False  # datamodules.sampling shards by rank
        return super().instantiate_trainer(logger=self._loggers or False, **kwargs)

    def _run_subcommand(self, subcommand: str) -> None:
        if self._action != "run":
            return
        if self.trainer.world_size == 1:
            # On rank 0 alone the process group of an earlier stage may still be there: metrics must not wait for it.
            for module in self.model.modules():
                if isinstance(module, Metric):
                    module.distributed_available_fn = lambda: False
        if "verbose" in self.config_init[subcommand]:
            self.config_init[subcommand]["verbose"] = False  # the report has the table
        super()._run_subcommand(subcommand)

    def before_fit(self) -> None:
        """Go on where an interrupted fit stopped."""
        if self._resume_from is not None:
            self.config_init.fit.ckpt_path = str(self._resume_from)

    def after_fit(self) -> None:
        """Reached only when the fit came to its own end, not on SIGTERM."""
        self.fitted = self.trainer.state.finished

    def resolved(self, *, computed: bool = False) -> Settings:
        """Every setting with its value, as plain data.

        Args:
            computed: Also those that follow from others; without them SuiteCLI takes the result back.
        """
        subcommand = str(self.subcommand)
        dump = self._parser(subcommand).dump(self.config[subcommand], skip_none=False, skip_link_targets=not computed)
        settings: Settings = yaml.safe_load(dump)
        return {block: settings[block] for block in BLOCKS}


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
_CHOICE = re.compile(
    r'Parser key "(?P<key>[^"]+)": Expected a typing\.Literal\[(?P<choices>.*)\]\. Got value: (?P<value>.*)'
)
_KIND = re.compile(r"Parser key \"(?P<key>[^\"]+)\": Expected a <class '(?P<kind>\w+)'>\. Got value: (?P<value>.*)")
_LINK = re.compile(r"Call to compute_fn of link .* failed: (?P<why>.*)")


def _first_sentence(error: BaseException) -> str:
    """What was wrong, in our words where the parser's are about its own insides."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:3]) if lines else type(error).__name__
    if found := _CHOICE.search(text):
        choices = [choice.strip().strip("'\"") for choice in found["choices"].split(",")]
        return f"{found['key']} is {found['value']}, wanted {' or '.join(choices)}; {nearest(found['value'], choices)}"
    if (found := _KIND.search(text)) and found["kind"] in _KINDS:
        return f"{found['key']} is {found['value']}, wanted {_KINDS[found['kind']]}; change it."
    if found := _LINK.search(text):
        text = found["why"]
    return text if text.endswith((".", "?")) else f"{text}."


def _check_seed(seed: Any, origin: str) -> None:
    if isinstance(seed, int) and not isinstance(seed, bool) and not 0 <= seed < 2**32:
        raise SettingsError(f"stage {origin}: the seed is {seed}, wanted one from 0 to {2**32 - 1}; choose another.")
