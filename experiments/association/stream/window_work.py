"""Windows solved, here or in other processes, in order, and kept so that a stopped run need not solve them again.

What is kept of a window is named by a hash of all that its result depends on: picks, edges, network, settings and
corrections. A run that goes on, with however many processes, finds what is there; anything else is never looked at.
"""

import hashlib
import io
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from experiments.association.stream.found import Found
from experiments.association.stream.network import Network
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.stream.stitching import TOLERANCE_S
from experiments.association.stream.window_solver import solve_window
from experiments.association.stream.window_state import gather
from experiments.association.stream.windows import Window
from experiments.run_folder import write_bytes

VERSION = 2
"""Of the method: what an earlier one has kept is not taken."""
WINDOWS_A_TASK = 4


@dataclass(frozen=True)
class Solved:
    """A window's own events.

    Args:
        window: The window.
        found: Its events.
        cpu_s: Process time, 0 where it was kept from an earlier run.
    """

    window: Window
    found: Found
    cpu_s: float


def solve(network: Network, window: Window, corrections_s: np.ndarray) -> Found:
    """The events of one window, edges with their tolerance included."""
    margin_s = network.longest_s
    picks = gather(
        network, window.station, window.phase, window.time_s, window.first + np.arange(len(window.time_s)),
        corrections_s,
    )  # fmt: skip
    found = solve_window(network, picks, window.begin_s - margin_s, window.end_s + margin_s)
    times_s = found.events[:, 3]
    return found.take((times_s >= window.begin_s - TOLERANCE_S) & (times_s < window.end_s + TOLERANCE_S))


class WindowWork:
    """Solves windows, here or in processes of its own. A context: the processes end with it.

    Args:
        network: The network.
        workers: Processes; 1 for this one.
        folder: Where results are kept and looked for; None to keep nothing.
    """

    def __init__(self, network: Network, workers: int = 1, folder: Path | None = None) -> None:
        self._network, self._workers, self._folder = network, workers, folder
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "WindowWork":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def solved(
        self, windows: Iterable[Window], settings: CatalogueSettings, corrections_s: np.ndarray
    ) -> Iterator[Solved]:
        """Windows solved, in their order.

        Args:
            windows: The windows, taken as they are needed.
            settings: The settings, of the network's search grid.
            corrections_s: `(station, 2)`, station corrections.
        """
        network = self._network.with_settings(settings)
        stem = _digest(network, corrections_s) if self._folder is not None else b""
        if self._workers <= 1:
            for window in windows:
                yield _one(network, window, corrections_s, self._folder, stem)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, get_context("spawn"), _begin, (network, self._folder))
        under_way: deque[Future[list[Solved]]] = deque()
        task: list[Window] = []
        for window in windows:
            task.append(window)
            if len(task) == WINDOWS_A_TASK:
                under_way.append(self._pool.submit(_task, task, settings, corrections_s, stem))
                task = []
            while len(under_way) > 2 * self._workers:
                yield from under_way.popleft().result()
        if task:
            under_way.append(self._pool.submit(_task, task, settings, corrections_s, stem))
        while under_way:
            yield from under_way.popleft().result()


_shared: tuple[Network, Path | None]


def _begin(network: Network, folder: Path | None) -> None:
    global _shared
    torch.set_num_threads(1)
    _shared = (network, folder)


def _task(windows: list[Window], settings: CatalogueSettings, corrections_s: np.ndarray, stem: bytes) -> list[Solved]:
    network, folder = _shared
    network = network.with_settings(settings)
    return [_one(network, window, corrections_s, folder, stem) for window in windows]


def _one(network: Network, window: Window, corrections_s: np.ndarray, folder: Path | None, stem: bytes) -> Solved:
    began = time.process_time()
    path = None if folder is None else folder / f"{_name(window, stem)}.npz"
    found = None if path is None else _kept(path)
    if found is None:
        found = solve(network, window, corrections_s)
        if path is not None:
            _keep(path, found)
    return Solved(window, found, time.process_time() - began)


def _digest(network: Network, corrections_s: np.ndarray) -> bytes:
    digest = hashlib.sha256(repr((VERSION, network.settings)).encode())
    for array in (network.channels, network.stations_km, network.bounds_km, network.table.values, corrections_s):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _name(window: Window, stem: bytes) -> str:
    digest = hashlib.sha256(stem)
    digest.update(np.array([window.begin_s, window.end_s, window.first]).tobytes())
    for array in (window.station, window.phase, window.time_s):
        digest.update(array.tobytes())
    return digest.hexdigest()[:32]


def _keep(path: Path, found: Found) -> None:
    event, channel = np.nonzero(found.row >= 0)
    content = io.BytesIO()
    np.savez(
        content, events=found.events, evidence=found.evidence, event=event.astype(np.int32),
        channel=channel.astype(np.int32), row=found.row[event, channel], time_s=found.time_s[event, channel],
        n_channels=np.array(found.row.shape[1]),
    )  # fmt: skip
    write_bytes(path, content.getvalue())


def _kept(path: Path) -> Found | None:
    try:
        with np.load(path) as file:
            shape = len(file["events"]), int(file["n_channels"])
            row, time_s = np.full(shape, -1), np.full(shape, np.nan)
            row[file["event"], file["channel"]] = file["row"]
            time_s[file["event"], file["channel"]] = file["time_s"]
            return Found(file["events"], file["evidence"], row, time_s)
    except FileNotFoundError:
        return None
