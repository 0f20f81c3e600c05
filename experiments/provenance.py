"""Where a run's figures come from: data, versions, machine, revision."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = (
    "seismic-lightning",
    "torch",
    "lightning",
    "torchmetrics",
    "wandb",
    "numpy",
    "numba",
    "scipy",
    "scikit-fmm",
    "POT",
)


def git_revision() -> str:
    """Commit of the suite's checkout, with `-dirty` where it has changes; `unknown` outside a checkout."""
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(data: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """All that tells where a run's figures come from.

    Args:
        data: The data source, as the data module describes it.
        seed: The run's seed.
    """
    return {
        "data": dict(data),
        "seed": seed,
        "git_revision": git_revision(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "threads": torch.get_num_threads(),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
