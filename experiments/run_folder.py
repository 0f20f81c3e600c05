"""The run folder: one directory that holds everything a run makes, and the lock on it."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from experiments.errors import SettingsError


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write beside, flush to disk, then rename: a reader sees the old content or the new one, never half.

    Raises:
        OSError: If the system refuses; it names the file.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as `write_text` does."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The content of a JSON file that `write_json` wrote, or None if there is none.

    Raises:
        SettingsError: If the file is there but was damaged from outside.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SettingsError(
            f"{path}: this is not the JSON that a run writes; delete it, and the stage runs anew."
        ) from None
    return dict(content)


class RunFolder:
    """Paths of one run.

    Args:
        root: The run's folder, such as `runs/ubdiff/FlatVel-A-tiny-seed0`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: IO[str] | None = None

    @property
    def figures(self) -> Path:
        """Folder of the pictures."""
        return self.root / "figures"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.md"

    @property
    def metrics(self) -> Path:
        """Flat figures: name -> number."""
        return self.root / "metrics.json"

    @property
    def config(self) -> Path:
        """The resolved settings of all stages; `--config` takes it back."""
        return self.root / "config.yaml"

    @property
    def provenance(self) -> Path:
        """Data source, versions, git revision."""
        return self.root / "provenance.json"

    @property
    def samples(self) -> Path:
        """The generated pairs."""
        return self.root / "samples.npz"

    def stage(self, name: str) -> Path:
        """Folder of a stage."""
        return self.root / name

    def stage_record(self, name: str) -> Path:
        """What a stage was made from, and whether it is finished."""
        return self.stage(name) / "stage.json"

    def last_checkpoint(self, name: str) -> Path:
        """Where an interrupted stage goes on."""
        return self.stage(name) / "last.ckpt"

    def final_weights(self, name: str) -> Path:
        """The weights of a finished stage."""
        return self.stage(name) / "final.ckpt"

    def create(self) -> None:
        """Make the folder and take the lock, which ends with the process.

        Raises:
            SettingsError: If it cannot be written to, or another process is at work in it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = (self.root / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise SettingsError(
                f"{self.root}: the run folder cannot be written to ({error.strerror}); "
                "make it writable or name another with --run_root."
            ) from None
        if not os.access(self.root, os.W_OK):
            raise SettingsError(
                f"{self.root}: the run folder is read-only; make it writable or name another with --run_root."
            )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise SettingsError(
                f"{self.root}: another process is at work in this run folder; wait for it or name the run with --name."
            ) from None

    def release(self) -> None:
        """Give the lock back before the process ends."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear_stage(self, name: str) -> None:
        """Put a stage's folder aside as `<stage>.previous`, so that a changed option loses nothing at once.

        What was killed before its first checkpoint goes: it must not take the place of what was put aside before it.
        """
        folder, previous = self.stage(name), self.root / f"{name}.previous"
        if folder.exists():
            finished = (read_json(self.stage_record(name)) or {}).get("finished")
            for half_written in folder.glob(".*.partial"):
                half_written.unlink()
            if finished or any(folder.glob("*.ckpt")):
                shutil.rmtree(previous, ignore_errors=True)
                folder.rename(previous)
            else:
                shutil.rmtree(folder)
        folder.mkdir(parents=True)
