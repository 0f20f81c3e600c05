"""Rank 0 decides, the others are told.

A run is one process until its first DDP stage, whose launcher (Lightning's) starts the program again from the top
for every other rank. Those must not decide anything a second time: what rank 0 decided before it launched them
reaches them through the environment, what it decides later through the process group. Under torchrun or SLURM all
ranks start together, so the process group is made at the first decision.
"""

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_only

Answer = TypeVar("Answer")

_HANDOVER = "SEISMIC_LIGHTNING_DECISIONS"
# Other ranks wait for as long as a stage on rank 0 takes.
_PATIENCE = timedelta(days=30)


class Ranks:
    """The processes of one run, as seen by one of them."""

    def __init__(self) -> None:
        self._told: list[Any] = json.loads(os.environ.get(_HANDOVER, "[]")) if not self.is_leader else []
        self._decided: list[Any] = []
        self._group: Any = None
        self._alone = False
        os.environ.pop(_HANDOVER, None) if self.is_leader else None

    @property
    def is_leader(self) -> bool:
        """Whether this process decides and writes."""
        return int(getattr(rank_zero_only, "rank", 0) or 0) == 0

    def decide(self, ask: Callable[[], Answer]) -> Answer:
        """Rank 0's answer, on every rank.

        Args:
            ask: Called on rank 0 only; its answer must be of JSON's types.
        """
        if self._alone:
            return ask()
        if not dist.is_initialized() and started_together():
            _join()
        if dist.is_initialized():
            box = [ask() if self.is_leader else None]
            dist.broadcast_object_list(box, src=0, group=self._patient_group())
            return box[0]  # type: ignore[return-value]
        if not self.is_leader:
            return self._told.pop(0)  # type: ignore[no-any-return]
        answer = ask()
        self._decided.append(answer)
        os.environ[_HANDOVER] = json.dumps(self._decided)
        return answer

    def _patient_group(self) -> Any:
        if self._group is None:
            self._group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        return self._group

    @property
    def are_joined(self) -> bool:
        """Whether there is a process group.

        Lightning's trainer then waits for the other ranks even in a stage that it runs on one device: they must go
        through it too, and throw away what comes out.
        """
        return not self._alone and dist.is_initialized()

    def leave(self) -> None:
        """End the process group; called by every rank when no stage needs the others any more.

        From here on rank 0 is alone, and the others are expected to end.
        """
        os.environ.pop(_HANDOVER, None)
        if dist.is_initialized():
            dist.barrier(group=self._patient_group())
            dist.destroy_process_group()
        self._group, self._alone = None, True


def started_together() -> bool:
    """Whether torchrun or SLURM started several ranks of this program side by side."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment().world_size() > 1
    return SLURMEnvironment.detect() and SLURMEnvironment().world_size() > 1


def _join() -> None:
    environment = TorchElasticEnvironment() if TorchElasticEnvironment.detect() else SLURMEnvironment()
    if torch.cuda.is_available():
        torch.cuda.set_device(environment.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        rank=environment.global_rank(),
        world_size=environment.world_size(),
    )
