"""The folder of results: filled beside, then renamed, so that it is whole or not there.

Earlier results of the runner may be replaced; a folder with anything else in it is left alone.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from experiments.errors import SettingsError

FILES = ("events.csv", "picks.csv", "summary.json", "association.png",
         "wave_speed_km_s.npy", "wave_speed_km_s.json", "wave_speed.png", "events.xml", "missed.csv", "quality.md",
         "map.png", "hours.png", "residuals.png", "reference.png")  # fmt: skip
_KEPT = ("wandb", "wandb_run_id")
_MARK = "summary.json"


class OutFolder:
    """Where results go. A context: what was not `finish`ed is removed.

    Args:
        path: The folder, `--out`.
        inputs: Files that the results may not overwrite.

    Raises:
        SettingsError: When the folder holds an input or foreign files, or cannot be made.
    """

    def __init__(self, path: Path, inputs: Iterable[Path]) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link that is to be kept
        if self.path.is_symlink():
            self.path = self.path.resolve()
        for file in inputs:
            if self.path in file.resolve().parents:
                raise SettingsError(f"--out {path}: this folder holds the input {file}; name another for the results.")
        if self.path.exists():
            _refuse_foreign(path, self.path)
        self._made = [folder for folder in self.path.parents if not folder.exists()]
        self.staging = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")

    def __enter__(self) -> Path:
        try:
            self.staging.mkdir(parents=True)
        except OSError as error:
            raise SettingsError(
                f"--out {self.path}: no folder can be made there ({error.strerror}); name another."
            ) from None
        return self.staging

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        for folder in self._made:
            with suppress(OSError):  # not empty: the results are in it
                folder.rmdir()

    def finish(self) -> None:
        """Put the results in place of earlier ones; W&B's records of those are kept."""
        earlier = self.path.with_name(f".{self.path.name}.{os.getpid()}.earlier")
        if self.path.exists():
            for entry in (self.path / "wandb").glob("*"):
                target = self.staging / "wandb" / entry.name
                if entry.is_dir() and not entry.is_symlink() and not target.exists():
                    target.parent.mkdir(exist_ok=True)
                    shutil.copytree(entry, target, symlinks=True)
            self.path.rename(earlier)
        try:
            self.staging.rename(self.path)
        except BaseException:
            if earlier.exists():
                earlier.rename(self.path)
            raise
        shutil.rmtree(earlier, ignore_errors=True)


def _refuse_foreign(named: Path, path: Path) -> None:
    if not path.is_dir():
        raise SettingsError(f"--out {named}: this is a file; name a folder for the results.")
    there = sorted(entry.name for entry in path.iterdir())
    foreign = [name for name in there if name not in (*FILES, *_KEPT)]
    if foreign or (there and _MARK not in there):
        raise SettingsError(
            f"--out {named}: this folder holds {(foreign or there)[0]}, which is none of the runner's results; "
            "name a new or empty folder, or one with earlier results."
        )
