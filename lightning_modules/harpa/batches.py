"""What the module's two training stages expect of a batch and of the data module that makes it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor


class WaveSpeedBatch(Protocol):
    """Wave speeds.

    Attributes:
        wave_speed_km_s: `(batch, 1, 32, 32, 32)`; `(batch, 0)` where only the index was asked for.
        index: `(batch,)` int, number among all of the data module's wave speeds.
    """

    @property
    def wave_speed_km_s(self) -> Tensor:
        """Wave speeds."""
        ...

    @property
    def index(self) -> Tensor:
        """Their numbers."""
        ...


class TravelTimeBatch(Protocol):
    """Points and their times to all stations.

    Attributes:
        position_km: `(batch, 3)`.
        wave_speed_index: `(batch,)` int, number among all of the data module's wave speeds.
        time_s: `(batch, station)`.
    """

    @property
    def position_km(self) -> Tensor:
        """Points."""
        ...

    @property
    def wave_speed_index(self) -> Tensor:
        """Their wave speeds' numbers."""
        ...

    @property
    def time_s(self) -> Tensor:
        """Their travel times."""
        ...


class HarpaData(Protocol):
    """What the module asks of its data module, after `setup`.

    Attributes:
        station_positions_km: `(station, 3)`.
        bounds_km: `(2, 3)`.
        wave_speeds_km_s: `(wave_speed, 32, 32, 32)`, those of all splits.
        wave_speed_indices: Which of them belong to split `train`, `val` or `test`.
    """

    station_positions_km: np.ndarray
    bounds_km: np.ndarray
    wave_speeds_km_s: np.ndarray
    wave_speed_indices: Callable[[str], np.ndarray]
