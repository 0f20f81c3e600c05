"""A stream of picks associated, stored and filtered: what the program and the comparison share."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.association.stream.catalogue import CatalogueEvents
from experiments.association.stream.settings import CatalogueSettings
from experiments.catalogue import filters as filtering
from experiments.catalogue.filters import Alive, Filters, Reliabilities
from experiments.catalogue.store import PickStore

if TYPE_CHECKING:
    from experiments.association.problem import Picks, Stations
    from experiments.association.travel_times.provider import TravelTimes


@dataclass(frozen=True)
class Found:
    """Events of a stream, filtered; fields as in `Result`, stations as the travel times have them."""

    events: CatalogueEvents
    outside: np.ndarray
    store: PickStore
    longest_s: float
    settings: CatalogueSettings
    dropped_picks: dict[str, int]
    dropped_events: dict[str, int]
    n_found: int
    reliability: np.ndarray
    corrections_s: np.ndarray


def associate_stored(
    blocks: "Iterable[Picks]",
    stations: "Stations",
    travel_times: "TravelTimes",
    settings: CatalogueSettings,
    filters: Filters,
    store: PickStore,
    workers: int = 1,
    progress: bool = False,
    checkpoint: Path | None = None,
    n_picks: int | None = None,
    clock: "Clock | None" = None,
) -> Found:
    """Associate picks in order of time and filter the events; the picks and their events are in the store.

    Args:
        blocks: The picks.
        stations: The stations.
        travel_times: Of these.
        settings: Of the association.
        filters: Thresholds.
        store: Where picks go.
        workers: Processes.
        progress: Whether to show a progress bar.
        checkpoint: Where an interrupted run goes on from.
        n_picks: How many there will be, for the progress bar.
        clock: Told when a step has ended.
    """
    from experiments.association.stream.associate import CatalogueStream

    clock = clock or Clock()
    parts: list[CatalogueEvents] = []
    with store:
        pieces = CatalogueStream(
            _stored(blocks, store),
            stations,
            travel_times,
            settings,
            progress=progress,
            workers=workers,
            checkpoint_folder=checkpoint,
            n_picks=n_picks,
        )
        for piece in pieces:
            parts.append(piece.events)
            store.add_association(piece.event_of_pick, piece.residuals_s)
    found = CatalogueEvents.joined(parts)
    clock.lap("association")
    used = pieces.settings
    longest_s = _longest_s(travel_times) + 10 * used.s_gate_s
    heard = np.zeros(len(stations.ids), bool)
    heard[np.unique(store.column("station"))] = True
    positions = stations.positions_km
    outside = filtering.outside_network(found.positions_km[:, :2], positions[heard])
    events, which, dropped_picks, dropped_events, reliability = _filter(
        found, store, filters, longest_s, positions, outside
    )
    clock.lap("filters")
    return Found(events, outside[which], store, longest_s, used, dropped_picks, dropped_events, len(found), reliability,
                 pieces.corrections_s)  # fmt: skip


def _stored(blocks: "Iterable[Picks]", store: PickStore) -> "Iterator[Picks]":
    """Blocks of picks, noted down as they pass."""
    for block in blocks:
        store.add_picks(block.station, block.phase, block.time_s)
        yield block


def _filter(
    found: CatalogueEvents,
    store: PickStore,
    filters: Filters,
    longest_s: float,
    stations_km: np.ndarray,
    outside: np.ndarray,
) -> tuple[CatalogueEvents, np.ndarray, dict[str, int], dict[str, int], np.ndarray]:
    """Apply the filters, renumber what is left, and note it in the store."""
    epicentres = found.positions_km[:, :2]
    times, station = store.column("time_s"), store.column("station")
    duration = float(times[-1] - times[0]) if store.n_picks else 0.0
    alive = Alive(len(stations_km), float(times[0]) if store.n_picks else 0.0, duration)
    step = 1_000_000
    for low in range(0, store.n_picks, step):
        alive.add(np.asarray(station[low : low + step]), np.asarray(times[low : low + step]))
    reliabilities = Reliabilities(len(stations_km))
    for part in store.by_event(found.times_s, longest_s):
        own = slice(part.first_event, part.first_event + part.n_events)
        reliabilities.add(part, epicentres[own], stations_km, alive)
    reliability = reliabilities.values
    event_column, residual_column = store.column("event"), store.column("residual_s")
    picks, events = Counter[str](), Counter[str]()
    left: list[CatalogueEvents] = []
    number = np.full(len(found) + 1, -1, np.int64)  # the last is what "no event", -1, becomes
    n_left = 0
    for part in store.by_event(found.times_s, longest_s):
        own = slice(part.first_event, part.first_event + part.n_events)
        kept = filtering.apply(filters, part, epicentres[own], stations_km, outside[own], reliability, alive)
        picks.update(kept.dropped_picks)
        events.update(kept.dropped_events)
        number[own][kept.event] = n_left + np.arange(int(kept.event.sum()))
        n_left += int(kept.event.sum())
        changed = replace(found.take(np.arange(own.start, own.stop)), n_p=kept.n_p, n_s=kept.n_s, rms_s=kept.rms_s)
        left.append(changed.take(kept.event))
        residual_column[part.pick[~kept.pick]] = np.nan
    # Only now, as events of two parts may have picks in turn.
    for low in range(0, store.n_picks, step):
        old = np.asarray(event_column[low : low + step])
        new = number[old]
        new[np.isnan(residual_column[low : low + step])] = -1
        event_column[low : low + step] = new
    return CatalogueEvents.joined(left), np.flatnonzero(number >= 0), dict(picks), dict(events), reliability


def _longest_s(travel_times: "TravelTimes") -> float:
    """Longest travel time of the slowest phase from anywhere in the volume, seconds."""
    import torch

    low, high = travel_times.bounds_km
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    phase = max(travel_times.phases)
    channels = np.array([(station, phase) for station in range(travel_times.n_stations)])
    latent = None
    if travel_times.n_latent and travel_times.latent_bounds is not None:
        latent = torch.as_tensor(travel_times.latent_bounds.mean(axis=0)).expand(len(corners), -1)
    return 1.5 * float(travel_times.times(torch.as_tensor(corners), channels, latent).max())


class Clock:
    """Process time by step, worker processes that have ended included."""

    def __init__(self) -> None:
        self.laps_s: dict[str, float] = {}
        self._last = self._now()

    @staticmethod
    def _now() -> float:
        import resource

        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def lap(self, name: str) -> None:
        """End a step."""
        now = self._now()
        self.laps_s[name] = now - self._last
        self._last = now
