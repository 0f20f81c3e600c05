"""Lightning's overhead: an epoch of a stage by the Trainer against a bare loop of the same steps on the same batches.

Both with the same module, data, optimiser, schedule and gradient clipping, and with the callbacks that every stage
has; without validation, checkpoints and loggers, which a bare loop would have to pay for as well.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmark.timing import Section, Timing
from experiments.experiment import Experiment
from experiments.settings import Settings, merge


@dataclass(frozen=True)
class Case:
    """One stage of a paper's preset `tiny`, with less data.

    Args:
        paper: Whose experiment.
        stage: That trains.
        options: Of the command line.
    """

    paper: str
    stage: str
    options: tuple[str, ...]


CASES = (
    Case("ubdiff", "autoencoder", ("--shared.data.n_synthetic_maps", "1500")),
    Case("harpa", "field", ("--wave_speed", "overthrust")),
    Case("cubism", "transfer", ("--shared.data.synthetic_share", "0.25")),
)


def measure(epochs: int, cases: Sequence[Case] = CASES) -> Section:
    """Every case; medians over the epochs but the first, and of the ratio of each epoch to the same epoch."""
    timings, ratios = [], {}
    for case in cases:
        with TemporaryDirectory() as folder:
            trained, bare, n_steps = seconds_of(case, Path(folder), epochs)
        name, note = f"{case.paper}, {case.stage}", f"{n_steps} steps an epoch"
        timings += [
            Timing.of(f"{name}: Lightning, a step", [each / n_steps for each in trained], note),
            Timing.of(f"{name}: bare loop, a step", [each / n_steps for each in bare], note),
        ]
        ratios[f"{name}: Lightning / bare loop"] = median(a / b for a, b in zip(trained, bare, strict=True))
    return Section(timings, ratios)


def experiment_of(case: Case) -> Experiment:
    """The experiment that a case is of, with the variant that its options name."""
    import importlib

    program = importlib.import_module(f"experiments.{case.paper}")
    if case.paper == "harpa":
        return program.experiment_of("overthrust")  # type: ignore[no-any-return]
    if case.paper == "cubism":
        return program.experiment_of("cubism")  # type: ignore[no-any-return]
    return program.EXPERIMENT  # type: ignore[no-any-return]


def stage_settings(case: Case, folder: Path, epochs: int) -> tuple[Experiment, Settings]:
    """The settings of the case's stage for so many epochs and nothing else."""
    from experiments.program import parser_of, settings_of

    experiment = experiment_of(case)
    arguments = ["run", "--preset", "tiny", "--cache_root", str(folder / "cache"), *case.options]
    options, dotted = parser_of(experiment).parse_known_args(arguments)
    settings = merge(
        settings_of(experiment.as_variant(options.variant), options, dotted)[case.stage],
        {
            "trainer": {
                "max_epochs": epochs, "limit_val_batches": 0, "logger": False, "default_root_dir": str(folder),
                "enable_progress_bar": False, "accelerator": "cpu",
            },
            "checkpoint": {"dirpath": str(folder / "checkpoints"), "every_n_epochs": 10 * epochs, "save_last": False},
        },
    )  # fmt: skip
    return experiment.as_variant(options.variant), settings


def seconds_of(case: Case, folder: Path, epochs: int) -> tuple[list[float], list[float], int]:
    """CPU seconds of each epoch but the first, by Lightning and by the bare loop, and the steps of an epoch.

    Each epoch is gone through twice, by turns: what else the machine does, and what an epoch has to do, is the same for
    both. The training goes on from where Lightning left it.
    """
    import torch
    from lightning.pytorch import Callback, LightningModule, Trainer

    from callbacks.epoch_seed import EpochSeed
    from callbacks.finite_loss import FiniteLoss
    from experiments.cli import SuiteCLI, load

    class Turns(Callback):
        """Lightning's epoch, then the bare loop's from the same start."""

        def __init__(self) -> None:
            self.by_lightning: list[float] = []
            self.bare: list[float] = []
            self.n_steps = 0

        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.start, self.random_state = Snapshot.of(trainer), torch.get_rng_state()
            self.begun = time.process_time()

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.by_lightning.append(time.process_time() - self.begun)
            end, random_state = Snapshot.of(trainer), torch.get_rng_state()
            self.start.restore(trainer)
            torch.set_rng_state(self.random_state)
            seconds, self.n_steps = bare_epoch(trainer, pl_module, trainer.datamodule)  # type: ignore[attr-defined]
            self.bare.append(seconds)
            end.restore(trainer)
            torch.set_rng_state(random_state)

    experiment, settings = stage_settings(case, folder, epochs)
    stage, turns = experiment.stage(case.stage), Turns()
    cli = SuiteCLI(
        load(experiment.module_of(stage)), load(experiment.datamodule_of(stage)), settings, "fit",
        origin=stage.name, action="instantiate", links=experiment.links, callbacks=[FiniteLoss(), EpochSeed(0), turns],
    )  # fmt: skip
    cli.trainer.fit(cli.model, cli.datamodule)
    return turns.by_lightning[1:], turns.bare[1:], turns.n_steps


@dataclass(frozen=True)
class Snapshot:
    """What a training changes: the module, its optimisers and their schedules, the number of steps."""

    states: list[dict[str, Any]]
    n_steps: int

    @staticmethod
    def of(trainer: Any) -> "Snapshot":
        """A copy of the present state."""
        return Snapshot([deepcopy(each.state_dict()) for each in _stateful(trainer)], _steps(trainer).completed)

    def restore(self, trainer: Any) -> None:
        """Bring it back."""
        for each, state in zip(_stateful(trainer), self.states, strict=True):
            each.load_state_dict(state)
        _steps(trainer).completed = self.n_steps


def _stateful(trainer: Any) -> list[Any]:
    schedules = [each.scheduler for each in trainer.lr_scheduler_configs]
    return [trainer.lightning_module, *trainer.optimizers, *schedules]


def _steps(trainer: Any) -> Any:
    return trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total


def bare_epoch(trainer: Any, module: Any, data: Any) -> tuple[float, int]:
    """Go through an epoch without the Trainer's loops; CPU seconds and steps."""
    import torch

    log, log_dict = module.log, module.log_dict
    module.log = module.log_dict = lambda *args, **kwargs: None
    optimizer, schedules = trainer.optimizers[0], trainer.lr_scheduler_configs
    n_steps, begun = 0, time.process_time()
    module.train()
    module.on_train_epoch_start()
    for i, batch in enumerate(data.train_dataloader()):
        batch = data.on_after_batch_transfer(batch, 0)
        module.on_train_batch_start(batch, i)
        optimizer.zero_grad()
        found = module.training_step(batch, i)
        (found["loss"] if isinstance(found, dict) else found).backward()
        if trainer.gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(module.parameters(), trainer.gradient_clip_val)
        optimizer.step()
        module.on_train_batch_end(found, batch, i)
        for schedule in schedules:
            if schedule.interval == "step":
                schedule.scheduler.step()
        n_steps += 1
        _steps(trainer).completed += 1
    seconds = time.process_time() - begun
    module.log, module.log_dict = log, log_dict
    return seconds, n_steps
