"""The association of a stream of picks, and the filters over what it found."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.association.stream.settings import CatalogueSettings
from experiments.catalogue import filters as filtering
from experiments.catalogue.files import Listed
from experiments.catalogue.filters import Filters
from experiments.catalogue.store import PickStore
from experiments.catalogue.stored import Clock, associate_stored

if TYPE_CHECKING:
    from experiments.catalogue.program import Inputs


@dataclass(frozen=True)
class Result:
    """A catalogue, filtered.

    Args:
        listed: Its events.
        store: All picks, with their events among `listed`.
        longest_s: No pick is later after its event.
        settings: Of the association.
        filters: Thresholds.
        dropped_picks: For each reason how many picks the filters took from events.
        dropped_events: For each reason how many events.
        n_found: Events before the filters.
        reliability: `(station,)`, how often each sees events nearer than half of those that saw them.
        corrections_s: `(station, 2)`, added to the travel times of P and S; zeros where none were learnt.
        travel_time_facts: What the summary says of them.
        cpu_s: Process time, of worker processes too, by step.
    """

    listed: Listed
    store: PickStore
    longest_s: float
    settings: CatalogueSettings
    filters: Filters
    dropped_picks: dict[str, int]
    dropped_events: dict[str, int]
    n_found: int
    reliability: np.ndarray
    corrections_s: np.ndarray
    travel_time_facts: dict[str, Any]
    cpu_s: dict[str, float]


def settings_for(options: argparse.Namespace, has_s: bool) -> CatalogueSettings:
    """Settings of the association that the options ask for; thresholds that the filters have too are its own."""
    settings = CatalogueSettings()
    changes: dict[str, Any] = {
        "pick_error_s": options.pick_error_s,
        "window_s": options.window_s,
        "least_picks": options.min_picks,
        "least_p": options.min_p,
        "least_s": options.min_s if options.min_s is not None else None if has_s else 0,
        "least_both": options.min_both,
        "max_residual_s": options.max_residual_s,
        "station_corrections": False if options.no_station_corrections else None,
    }
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})


def filters_for(options: argparse.Namespace, n_stations: int, has_s: bool, settings: CatalogueSettings) -> Filters:
    """Thresholds that the options ask for, else those that follow from the network."""
    base = replace(filtering.default_filters(n_stations, has_s), s_factor=settings.s_error_s / settings.p_error_s)
    names = ("min_picks", "min_p", "min_s", "min_both", "max_residual_s", "max_rms_s", "min_seen")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return replace(base, **given, drop_outside=options.drop_outside)


def associate_and_filter(options: argparse.Namespace, inputs: "Inputs", folder: Path, checkpoint: Path) -> Result:
    """Associate a stream of picks and filter the events.

    Args:
        options: The command line.
        inputs: What was read.
        folder: Where the picks are stored meanwhile.
        checkpoint: Where the association keeps what is done; an interrupted run goes on from it.

    Raises:
        SettingsError, DataError, ModuleError: For a mistake of the user.
    """
    from experiments.association.preparation import check_provider, prepare
    from experiments.association.problem import Stations

    clock = Clock()
    prepared = prepare(inputs.source, inputs.stations.ids, inputs.has_s)
    check_provider(options.speeds, prepared, inputs.has_s)
    clock.lap("travel_times")
    order = prepared.station_of
    names = {int(number): name for number, name in zip(order, inputs.stations.ids, strict=True)}
    ids = tuple(names.get(number, f"trained {number}") for number in range(len(prepared.positions_km)))
    stations = Stations(ids, prepared.positions_km)
    blocks = (replace(block, station=order[block.station]) for block in inputs.stream.blocks())
    heard = inputs.heard
    settings = settings_for(options, inputs.has_s)
    filters = filters_for(options, int(heard.sum()), inputs.has_s, settings)
    found = associate_stored(
        blocks,
        stations,
        prepared.travel_times,
        settings,
        filters,
        PickStore(folder),
        workers=options.workers,
        progress=not options.quiet,
        checkpoint=checkpoint,
        n_picks=int(inputs.stream.facts.counts.sum()),
        clock=clock,
    )
    # The store has the provider's stations; from here on they are those of the file.
    found.store.renumber_stations(_inverse(order, len(ids)))
    return Result(
        Listed(found.events, found.outside, inputs.start, inputs.stations.projection),
        found.store,
        found.longest_s,
        found.settings,
        filters,
        found.dropped_picks,
        found.dropped_events,
        found.n_found,
        found.reliability[order],
        found.corrections_s[order],
        prepared.facts,
        clock.laps_s,
    )


def _inverse(order: np.ndarray, n: int) -> np.ndarray:
    inverse = np.full(n, -1, np.int64)
    inverse[order] = np.arange(len(order))
    return inverse
