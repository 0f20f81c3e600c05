"""A catalogue: what associating a whole stream of picks gives, and the pieces in which it comes.

Units are km and s; z points down; times are on the clock of the picks. Events stand in order of time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class CatalogueEvents:
    """Earthquakes as found.

    Args:
        times_s: `(event,)`, origin times, ascending.
        positions_km: `(event, 3)`.
        time_errors_s: `(event,)`, standard errors; NaN where the picks do not determine them.
        position_errors_km: `(event, 3)`, standard errors; NaN likewise.
        n_p: `(event,)` int, P picks.
        n_s: `(event,)` int, S picks.
        rms_s: `(event,)`, root mean square residual of its picks, after station corrections.
        gap_deg: `(event,)`, largest azimuth between two of its stations that no station of its lies in.
        nearest_station_km: `(event,)`, epicentral distance of its nearest station with a pick.
        evidence: `(event,)`, nats by which its picks are better explained by it than by chance.
        expected_share: `(event,)`, share of the channels within its range that have a pick of it.
        at_bound: `(event,)` bool, whether it lies on the edge of the volume that was searched.
    """

    times_s: np.ndarray
    positions_km: np.ndarray
    time_errors_s: np.ndarray
    position_errors_km: np.ndarray
    n_p: np.ndarray
    n_s: np.ndarray
    rms_s: np.ndarray
    gap_deg: np.ndarray
    nearest_station_km: np.ndarray
    evidence: np.ndarray
    expected_share: np.ndarray
    at_bound: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    def take(self, which: np.ndarray) -> "CatalogueEvents":
        """Those of these numbers, or of this mask, in that order."""
        return CatalogueEvents(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def none() -> "CatalogueEvents":
        """No event."""
        flat = np.empty(0)
        whole = np.empty(0, np.int64)
        cube = np.empty((0, 3))
        return CatalogueEvents(flat, cube, flat, cube, whole, whole, flat, flat, flat, flat, flat, np.empty(0, bool))

    @staticmethod
    def joined(parts: "Iterable[CatalogueEvents]") -> "CatalogueEvents":
        """One after another."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return CatalogueEvents.none()
        return CatalogueEvents(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(CatalogueEvents))
        )


@dataclass(frozen=True)
class CataloguePiece:
    """A stretch of the stream that is final: no later pick changes it.

    Args:
        first_event: Number of its first event in the catalogue.
        events: Its events.
        first_pick: Number of its first pick in the stream.
        event_of_pick: `(pick,)` int, the number in the CATALOGUE of its event, which is of this piece or one before,
            -1 for none: noise.
        residuals_s: `(pick,)`, pick minus predicted arrival, after station corrections; NaN for noise.
    """

    first_event: int
    events: CatalogueEvents
    first_pick: int
    event_of_pick: np.ndarray
    residuals_s: np.ndarray


@dataclass(frozen=True)
class Catalogue:
    """The whole.

    Args:
        events: Earthquakes.
        event_of_pick: `(pick,)` int, number of each pick's event, in the order of the picks as given; -1 for noise.
        residuals_s: `(pick,)`, pick minus predicted arrival, after station corrections; NaN for noise.
        corrections_s: `(station, 2)`, station corrections of P and S that were added to travel times; zeros where none
            were learnt.
        cpu_s: Process time of all processes, compilation included where there was any.
        n_windows: Windows that were solved.
    """

    events: CatalogueEvents
    event_of_pick: np.ndarray
    residuals_s: np.ndarray
    corrections_s: np.ndarray
    cpu_s: float = 0.0
    n_windows: int = 0
