"""What a finished run sends to W&B beside its numbers: pictures, tables, samples, and checkpoints when asked."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.experiment import Experiment
from experiments.report_content import gather
from experiments.run_folder import RunFolder

if TYPE_CHECKING:
    import wandb

N_SAMPLES = 8
"""Generated pairs that are shown one by one."""
MOST_ROWS = 5000
"""Of a table; W&B shows no more than 10,000."""


def send_products(run: Any, experiment: Experiment, folder: RunFolder, *, checkpoints: bool = False) -> None:
    """Send what a run has made.

    Args:
        run: The W&B run.
        experiment: What was run.
        folder: Its folder, complete.
        checkpoints: Also send the final weights of every stage that trains, as one artifact.
    """
    import wandb

    content = gather(experiment, folder)
    named: dict[str, Any] = {}
    for section in content.sections:
        for picture in section.pictures:
            caption = f"{picture.caption} Data: {content.data}"
            named[f"figures/{picture.path.stem}"] = wandb.Image(str(picture.path), caption=caption)
        for i, table in enumerate(section.tables):
            rows = [list(row) for row in table.rows]
            named[f"tables/{section.title}{f' {i + 1}' if i else ''}"] = wandb.Table(list(table.header), rows)
    for path in sorted(folder.root.glob("*.csv")):
        named[f"tables/{path.stem}"] = _table_of(path)
    if folder.samples.exists():
        named["tables/samples"] = _generated_pairs(folder.samples)
    run.log(named)
    if checkpoints:
        artifact = wandb.Artifact(f"{experiment.paper}-{run.id}", type="model", metadata=dict(content.provenance))
        for stage in experiment.stages:
            if stage.fits:
                artifact.add_file(str(folder.final_weights(stage.name)), name=f"{stage.name}.ckpt")
        artifact.add_file(str(folder.config), name=folder.config.name)
        run.log_artifact(artifact)


def _table_of(path: Path) -> "wandb.Table":
    import wandb

    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))[: MOST_ROWS + 1]
    return wandb.Table(header, rows)


def _generated_pairs(path: Path) -> "wandb.Table":
    """Map and middle shot of the first pairs as pictures, each scaled to its own range, which stands beside."""
    import numpy as np
    import wandb

    from datamodules.sample_file import SEISMIC, VELOCITY, map_member

    velocity, seismic = map_member(path, VELOCITY)[:N_SAMPLES], map_member(path, SEISMIC)[:N_SAMPLES]
    table = wandb.Table(["pair", "velocity", "m/s, from", "to", "seismic, middle shot", "amplitude, at most"])
    for i, (speed, gather_of) in enumerate(zip(velocity, seismic, strict=True)):
        lowest, highest = float(speed.min()), float(speed.max())
        shot = np.sign(gather_of[2]) * np.log1p(np.abs(gather_of[2]))  # reflections are weak beside the direct wave
        largest = float(np.abs(shot).max()) or 1.0
        table.add_data(
            i, wandb.Image((speed - lowest) / (highest - lowest or 1.0)), lowest, highest,
            wandb.Image(0.5 + 0.5 * shot / largest), float(np.abs(gather_of[2]).max()),
        )  # fmt: skip
    return table
