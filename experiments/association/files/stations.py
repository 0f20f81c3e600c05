"""stations.csv: `station_id` with `x_km, y_km, z_km` (z down), or with `latitude, longitude, elevation_m`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.formats import station_columns, without_kilometres
from experiments.association.files.table import Table, read_table, want_columns
from experiments.association.geography import LocalProjection, centre_of

_KM = ("station_id", "x_km", "y_km", "z_km")
_GEOGRAPHIC = ("station_id", "latitude", "longitude", "elevation_m")
_LARGEST_REGION_KM = 1500.0


@dataclass(frozen=True)
class StationTable:
    """Stations as read.

    Args:
        table: The rows.
        ids: Name of each station.
        positions_km: `(station, 3)`: x, y horizontal, z down; x points east and y north where geographic.
        projection: From latitude and longitude to x and y; None where the file has kilometres.
    """

    table: Table
    ids: tuple[str, ...]
    positions_km: np.ndarray
    projection: LocalProjection | None

    def where(self, station: int) -> str:
        """File, row and name of a station, for a message."""
        return f"{self.table.where(station)}, station {self.ids[station]}"


def read_stations(
    path: Path,
    columns: Mapping[str, str] | None = None,
    centre: tuple[float, float] | None = None,
    recognise: bool = False,
) -> StationTable:
    """Read stations.

    Args:
        path: The file; further columns are ignored.
        columns: Our name -> the file's name, for columns that are called otherwise there.
        centre: Latitude and longitude that x = y = 0 stands for; None for the middle of the stations.
        recognise: Whether other programs' columns are taken without being named (`formats.py`).

    Raises:
        DataError: When something in the file is wrong.
    """
    table = read_table(path, columns)
    if recognise:
        known = station_columns(table.header)[1]
        header = {theirs: ours for ours, theirs in known.items() if ours not in table.header}
        renamed = [header.get(name, name) for name in table.header]
        table = without_kilometres(Table(table.path, renamed, table.rows, table.lines))
    want_columns(table, (_KM, _GEOGRAPHIC), "--station_columns", what_of="a file of stations")
    both = set(_KM) <= set(table.header) and {"latitude", "longitude"} <= set(table.header)
    if both:
        raise DataError(
            f"{path}: stations have both x_km, y_km, z_km and latitude, longitude; keep only the ones that are to hold."
        )
    ids = table.column("station_id")
    if not ids:
        raise DataError(f"{path}: there are no stations below the first line; at least two are wanted.")
    rows: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            raise DataError(f"{table.where(row)}: station_id is empty; name the station.")
        if name in rows:
            raise DataError(
                f"{table.where(row)}: station {name} stands in row {rows[name] + 1} already; "
                "each station has one row: delete one of the two."
            )
        rows[name] = row
    if len(ids) == 1:
        raise DataError(
            f"{path}: there is one station, {ids[0]}; picks of one station cannot tell where an event was: "
            "give at least two, better eight."
        )
    if "x_km" in table.header:
        if centre is not None:
            raise DataError(f"{path}: stations are in kilometres, so --centre has no use; leave it out.")
        positions = np.stack([table.numbers(name) for name in _KM[1:]], axis=1)
        return StationTable(table, tuple(ids), positions, None)
    latitude = table.numbers("latitude", -90, 90)
    longitude = table.numbers("longitude", -180, 360)
    projection = LocalProjection(*(centre_of(latitude, longitude) if centre is None else centre))
    x_km, y_km = projection.to_km(latitude, longitude)
    distance = np.hypot(x_km, y_km)
    far = int(distance.argmax())
    if distance[far] > _LARGEST_REGION_KM:
        raise DataError(
            f"{table.where(far)}: station {ids[far]} is {distance[far]:,.0f} km from the centre "
            f"({projection.latitude:g}, {projection.longitude:g}), and a flat Earth serves up to "
            f"{_LARGEST_REGION_KM:,.0f} km; mend its latitude and longitude, or --centre, or take a smaller region."
        )
    z_km = -table.numbers("elevation_m", -12_000, 9_000) / 1000
    return StationTable(table, tuple(ids), np.stack([x_km, y_km, z_km], axis=1), projection)
