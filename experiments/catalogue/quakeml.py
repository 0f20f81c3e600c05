"""The catalogue as QuakeML 1.2, written by ObsPy (`pip install seismic-lightning[quakeml]`).

Each event has an origin with uncertainties and quality, its picks, and an arrival for each with residual, distance and
azimuth. ObsPy holds a whole catalogue in memory and is slow; events are given to it a hundred at a time, and what it
writes for them is joined in one file.
"""

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from experiments.catalogue.files import Listed
from experiments.catalogue.store import EventPicks
from experiments.errors import SettingsError

AUTHORITY = "smi:local"
EVENTS_AT_ONCE = 100
_KM_PER_DEGREE = 111.19492664455873
_CLOSE = b"</eventParameters>"


def is_there() -> bool:
    """Whether ObsPy is installed."""
    return find_spec("obspy") is not None


def require() -> None:
    """Refuse to go on without ObsPy.

    Raises:
        SettingsError: Where it is not installed.
    """
    if not is_there():
        raise SettingsError(
            "--quakeml yes: ObsPy, which writes QuakeML, is not installed; run `pip install obspy`, or leave it out."
        )


def write(
    path: Path,
    listed: Listed,
    parts: Iterator[EventPicks],
    station_ids: Sequence[str],
    stations_km: np.ndarray,
) -> None:
    """Write the file.

    Args:
        path: The file.
        listed: The events; with latitude and longitude.
        parts: Their picks, in order of the events.
        station_ids: Names of the stations, `network.station[.location[.channel]]`.
        stations_km: `(station, 3)`.
    """
    opened = False
    with path.open("wb") as file:
        for part in parts:
            text = _serialised(listed, part, station_ids, stations_km)
            head, _, rest = text.partition(b"<event ")
            body, closing, foot = (b"<event " + rest).rpartition(_CLOSE)
            if not opened:
                file.write(head if rest else text.partition(_CLOSE)[0])
                opened = True
                ending = closing + foot
            if rest:
                file.write(body)
        if not opened:
            file.write(_serialised(listed, None, station_ids, stations_km))
        else:
            file.write(ending)


def _serialised(listed: Listed, part: EventPicks | None, station_ids: Sequence[str], stations_km: np.ndarray) -> bytes:
    from obspy.core.event import Catalog

    events = [] if part is None else list(_events(listed, part, station_ids, stations_km))
    catalogue = Catalog(events=events, resource_id=f"{AUTHORITY}/seismic-lightning/catalogue")
    text = io.BytesIO()
    catalogue.write(text, format="QUAKEML")
    return text.getvalue()


def _events(listed: Listed, part: EventPicks, station_ids: Sequence[str], stations_km: np.ndarray) -> Iterator[Any]:
    from obspy import UTCDateTime
    from obspy.core.event import (
        Arrival,
        CreationInfo,
        Event,
        Origin,
        OriginQuality,
        OriginUncertainty,
        Pick,
        QuantityError,
        ResourceIdentifier,
        WaveformStreamID,
    )

    start, events = UTCDateTime(listed.start), listed.events
    latitude, longitude = listed.degrees()
    codes = [waveform_codes(name) for name in station_ids]
    info = CreationInfo(agency_id="seismic-lightning", author="seismic-lightning")
    bounds = np.searchsorted(part.event - part.first_event, np.arange(part.n_events + 1))
    for n in range(part.n_events):
        number = part.first_event + n
        base = f"{AUTHORITY}/event/{number}"
        picks, arrivals = [], []
        stations = part.station[bounds[n] : bounds[n + 1]]
        offset = stations_km[stations, :2] - events.positions_km[number, :2]
        far = np.hypot(offset[:, 0], offset[:, 1])
        azimuth = np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) % 360
        for k, row in enumerate(range(bounds[n], bounds[n + 1])):
            phase = "PS"[part.phase[row]]
            code = codes[part.station[row]]
            name = ResourceIdentifier(f"{base}/pick/{part.pick[row]}")
            picks.append(
                Pick(
                    resource_id=name,
                    time=start + round(float(part.time_s[row]) * 1e6) / 1e6,
                    waveform_id=WaveformStreamID(**code),
                    phase_hint=phase,
                    evaluation_mode="automatic",
                )
            )
            arrivals.append(
                Arrival(
                    resource_id=ResourceIdentifier(f"{base}/arrival/{part.pick[row]}"),
                    pick_id=name,
                    phase=phase,
                    time_residual=round(float(part.residual_s[row]), 6),
                    distance=float(far[k]) / _KM_PER_DEGREE,
                    azimuth=float(azimuth[k]),
                    time_weight=1.0,
                )
            )
        ex, ey, ez = (_number(value) for value in events.position_errors_km[number])
        lat_km, lon_km = _KM_PER_DEGREE, _KM_PER_DEGREE * float(np.cos(np.radians(latitude[number])))
        origin = Origin(
            resource_id=ResourceIdentifier(f"{base}/origin"),
            time=start + round(float(events.times_s[number]) * 1e6) / 1e6,
            time_errors=QuantityError(uncertainty=_number(events.time_errors_s[number])),
            latitude=float(latitude[number]),
            latitude_errors=QuantityError(uncertainty=None if ey is None else ey / lat_km),
            longitude=float(longitude[number]),
            longitude_errors=QuantityError(uncertainty=None if ex is None else ex / lon_km),
            depth=float(events.positions_km[number, 2]) * 1000,
            depth_errors=QuantityError(uncertainty=None if ez is None else ez * 1000),
            depth_type="from location",
            arrivals=arrivals,
            evaluation_mode="automatic",
            creation_info=info,
            quality=OriginQuality(
                associated_phase_count=len(picks),
                used_phase_count=len(picks),
                associated_station_count=len(np.unique(stations)),
                used_station_count=len(np.unique(stations)),
                standard_error=_number(events.rms_s[number]),
                azimuthal_gap=_number(events.gap_deg[number]),
                minimum_distance=float(far.min()) / _KM_PER_DEGREE if len(far) else None,
                maximum_distance=float(far.max()) / _KM_PER_DEGREE if len(far) else None,
            ),
        )
        if ex is not None and ey is not None:
            origin.origin_uncertainty = OriginUncertainty(
                horizontal_uncertainty=1000 * max(ex, ey), preferred_description="horizontal uncertainty"
            )
        yield Event(
            resource_id=ResourceIdentifier(base),
            event_type="earthquake",
            origins=[origin],
            preferred_origin_id=origin.resource_id,
            picks=picks,
            creation_info=info,
        )


def waveform_codes(name: str) -> dict[str, str]:
    """Network, station, location and channel codes of a station's name; QuakeML wants the first two."""
    parts = name.strip().split(".")
    if len(parts) == 1:
        return {"network_code": "", "station_code": parts[0]}
    names = ("network_code", "station_code", "location_code", "channel_code")
    return {key: value for key, value in zip(names, parts, strict=False) if value or key == "network_code"}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
