"""Associates a catalogue: any number of picks, events not told, memory bounded, processes as wished.

    catalogue = associate_catalogue(picks, stations, travel_times, CatalogueSettings(), progress=True, workers=2)

Picks stream through windows (`windows.py`), each solved by itself (`window_solver.py`) and put together again
(`stitching.py`). Neither the blocks in which picks come nor the number of processes changes a bit of the result.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.association.problem import Picks, Stations
from experiments.association.stream.catalogue import Catalogue, CatalogueEvents, CataloguePiece
from experiments.association.stream.corrections import learn_corrections
from experiments.association.stream.found import Found
from experiments.association.stream.network import Network
from experiments.association.stream.pieces import PieceMaker
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.stream.stitching import Stitcher
from experiments.association.stream.window_work import Solved, WindowWork
from experiments.association.stream.windows import Window, WindowCutter
from experiments.association.travel_times.provider import TravelTimes
from experiments.errors import SettingsError

WINDOW_TRAVEL_TIMES = 5.0
"""A window's length, in longest travel times, if not said otherwise."""
LEARNING_ROUNDS = 2
LITTLE = 0.25
"""Events with less than this share of the picks: too few were found to learn from."""


def associate_catalogue(
    picks: Picks,
    stations: Stations,
    travel_times: TravelTimes,
    settings: CatalogueSettings | None = None,
    progress: bool = False,
    workers: int = 1,
    checkpoint_folder: Path | None = None,
    corrections_s: np.ndarray | None = None,
) -> Catalogue:
    """Associate picks that are all in memory.

    Args:
        picks: In any order.
        stations: The stations.
        travel_times: Of these stations, in this order; of a known wave speed. Their bounds are where events may be.
        settings: What may be set.
        progress: Whether to show a progress bar.
        workers: Processes.
        checkpoint_folder: Where windows are kept so that a stopped run goes on; the caller removes it.
        corrections_s: `(station, 2)`, station corrections if they are known; None to learn them, if the settings say.

    Raises:
        SettingsError: When a pick, the travel times or the settings can not be used.
    """
    began_s = time.process_time()
    order = np.argsort(picks.time_s, kind="stable")
    in_order = Picks(picks.station[order], picks.phase[order], picks.time_s[order])
    stream = CatalogueStream([in_order], stations, travel_times, settings, progress, workers, checkpoint_folder,
                             corrections_s, n_picks=len(picks))  # fmt: skip
    pieces = list(stream)
    event_of_pick, residuals_s = np.full(len(picks), -1), np.full(len(picks), np.nan)
    for piece in pieces:
        rows = order[piece.first_pick : piece.first_pick + len(piece.event_of_pick)]
        event_of_pick[rows], residuals_s[rows] = piece.event_of_pick, piece.residuals_s
    events = CatalogueEvents.joined(piece.events for piece in pieces)
    cpu_s = stream.cpu_s if workers > 1 else time.process_time() - began_s
    return Catalogue(events, event_of_pick, residuals_s, stream.corrections_s, cpu_s, stream.n_windows)


class CatalogueStream:
    """Pieces of a catalogue, as they become final: iterate once. Memory does not grow with the number of picks.

    Args:
        blocks: Picks in order of time, over all blocks.
        stations: The stations.
        travel_times: As for `associate_catalogue`.
        settings: What may be set.
        progress: Whether to show a progress bar.
        workers: Processes.
        checkpoint_folder: Where windows are kept.
        corrections_s: `(station, 2)`, station corrections if known.
        n_picks: How many there will be, for the progress bar.

    Attributes:
        corrections_s: `(station, 2)`, the corrections in use; learnt, where they are, before the first piece.
        cpu_s: Process time so far, of all processes.
        n_windows: Windows so far.

    Raises:
        SettingsError: When a pick, the travel times or the settings can not be used.
    """

    def __init__(
        self,
        blocks: Iterable[Picks],
        stations: Stations,
        travel_times: TravelTimes,
        settings: CatalogueSettings | None = None,
        progress: bool = False,
        workers: int = 1,
        checkpoint_folder: Path | None = None,
        corrections_s: np.ndarray | None = None,
        n_picks: int | None = None,
    ) -> None:
        self._network = Network(stations, travel_times, settings or CatalogueSettings())
        self._network.check()
        self._blocks = self._checked(blocks)
        self._progress, self._workers, self._folder, self._n_picks = progress, workers, checkpoint_folder, n_picks
        self._learns = corrections_s is None and self._network.settings.station_corrections
        self.corrections_s = np.zeros((len(stations.ids), 2)) if corrections_s is None else corrections_s
        self.cpu_s, self.n_windows = 0.0, 0
        self._began_s, self._elsewhere_s = 0.0, 0.0
        if checkpoint_folder is not None:
            checkpoint_folder.mkdir(parents=True, exist_ok=True)

    def __iter__(self) -> Iterator[CataloguePiece]:
        with (
            tqdm(total=self._n_picks, unit="pick", desc="associate", disable=not self._progress) as bar,
            WindowWork(self._network, self._workers, self._folder) as work,
        ):
            self._began_s = time.process_time()
            sample = self._learn(work) if self._learns else []
            stitcher, maker = Stitcher(self._network), PieceMaker(self._network, self.corrections_s)

            def watched(blocks: Iterable[Picks]) -> Iterator[Picks]:
                for block in blocks:
                    maker.add(block)
                    yield block

            for solved in self._solved(work, watched(chain(sample, self._blocks))):
                self.n_windows += 1
                final = stitcher.add(solved.window.begin_s, solved.found)
                piece = maker.piece(final, solved.window.begin_s)
                bar.update(len(piece.event_of_pick))
                bar.set_postfix(events=piece.first_event + len(piece.events), refresh=False)
                yield piece
            piece = maker.piece(stitcher.finish(), None)
            bar.update(len(piece.event_of_pick))
            self._count_cpu()
            yield piece

    @property
    def settings(self) -> CatalogueSettings:
        """The settings in use, with what has been learnt so far."""
        return self._network.settings

    def _solved(self, work: WindowWork, blocks: Iterable[Picks]) -> Iterator[Solved]:
        for solved in work.solved(self._windows(blocks), self._network.settings, self.corrections_s):
            self._elsewhere_s += solved.cpu_s if self._workers > 1 else 0.0
            self._count_cpu()
            yield solved

    def _count_cpu(self) -> None:
        self.cpu_s = time.process_time() - self._began_s + self._elsewhere_s

    def _windows(self, blocks: Iterable[Picks]) -> Iterator[Window]:
        longest_s = self._network.longest_s
        wanted_s = self._network.settings.window_s or WINDOW_TRAVEL_TIMES * longest_s
        cutter = WindowCutter(wanted_s, longest_s, longest_s)
        for block in blocks:
            cutter.add(block.station, block.phase, block.time_s)
            yield from cutter.windows(is_last=False)
        yield from cutter.windows(is_last=True)

    def _learn(self, work: WindowWork) -> list[Picks]:
        """Learn corrections from the first picks of the stream, and give those back."""
        wanted, sample, n = self._network.settings.learning_picks, [], 0
        for block in self._blocks:
            sample.append(block)
            n += len(block)
            if n >= wanted:
                break
        first, asked = _cut(sample, wanted), self._network.settings
        found = Found.none(len(self._network.channels))
        for settings in _beginnings(asked):
            tried = self._found_in(work, first, settings)
            if (tried.row >= 0).sum() >= (found.row >= 0).sum():
                found, chosen = tried, settings
            if (found.row >= 0).sum() >= LITTLE * sum(map(len, first)):
                break
        for later in range(LEARNING_ROUNDS):
            if later:
                found = self._found_in(work, first, chosen)
            learnt = learn_corrections(self._network, found, self.corrections_s)
            self.corrections_s = learnt.corrections_s
        self._network = self._network.with_settings(_with_errors(asked, learnt.errors_s))
        return sample

    def _found_in(self, work: WindowWork, picks: list[Picks], settings: CatalogueSettings) -> Found:
        """Events of a few picks, by other settings."""
        self._network = self._network.with_settings(settings)
        stitcher, parts = Stitcher(self._network), [Found.none(len(self._network.channels))]
        for solved in self._solved(work, picks):
            parts.append(stitcher.add(solved.window.begin_s, solved.found))
        return Found.joined([*parts, stitcher.finish()])

    def _checked(self, blocks: Iterable[Picks]) -> Iterator[Picks]:
        last_s, n, n_stations = -np.inf, 0, len(self._network.stations.ids)
        for block in blocks:
            if not len(block):
                continue
            if not np.isfinite(block.time_s).all():
                bad = n + int(np.flatnonzero(~np.isfinite(block.time_s))[0])
                raise SettingsError(f"The time of pick {bad} is not finite; remove the pick or mend its time.")
            backward = np.flatnonzero(np.diff(block.time_s, prepend=last_s) < 0)
            if len(backward):
                raise SettingsError(
                    f"Picks come in order of time, and pick {n + int(backward[0])} is earlier than the one before; "
                    "sort them."
                )
            if block.station.min() < 0 or block.station.max() >= n_stations:
                raise SettingsError(
                    f"Picks name stations {block.station.min()} to {block.station.max()} of {n_stations}."
                )
            if not np.isin(block.phase, self._network.travel_times.phases).all():
                raise SettingsError("There are picks of a phase without travel times; give its speed or drop them.")
            last_s, n = float(block.time_s[-1]), n + len(block)
            yield block


def _beginnings(settings: CatalogueSettings) -> list[CatalogueSettings]:
    """Settings to learn with; where picks are dense, large errors leave them nothing to tell."""
    if settings.pick_error_s is not None:
        return [settings]
    return [settings, replace(settings, pick_error_s=0.5 * settings.p_error_s)]


def _with_errors(settings: CatalogueSettings, errors_s: np.ndarray) -> CatalogueSettings:
    """The settings with errors that were learnt, where they leave them to be."""
    p_error_s, s_error_s = (float(error) for error in errors_s)
    if settings.pick_error_s is None and np.isfinite(p_error_s):
        settings = replace(settings, pick_error_s=p_error_s)
    if settings.s_error_factor is None and np.isfinite(s_error_s):
        settings = replace(settings, s_error_factor=s_error_s / settings.p_error_s)
    return settings


def _cut(blocks: list[Picks], most: int) -> list[Picks]:
    """The first picks of blocks, so many whatever the blocks are."""
    station, phase, time_s = (
        np.concatenate([getattr(block, name) for block in blocks])[:most] if blocks else np.empty(0)
        for name in ("station", "phase", "time_s")
    )
    return [Picks(station, phase, time_s)] if len(time_s) else []
