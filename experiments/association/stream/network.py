"""What every window of a catalogue shares: travel times as tables, the search grid, errors and gates of channels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from experiments.association.problem import Picks, Problem, Stations
from experiments.association.solvers.time_table import NodeTimes, TimeTable, node_times, time_table
from experiments.association.stream.scan import ScanGrid, scan_grid
from experiments.association.stream.settings import CatalogueSettings
from experiments.association.travel_times.provider import TravelTimes
from experiments.errors import SettingsError

NEAR_STATIONS, NEAREST_STATIONS = 30, 10
"""That a node of the search asks; the second where picks are crowded, too."""
TABLE_NODES = 45
SPACINGS_ACROSS = 24.0
"""Nodes of the search grid along its longest side, if not said otherwise."""


@dataclass(frozen=True)
class Network:
    """Stations, travel times and settings, and what follows from them.

    Args:
        stations: The stations.
        travel_times: The provider; its bounds are where events may be.
        settings: The settings.
    """

    stations: Stations
    travel_times: TravelTimes
    settings: CatalogueSettings

    def check(self) -> None:
        """Refuses what can not be used.

        Raises:
            SettingsError: When stations, travel times or settings do not serve.
        """
        n_stations = len(self.stations.ids)
        if n_stations < 2:
            raise SettingsError(f"There is {n_stations} station; a catalogue needs two or more, better eight.")
        if n_stations != self.travel_times.n_stations:
            raise SettingsError(
                f"The travel times are those of {self.travel_times.n_stations} stations, there are {n_stations}; "
                "give travel times of these stations, in this order."
            )
        if self.travel_times.n_latent:
            raise SettingsError("The wave speed is not known; a catalogue needs travel times of a known one.")
        settings = self.settings
        for name in ("pick_error_s", "s_error_factor", "max_residual_s"):
            if getattr(settings, name) is not None and not getattr(settings, name) > 0:
                raise SettingsError(f"{name} is {getattr(settings, name)}; a number above 0 is wanted.")
        if settings.least_picks < 5:
            raise SettingsError(f"least_picks is {settings.least_picks}; four unknowns fit four picks: give 5 or more.")
        if settings.window_s is not None and settings.window_s < 4.0 * self.longest_s:
            raise SettingsError(
                f"window_s is {settings.window_s:g}, the longest travel time {self.longest_s:.3g} s; windows are four "
                "times as long at least: give more, or leave it out."
            )

    def with_settings(self, settings: CatalogueSettings) -> "Network":
        """The same with other settings of the events; tables are shared."""
        other = replace(self, settings=settings)
        if settings.node_spacing_km == self.settings.node_spacing_km:
            other.__dict__.update(table=self.table, grid=self.grid, near_grid=self.near_grid)
        return other

    @cached_property
    def channels(self) -> np.ndarray:
        """`(channel, 2)` int, station and phase."""
        phases = self.travel_times.phases
        return np.array([[s, p] for s in range(len(self.stations.ids)) for p in phases])

    @cached_property
    def channel_of(self) -> np.ndarray:
        """`(station, 2)` int, number of the channel; -1 where there are no travel times of the phase."""
        number = np.full((len(self.stations.ids), 2), -1)
        number[self.channels[:, 0], self.channels[:, 1]] = np.arange(len(self.channels))
        return number

    @cached_property
    def stations_km(self) -> np.ndarray:
        """`(channel, 3)`, positions."""
        return np.ascontiguousarray(self.stations.positions_km[self.channels[:, 0]], np.float64)

    @cached_property
    def error_s(self) -> np.ndarray:
        """`(channel,)`, standard errors."""
        return np.where(self.channels[:, 1] == 0, self.settings.p_error_s, self.settings.s_error_s)

    @cached_property
    def gate_s(self) -> np.ndarray:
        """`(channel,)`, largest residuals."""
        return np.where(self.channels[:, 1] == 0, self.settings.p_gate_s, self.settings.s_gate_s)

    @cached_property
    def bounds_km(self) -> np.ndarray:
        """`(2, 3)`."""
        return np.asarray(self.travel_times.bounds_km, np.float64)

    @cached_property
    def volume_km3(self) -> float:
        """Of the bounds."""
        return float(np.prod(np.maximum(self.bounds_km[1] - self.bounds_km[0], 1.0)))

    @cached_property
    def table(self) -> TimeTable:
        """Travel times for the compiled steps."""
        picks = Picks(self.channels[:, 0], self.channels[:, 1], np.zeros(len(self.channels)))  # one of each channel
        return time_table(Problem(self.stations, picks, self.travel_times), max_nodes=TABLE_NODES)[0]

    def _nodes(self, spacing_km: float) -> NodeTimes:
        extent_km = self.bounds_km[1] - self.bounds_km[0]
        return node_times(self.table, max(4, round(float(extent_km.max()) / spacing_km) + 1))

    @cached_property
    def spacing_km(self) -> float:
        """Of the search grid."""
        return self.settings.node_spacing_km or float((self.bounds_km[1] - self.bounds_km[0]).max()) / SPACINGS_ACROSS

    @cached_property
    def grid(self) -> ScanGrid:
        """The search grid."""
        nodes = self._nodes(self.spacing_km)
        return scan_grid(nodes, self.table, self.channels, self.stations.positions_km, NEAR_STATIONS)

    @cached_property
    def near_grid(self) -> ScanGrid:
        """The search grid, its nodes asking few stations only."""
        n = NEAREST_STATIONS * len(self.travel_times.phases)
        return self.grid._replace(near=np.ascontiguousarray(self.grid.near[:, :n]))

    @cached_property
    def longest_s(self) -> float:
        """Longest travel time in the volume, seconds."""
        return float(self.grid.times_s.max())

    @cached_property
    def reach_km(self) -> float:
        """Distance within which a small event's first stations lie, typically."""
        distance = np.hypot(*(self.grid.positions_km[:, None, a] - self.stations.positions_km[None, :, a]
                              for a in (0, 1)))  # fmt: skip
        distance.sort(axis=1)
        return float(np.median(distance[:, min(12, distance.shape[1] - 1)]))

    def times_and_derivatives(self, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exact arrivals `(channel, event)` and derivatives `(event, 4, channel)` as the compiled steps take them."""
        times, by_position, _ = self.travel_times.times_and_derivatives(
            torch.from_numpy(np.ascontiguousarray(events[:, :3])), self.channels
        )
        derivatives = np.concatenate([times.numpy()[:, None, :], by_position.numpy().transpose(0, 2, 1)], axis=1)
        return np.ascontiguousarray((times.numpy() + events[:, 3:4]).T), np.ascontiguousarray(derivatives)
