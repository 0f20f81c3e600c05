"""Where logged numbers go, and under which names: loggers for the W&B run of a run folder and for the local history.

One W&B run a `run`. A module logs `<split>/<name>`; here that becomes `<stage>/<split>/<name>` against
`<stage>/step`, because Lightning's step begins anew with each stage and W&B drops steps that go backwards.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from experiments.run_folder import write_text


class StageWandbLogger(WandbLogger):
    """Lightning's W&B logger on the run's one W&B run, with the stage in front of every name.

    Args:
        run: What `wandb_run.start` returned.
        stage: Name of the stage.
    """

    def __init__(self, run: Any, stage: str) -> None:
        super().__init__(experiment=run)
        self._stage = stage

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log with the stage's own step."""
        named = {f"{self._stage}/{name}": value for name, value in metrics.items()}
        self.experiment.log(named if step is None else {**named, f"{self._stage}/step": step})

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Nothing: the resolved settings of all stages are the W&B run's config already."""

    def finalize(self, status: str) -> None:
        """Nothing: the W&B run goes on with the next stage."""


class HistoryLogger(Logger):
    """Logged numbers as lines of JSON in the stage's folder; read by the figures.

    After a resume, lines beyond the step that the checkpoint was written at are dropped as they are logged again.

    Args:
        path: The file, such as `<stage>/history.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._continued = False

    @property
    def name(self) -> str:
        """Name for Lightning."""
        return "history"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: settings stand in the run's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one line."""
        if not self._continued:
            self._continued = True
            if step is not None and self.path.exists():
                kept = [line for line in read_history(self.path) if line["step"] < step]
                write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **{name: float(value) for name, value in metrics.items()}}) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines that `HistoryLogger` wrote; a last one cut short by a kill is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
