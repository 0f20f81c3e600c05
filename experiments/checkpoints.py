"""Checkpoints that are either whole or absent."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from experiments.errors import SettingsError
from experiments.run_folder import write_bytes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside, flush to disk, then rename.

    Lightning's own writer goes through the system's temporary folder, and moving a file from another file system is
    a copy that a kill can cut short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save a checkpoint; on an error such as a full disk the one before stays as it was."""
        # The folder is made with the stage: where it is gone, the run folder was deleted under the run.
        path = Path(path)
        content = io.BytesIO()  # torch's own writer reports a full disk as a RuntimeError about positions
        torch.save(checkpoint, content)
        write_bytes(path, content.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Raises:
        SettingsError: If it is missing or damaged.
    """
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such checkpoint; run the stage that makes it first.") from None
    except Exception as error:
        # torch reports damage in many ways: RuntimeError, EOFError, UnpicklingError, KeyError.
        raise SettingsError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); delete it, and the stage runs anew."
        ) from error
