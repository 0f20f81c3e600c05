"""Travel times as the command line asks for them: a speed, a 1-D model, a grid, a table or a trained field.

Reading needs neither torch nor a solver, so that a mistake is told at once; `preparation` then computes what has to be
computed.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.grids import Grid, grid_of, read_grid, read_times_table
from experiments.association.files.stations import StationTable
from experiments.association.files.velocity_model import VelocityModel, read_velocity_model

# Depth searched below stations that stand close together, and how far around them, in parts of their extent.
_LEAST_DEPTH_KM, _AROUND = 10.0, 0.25


@dataclass(frozen=True)
class Source:
    """Travel times as read, not yet computed.

    Args:
        kind: Name of the option.
        options: The command line.
        positions_km: `(station, 3)`, stations, moved to the grid's faces where they lay a little outside.
        grid: Where nodes are; None without a grid.
        p_values: P speeds or times on the nodes; None without a grid.
        s_speeds_km_s: S speeds on the nodes; None where S times follow from something else.
        model: The 1-D model, or None.
        bounds_km: `(2, 3)`, where events may be; None where the trained field says so.
    """

    kind: str
    options: argparse.Namespace
    positions_km: np.ndarray
    grid: Grid | None = None
    p_values: np.ndarray | None = None
    s_speeds_km_s: np.ndarray | None = None
    model: VelocityModel | None = None
    bounds_km: np.ndarray | None = None


def read_source(options: argparse.Namespace, stations: StationTable, has_s: bool) -> Source:
    """Read and check the files that say how long waves travel.

    Args:
        options: The command line.
        stations: The stations.
        has_s: Whether there are S picks.

    Raises:
        DataError: When something in a file is wrong, or a station lies outside the grid.
    """
    kind, positions = options.source, stations.positions_km
    if kind in ("wave_speed", "travel_times"):
        path: Path = getattr(options, kind)
        values = (
            read_grid(path, "--wave_speed")
            if kind == "wave_speed"
            else read_times_table(path, "--travel_times", len(positions))
        )
        grid = grid_of(path, values.shape[-3:], options.spacing_km, options.origin_km)
        names = [stations.where(row) for row in range(len(positions))]
        mend = "give --origin_km as the stations have it, or a larger grid" + (
            f" (x and y count from {stations.projection.latitude:g}, {stations.projection.longitude:g}; --centre "
            "sets that point)" if stations.projection else ""
        )  # fmt: skip
        positions = grid.moved_to_faces(positions, names, mend)
        s_speeds = _read_s_grid(options, grid, values if kind == "wave_speed" else None) if has_s else None
        return Source(kind, options, positions, grid, values, s_speeds, None, grid.bounds_km)
    model = read_velocity_model(options.velocity_1d, options.velocity_columns) if kind == "velocity_1d" else None
    if kind == "travel_time_field" and not options.travel_time_field.is_file():
        raise DataError(f"{options.travel_time_field}: there is no such file; check --travel_time_field.")
    bounds = None if kind == "travel_time_field" else _bounds(options, positions)
    return Source(kind, options, positions, model=model, bounds_km=bounds)


def _read_s_grid(options: argparse.Namespace, grid: Grid, p_speeds: np.ndarray | None) -> np.ndarray | None:
    if options.s_wave_speed is None:
        return np.full(grid.shape, float(options.s_speed_km_s)) if options.s_speed_km_s else None
    speeds = read_grid(options.s_wave_speed, "--s_wave_speed")
    if speeds.shape != grid.shape:
        raise DataError(
            f"{options.s_wave_speed}: its shape is {speeds.shape}, and P stands on {grid.shape}; "
            "both must have the same nodes."
        )
    if p_speeds is not None and (speeds >= p_speeds).any():
        node = tuple(int(i) for i in np.argwhere(speeds >= p_speeds)[0])
        raise DataError(
            f"{options.s_wave_speed}: S is not slower than P at node {node} ({speeds[node]:g} and {p_speeds[node]:g} "
            "km/s); mend the file."
        )
    return speeds


def _bounds(options: argparse.Namespace, positions_km: np.ndarray) -> np.ndarray:
    """A box around and below the stations: a quarter of their extent around, as deep as they are wide."""
    if options.bounds_km is not None:
        return np.array(options.bounds_km, float).reshape(3, 2).T.copy()
    low, high = positions_km.min(axis=0), positions_km.max(axis=0)
    extent = float((high - low)[:2].max())
    around = _AROUND * max(extent, _LEAST_DEPTH_KM)
    return np.stack(
        [
            [low[0] - around, low[1] - around, low[2]],
            [high[0] + around, high[1] + around, low[2] + max(extent, _LEAST_DEPTH_KM)],
        ]
    )
