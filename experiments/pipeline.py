"""The stages of one experiment in order: what is finished is skipped, what was interrupted goes on, the rest runs.

A stage is skipped or resumed only when its fingerprint (`experiments.fingerprint`) equals the one it was begun with.
Rank 0 decides (`experiments.ranks`); stages that do not fit run on rank 0 alone.
"""

import errno
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.epoch_seed import EpochSeed
from callbacks.finite_loss import FiniteLoss
from callbacks.last_metrics import LastMetrics
from callbacks.progress import StageProgress
from callbacks.stage_resources import CLOCKS, StageResources, peak_memory_bytes, reset_peak_memory
from experiments import tracking, wandb_run
from experiments.checkpoints import read_checkpoint
from experiments.cli import SuiteCLI, load
from experiments.errors import SettingsError
from experiments.experiment import Experiment, Stage, Subcommand
from experiments.fingerprint import differences, fingerprint, weights_digest
from experiments.provenance import provenance
from experiments.ranks import Ranks
from experiments.report import write_report
from experiments.run_folder import RunFolder, read_json, write_json, write_text
from experiments.settings import Settings, check_shared, flattened, merge, nested
from experiments.stage_weights import adopt, finished_elsewhere, is_behind, keep_trained_weights
from experiments.wandb_products import send_products

# What the training of every stage goes through, beside its own module and data module.
COMMON_SOURCES = ("experiments.cli", "callbacks.epoch_seed")


class InterruptedRunError(Exception):
    """A stage was stopped from outside before its end; the next call resumes it."""


@dataclass(frozen=True)
class Plan:
    """What to do with one stage.

    Args:
        action: `skip`, `adopt`, `resume` or `anew`.
        why: For the user, in a few words.
        source: `adopt`: the run folder that has the stage.
    """

    action: str
    why: str
    source: str = ""


class Pipeline:
    """One run of an experiment.

    Args:
        experiment: What to run.
        settings: Stage name -> merged settings.
        adopts: Take a stage over that another run beside this one has finished with the same fingerprint.
        sends_checkpoints: Send the final weights to W&B.

    Attributes:
        resolved: After `validate`, every setting of every stage.
        folder: The run folder; set it after `validate`, its name follows from the settings.
    """

    folder: RunFolder

    def __init__(
        self,
        experiment: Experiment,
        settings: Mapping[str, Settings],
        *,
        adopts: bool = True,
        sends_checkpoints: bool = False,
    ) -> None:
        self.experiment = experiment
        self.adopts, self.sends_checkpoints = adopts, sends_checkpoints
        self.ranks = Ranks()
        self.settings = {name: merge(content) for name, content in settings.items()}
        self.resolved: dict[str, Settings] = {}
        self._computed: dict[str, Settings] = {}
        self._datamodules: dict[str, Any] = {}
        self._machine: dict[str, dict[str, Any]] = {}
        self._wandb: Any = None

    # -- before the first stage ------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Check the settings of ALL stages, by making each stage's objects, before anything starts.

        Raises:
            SettingsError: With the stage and the setting.
        """
        for stage in self.experiment.stages:
            cli = self._cli(stage, stage.subcommands[0], self.settings[stage.name], action="instantiate")
            self.resolved[stage.name] = cli.resolved()
            self._computed[stage.name] = cli.resolved(computed=True)
            self._datamodules[stage.name] = cli.datamodule
            # `devices: auto` is not the same thing on every machine.
            self._machine[stage.name] = {
                "world_size": cli.trainer.world_size,
                "accelerator": type(cli.trainer.accelerator).__name__,
            }
            for name in ("trainer.max_time", "checkpoint.train_time_interval"):
                if flattened(self.resolved[stage.name]).get(name) is not None:
                    raise SettingsError(
                        f"stage {stage.name}: {name} is a budget in seconds, which no second run can repeat; "
                        "set trainer.max_epochs or trainer.max_steps."
                    )
        check_shared(self.resolved, self.experiment.shared)

    # -- whole runs and single stages ------------------------------------------------------------------------------

    def run(self) -> None:
        """Run all stages, then write metrics, provenance and report."""
        self.ranks.decide(self._open)
        last_fit = max(i for i, stage in enumerate(self.experiment.stages) if stage.fits)
        for i, stage in enumerate(self.experiment.stages):
            plan = Plan(*self.ranks.decide(lambda stage=stage: self._plan(stage)))  # type: ignore[misc]
            self._carry_out(stage, plan)
            if i == last_fit:
                self.ranks.leave()
                if not self.ranks.is_leader:
                    return
        self._finish()

    def run_one(self, name: str, subcommand: Subcommand) -> None:
        """Run one subcommand of one stage: `fit` as in `run`, the others on the stage's final weights."""
        stage = self.experiment.stage(name)
        if subcommand == "fit":
            if not stage.fits:
                raise SettingsError(f"stage {name} does not fit; run it with `run`, or use test or predict.")
            self.ranks.decide(self._open)
            self._carry_out(stage, Plan(*self.ranks.decide(lambda: self._plan(stage))))
            self.ranks.leave()
        else:
            self.folder.create()
            weights = self._weights_of(stage) if stage.fits else self._initial_weights(stage)
            settings = merge(self.settings[name], self._paths(stage), nested("model.initial_weights", str(weights)))
            callbacks = self._stage_callbacks(stage)
            cli = self._cli(stage, subcommand, settings, callbacks=callbacks)
            found = {key: float(value) for key, value in cli.trainer.callback_metrics.items()}
            for callback in callbacks:
                found |= getattr(callback, "metrics", {})
            for key, value in sorted(found.items()):
                self._say(f"{name} {key} {value:.6g}")
        self._close(0)

    def _open(self) -> bool:
        """On rank 0: take the folder, write the settings down, open the W&B run."""
        self.folder.create()
        header = "# The resolved settings of this run; --config takes this file back.\n"
        write_text(self.folder.config, header + yaml.safe_dump(self.resolved, sort_keys=False))
        source = self._datamodules[self.experiment.stages[-1].name].source
        seed = int(self.resolved[self.experiment.stages[0].name]["seed_everything"])
        write_json(
            self.folder.provenance,
            provenance({"kind": source.kind, "sentence": source.sentence, **source.provenance}, seed),
        )
        self._say(f"run folder {self.folder.root}; data: {source.sentence}")
        config = {**self.resolved, "provenance": read_json(self.folder.provenance)}
        self._wandb = wandb_run.start(self.folder.root, self.experiment.paper, self.experiment.stage_names, config)
        return True

    def _finish(self) -> None:
        metrics: dict[str, float] = {}
        for stage in self.experiment.stages:
            record = read_json(self.folder.stage_record(stage.name)) or {}
            metrics.update(record.get("metrics", {}))
        write_json(self.folder.metrics, metrics)
        write_report(self.experiment, self.folder)
        if self._wandb is not None:
            self._wandb.summary.update(metrics)
            send_products(self._wandb, self.experiment, self.folder, checkpoints=self.sends_checkpoints)
        self._say(f"done; the report is {self.folder.report}")
        self._close(0)

    def _close(self, exit_code: int) -> None:
        if self._wandb is not None:
            self._wandb.finish(exit_code=exit_code)
            self._wandb = None
        if hasattr(self, "folder"):
            self.folder.release()

    def abandon(self) -> None:
        """After an error: tell W&B that the run failed."""
        self._close(1)

    def prepare_data(self) -> None:
        """Prepare and verify the data of the stage that needs most of it, and print what was found."""
        print(self._datamodules[self.experiment.stages[-1].name].verify())

    # -- one stage -------------------------------------------------------------------------------------------------

    def _plan(self, stage: Stage) -> tuple[str, str, str]:
        """On rank 0: decide, and begin the stage's record."""
        now = self._fingerprint(stage)
        record = read_json(self.folder.stage_record(stage.name))
        changed = differences(record["fingerprint"], now) if record else []
        if record and record["finished"]:
            changed += [f"{path.name} is gone" for path in self._products(stage) if not path.exists()]
        source = ""
        if record and not changed and record["finished"]:
            action, why = "skip", "finished before"
            if stage.fits and is_behind(self.folder, stage, self._initial_weights(stage)):
                # What it trained is as it was, but not all of what it passes on.
                action, why, source = "adopt", "its own training, on newer weights", str(self.folder.root)
        elif record and not changed and stage.fits and self.folder.last_checkpoint(stage.name).exists():
            epoch = read_checkpoint(self.folder.last_checkpoint(stage.name))["epoch"]
            action, why = "resume", f"from epoch {epoch + 1}"
        elif self.adopts and (found := finished_elsewhere(self.folder, stage, now)):
            action, why, source = "adopt", f"{found.name} has finished the very same", str(found)
        else:
            shown = "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
            why = shown or ("it was interrupted before its first checkpoint" if record else "not run before")
            action = "anew"
        if action == "anew" or (action == "adopt" and source != str(self.folder.root)):
            self.folder.clear_stage(stage.name)
            write_json(self.folder.stage_record(stage.name), {"finished": False, "fingerprint": now})
        self._say(f"stage {stage.name}: {action} ({why})")
        return action, why, source

    def _fingerprint(self, stage: Stage) -> dict[str, dict[str, Any]]:
        weights = self._initial_weights(stage)
        starting = {}
        if weights:
            state = read_checkpoint(weights)["state_dict"]
            starting["it starts from"] = weights_digest(
                {name: tensor for name, tensor in state.items() if name.startswith(stage.builds_on)}
            )
        for name in stage.uses:
            self._weights_of(self.experiment.stage(name))
            starting[f"of {name}"] = (read_json(self.folder.stage_record(name)) or {})["weights_sha256"]
        if stage.reads:  # there only now
            settings = merge(self.settings[stage.name], self._paths(stage))
            cli = self._cli(stage, stage.subcommands[0], settings, action="instantiate")
            self._datamodules[stage.name] = cli.datamodule
        return fingerprint(
            {**self._computed[stage.name], **self._machine[stage.name]},
            self._datamodules[stage.name].input_hashes(),
            starting,
            [self.experiment.module_of(stage), self.experiment.datamodule_of(stage), *COMMON_SOURCES, *stage.sources],
            ignores=stage.ignores,
        )

    def _paths(self, stage: Stage) -> Settings:
        """Settings that name files of this run."""
        return merge(*(nested(name, str(self.folder.root / file)) for name, file in stage.reads.items()))

    def _carry_out(self, stage: Stage, plan: Plan) -> None:
        if plan.action == "skip":
            return
        if plan.action == "adopt":
            if self.ranks.is_leader:
                adopt(self.folder, stage, Path(plan.source), self._initial_weights(stage), self._computed[stage.name])
        elif stage.fits or self.ranks.is_leader or self.ranks.are_joined:
            self._run_stage(stage, plan)

    def _products(self, stage: Stage) -> list[Path]:
        """Files without which a stage is not finished, whatever its record says."""
        weights = [self.folder.final_weights(stage.name)] if stage.fits else []
        return weights + [self.folder.root / name for name in stage.products]

    def _run_stage(self, stage: Stage, plan: Plan) -> None:
        reset_peak_memory()
        started = {name: clock() for name, clock in CLOCKS.items()}
        resources, last = StageResources(), LastMetrics()
        callbacks: list[Callback] = [resources, last]
        if stage.fits or self.ranks.is_leader:
            callbacks += [StageProgress(stage.name), *self._stage_callbacks(stage)]
        settings = merge(
            self.settings[stage.name],
            self._paths(stage),
            {
                "trainer": {"default_root_dir": str(self.folder.stage(stage.name))},
                "checkpoint": {"dirpath": str(self.folder.stage(stage.name))},
            },
        )
        if (weights := self._initial_weights(stage)) is not None:
            settings = merge(settings, nested("model.initial_weights", str(weights)))
        if stage.fits:
            callbacks.append(FiniteLoss())
            callbacks.append(EpochSeed(int(self.resolved[stage.name]["seed_everything"])))
        metrics: dict[str, float] = {}
        digest = None
        for subcommand in stage.subcommands:
            try:
                cli = self._cli(
                    stage,
                    subcommand,
                    settings,
                    callbacks=callbacks,
                    loggers=self._loggers(stage),
                    resume_from=self.folder.last_checkpoint(stage.name) if plan.action == "resume" else None,
                )
            except SIGTERMException:
                raise InterruptedRunError(f"stage {stage.name} was stopped by SIGTERM; call again to go on.") from None
            if subcommand == "fit":
                if not cli.fitted:
                    raise InterruptedRunError(f"stage {stage.name} was stopped before its end; call again to go on.")
                final = self.folder.final_weights(stage.name)
                cli.trainer.save_checkpoint(final, weights_only=True)
                if self.ranks.is_leader:
                    digest = keep_trained_weights(final, stage, self._initial_weights(stage))
                logged = last.values | {k: float(v) for k, v in cli.trainer.callback_metrics.items()}
                metrics |= {f"{stage.name}/{name}": value for name, value in logged.items()}
            metrics |= {f"{part}/parameters": float(n) for part, n in getattr(cli.model, "parts", {}).items()}
        if not self.ranks.is_leader:
            return
        features: dict[str, str] = {}
        for callback in callbacks:
            metrics |= getattr(callback, "metrics", {})
            features |= getattr(callback, "features", {})
        spent = resources.spent if stage.fits else {name: clock() - started[name] for name, clock in CLOCKS.items()}
        metrics |= {f"{stage.name}/{name}": seconds for name, seconds in spent.items()}
        metrics[f"{stage.name}/peak_memory_bytes"] = float(peak_memory_bytes())
        record = read_json(self.folder.stage_record(stage.name))
        if record is None:
            raise FileNotFoundError(errno.ENOENT, "gone", str(self.folder.stage_record(stage.name)))
        write_json(
            self.folder.stage_record(stage.name),
            {
                **record,
                "finished": True,
                "weights_sha256": digest,
                "metrics": dict(sorted(metrics.items())),
                "features": features,
            },
        )

    def _cli(
        self,
        stage: Stage,
        subcommand: Subcommand,
        settings: Mapping[str, Any],
        *,
        action: Any = "run",
        callbacks: list[Callback] | None = None,
        loggers: list[Logger] | None = None,
        resume_from: Path | None = None,
    ) -> SuiteCLI:
        if not stage.fits or subcommand != "fit":
            settings = merge(settings, {"trainer": {"devices": 1, "num_nodes": 1, "strategy": "auto"}})
        return SuiteCLI(
            load(self.experiment.module_of(stage)),
            load(self.experiment.datamodule_of(stage)),
            settings,
            subcommand,
            origin=stage.name,
            action=action,
            links=self.experiment.links,
            loggers=loggers,
            callbacks=callbacks,
            resume_from=resume_from,
        )

    def _loggers(self, stage: Stage) -> list[Logger]:
        if not self.ranks.is_leader:
            return []
        loggers: list[Logger] = [tracking.HistoryLogger(self.folder.stage(stage.name) / "history.jsonl")]
        if self._wandb is not None:
            loggers.append(tracking.StageWandbLogger(self._wandb, stage.name))
        return loggers

    def _stage_callbacks(self, stage: Stage) -> list[Callback]:
        if stage.callbacks is None:
            return []
        made: list[Callback] = load(stage.callbacks)(self.folder, self._computed[stage.name])
        return made

    def _initial_weights(self, stage: Stage) -> Path | None:
        """The weights a stage starts from: what its settings name, else the final ones of the stage before."""
        named = self.resolved[stage.name]["model"].get("initial_weights")
        if named:
            return Path(named)
        return self._weights_of(self.experiment.stage(stage.starts_from)) if stage.starts_from else None

    def _weights_of(self, stage: Stage) -> Path:
        record = read_json(self.folder.stage_record(stage.name))
        if not record or not record["finished"]:
            raise SettingsError(
                f"{self.folder.stage(stage.name)}: stage {stage.name} is not finished; run it first "
                f"(`fit --stage {stage.name}`, or `run`)."
            )
        return self.folder.final_weights(stage.name)

    def _say(self, text: str) -> None:
        if self.ranks.is_leader:
            print(f"{self.experiment.paper}: {text}", file=sys.stderr, flush=True)
