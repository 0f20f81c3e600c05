"""How long a stage took and how much memory it needed, interruptions included."""

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

CLOCKS = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}


class StageResources(Callback):
    """Measure how long a fit takes: seconds on the wall, and CPU seconds of all threads of this process.

    What was spent before an interruption travels in the checkpoint, up to its last epoch.
    """

    def __init__(self) -> None:
        self._before = dict.fromkeys(CLOCKS, 0.0)
        self._started: dict[str, float] | None = None

    @property
    def spent(self) -> dict[str, float]:
        """`seconds` and `cpu_seconds` of training so far, all attempts together."""
        if self._started is None:
            return dict(self._before)
        return {name: self._before[name] + clock() - self._started[name] for name, clock in CLOCKS.items()}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks."""
        self._started = {name: clock() for name, clock in CLOCKS.items()}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clocks."""
        self._before, self._started = self.spent, None

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far."""
        return self.spent

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where the checkpoint was written."""
        self._before = {name: float(state_dict[name]) for name in CLOCKS}


def reset_peak_memory() -> None:
    """Begin a new peak, where the system allows it (Linux, CUDA)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Peak memory since `reset_peak_memory`: the GPU's where it is used, else resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Elsewhere the peak since the process began; macOS counts in bytes, the others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
