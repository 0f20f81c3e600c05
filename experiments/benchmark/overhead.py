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
    """CPU seconds of each epoch but the first, by Lightning and by the bare loop, and the steps of an epoch."""
    from lightning.pytorch import Callback, LightningModule, Trainer

    from callbacks.epoch_seed import EpochSeed
    from callbacks.finite_loss import FiniteLoss
    from experiments.cli import SuiteCLI, load

    class EpochClock(Callback):
        """CPU time at the beginning of each epoch and at the end; and what the training started from."""

        def __init__(self) -> None:
            self.moments: list[float] = []
            self.start: list[dict[str, Any]] = []

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.start = [deepcopy(each.state_dict()) for each in stateful(trainer, pl_module)]

        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.moments.append(time.process_time())

        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.moments.append(time.process_time())

    experiment, settings = stage_settings(case, folder, epochs)
    stage, clock = experiment.stage(case.stage), EpochClock()
    cli = SuiteCLI(
        load(experiment.module_of(stage)), load(experiment.datamodule_of(stage)), settings, "fit",
        origin=stage.name, action="instantiate", links=experiment.links, callbacks=[FiniteLoss(), EpochSeed(0), clock],
    )  # fmt: skip
    cli.trainer.fit(cli.model, cli.datamodule)
    trained = [after - before for before, after in zip(clock.moments, clock.moments[1:], strict=False)]
    # The same epochs from the same start: what an epoch has to do may depend on its number.
    for each, state in zip(stateful(cli.trainer, cli.model), clock.start, strict=True):
        each.load_state_dict(state)
    bare = [bare_epoch(cli.trainer, cli.model, cli.datamodule, epoch) for epoch in range(epochs)]
    return trained[1:], [seconds for seconds, _ in bare[1:]], bare[0][1]


def stateful(trainer: Any, module: Any) -> list[Any]:
    """What a training changes: the module, its optimisers, their schedules."""
    return [module, *trainer.optimizers, *(each.scheduler for each in trainer.lr_scheduler_configs)]


def bare_epoch(trainer: Any, module: Any, data: Any, epoch: int) -> tuple[float, int]:
    """Go through an epoch without the Trainer's loops, which only count; CPU seconds and steps."""
    import torch

    loop = trainer.fit_loop
    loop.epoch_progress.current.completed = epoch
    steps = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
    if epoch == 0:
        steps.completed = 0
    module.train()
    module.log = module.log_dict = lambda *args, **kwargs: None
    optimizer, schedules = trainer.optimizers[0], trainer.lr_scheduler_configs
    n_steps, begun = 0, time.process_time()
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
        steps.completed += 1
    return time.process_time() - begun, n_steps
