"""The one W&B run of a run folder. Imports nothing heavy, so that a command line may ask for it early."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from experiments.errors import SettingsError
from experiments.run_folder import write_text

PROJECT = "seismic-lightning"
ID_FILE = "wandb_run_id"


def under_sweep_agent() -> bool:
    """Whether a W&B sweep agent started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


MODES = ("online", "offline", "disabled")


def mode() -> str:
    """`online`, `offline` or `disabled`: WANDB_MODE if it is set, else offline unless somebody has logged in.

    Raises:
        SettingsError: If WANDB_MODE is none of them.
    """
    chosen = os.environ.get("WANDB_MODE")
    if chosen:
        chosen = {"dryrun": "offline", "run": "online"}.get(chosen, chosen)
        if chosen not in MODES:
            raise SettingsError(f"WANDB_MODE is {chosen}: wanted {', '.join(MODES[:-1])} or {MODES[-1]}; set it so.")
        return chosen
    return "online" if _logged_in() else "offline"


def _logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def start(folder: Path, paper: str, stages: list[str], config: Mapping[str, Any]) -> Any:
    """Open the W&B run of a run folder, or go on in the one it had.

    Returns:
        The W&B run, or None where W&B is disabled.

    Raises:
        SettingsError: If W&B refuses.
    """
    if mode() == "disabled":
        return None
    import wandb

    id_file = folder / ID_FILE
    known = id_file.read_text(encoding="utf-8").strip() if id_file.exists() else None
    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=folder,
            id=os.environ.get("WANDB_RUN_ID") or known,
            name=os.environ.get("WANDB_NAME") or folder.name,
            group=os.environ.get("WANDB_RUN_GROUP") or paper,
            resume="allow",
            mode=mode(),  # type: ignore[arg-type]
            config=dict(config),
            allow_val_change=True,
            # A run that trains what another one needs, as the figures' does, must not end that one.
            reinit="create_new" if wandb.run else "default",
            settings=wandb.Settings(silent=True, console="off"),
        )
    except wandb.Error as error:
        raise SettingsError(f"W&B could not start ({error}); set WANDB_MODE=offline to go on without it.") from error
    write_text(id_file, run.id + "\n")
    for stage in stages:
        run.define_metric(f"{stage}/step", hidden=True)
        run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
    return run
