"""Batches of points and their travel times, made as a whole; and the order in which they are drawn."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from datamodules.simulate.time_interpolation import InterpolatedTimes

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class TravelTimeBatch(NamedTuple):
    """Points and their travel times to all stations.

    Attributes:
        position_km: `(batch, 3)` float32.
        wave_speed_index: `(batch,)` int64, rows of the data module's `wave_speeds_km_s`.
        time_s: `(batch, station)` float32.
    """

    position_km: Tensor
    wave_speed_index: Tensor
    time_s: Tensor


class EpochBatches(Sampler[tuple[int, int]]):
    """`(epoch, batch)` for each training batch: all that its draw may depend on, whichever process makes it.

    Args:
        n_batches: Batches in an epoch.
        epoch: Called when iteration starts.
    """

    def __init__(self, n_batches: int, epoch: Callable[[], int]) -> None:
        self.n_batches, self.epoch = n_batches, epoch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        return iter([(epoch, batch) for batch in range(self.n_batches)])


class KnownSpeedPoints(Dataset[TravelTimeBatch]):
    """Training points of a known wave speed, drawn anew all the time: an item is `(epoch, batch)`.

    Args:
        times: Travel times of any points.
        bounds_km: `(2, 3)`, where points are drawn.
        batch_size: Points in the global batch.
        seed: Seed of the draws.
        rank: This process's number; it takes every `world_size`-th point.
        world_size: Number of processes.
    """

    def __init__(
        self,
        times: InterpolatedTimes,
        bounds_km: npt.NDArray[np.float64],
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.times, self.bounds_km, self.batch_size = times, bounds_km, batch_size
        self.seed, self.rank, self.world_size = seed, rank, world_size

    def __getitem__(self, item: tuple[int, int]) -> TravelTimeBatch:
        low, high = self.bounds_km
        points = np.random.default_rng([self.seed, *item]).uniform(low, high, (self.batch_size, 3))
        return _batch(points[self.rank :: self.world_size], self.times)


class StoredPoints(Dataset[TravelTimeBatch]):
    """Training points of many wave speeds: an item is `(epoch, batch)`, drawn from points that were timed before.

    Points come in runs of one wave speed, so that what depends on the wave speed alone is computed once a run.

    Args:
        store: `(wave_speed, point, 3 + station)`, positions in km and times in seconds.
        first_index: Number of the store's first wave speed.
        points_together: Points in a run.
        batch_size: Points in the global batch, whole runs for each process.
        seed: Seed of the draws.
        rank: This process's number; it takes every `world_size`-th run.
        world_size: Number of processes.
    """

    def __init__(
        self,
        store: FloatArray,
        first_index: int,
        points_together: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        runs_each = store.shape[1] // points_together
        self.runs = store[:, : runs_each * points_together].reshape(-1, points_together, store.shape[2])
        self.first_index, self.runs_each, self.n_runs = first_index, runs_each, batch_size // points_together
        self.seed, self.rank, self.world_size = seed, rank, world_size

    def __getitem__(self, item: tuple[int, int]) -> TravelTimeBatch:
        rng = np.random.default_rng([self.seed, *item])
        chosen = rng.integers(len(self.runs), size=self.n_runs)[self.rank :: self.world_size]
        index = self.first_index + chosen // self.runs_each
        runs = self.runs[chosen]
        return _stored(runs.reshape(-1, runs.shape[2]), np.repeat(index, runs.shape[1]))


class EvaluationPoints(Dataset[TravelTimeBatch]):
    """A fixed set of points: an item is a list of their numbers.

    Args:
        store: `(wave_speed, point, 3 + station)`, positions in km and times in seconds.
        first_index: Number of the store's first wave speed.
    """

    def __init__(self, store: FloatArray, first_index: int) -> None:
        self.rows, self.first_index = store.reshape(-1, store.shape[2]), first_index
        self.points_each = store.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: list[int]) -> TravelTimeBatch:
        chosen = np.asarray(numbers)
        return _stored(self.rows[chosen], self.first_index + chosen // self.points_each)


def timed_points(
    times: InterpolatedTimes, bounds_km: npt.NDArray[np.float64], n: int, rng: np.random.Generator
) -> FloatArray:
    """Random points and their times, `(n, 3 + station)`."""
    low, high = bounds_km
    points = rng.uniform(low, high, (n, 3)).astype(np.float32)
    return np.concatenate([points, times(points).astype(np.float32)], axis=1)


def _batch(points: npt.NDArray[np.float64], times: InterpolatedTimes) -> TravelTimeBatch:
    position = points.astype(np.float32)
    return TravelTimeBatch(
        torch.from_numpy(position),
        torch.zeros(len(points), dtype=torch.int64),
        torch.from_numpy(times(position).astype(np.float32)),
    )


def _stored(rows: FloatArray, index: IntArray) -> TravelTimeBatch:
    rows = np.array(rows)  # a copy: the store is read only
    return TravelTimeBatch(torch.from_numpy(rows[:, :3]), torch.from_numpy(index), torch.from_numpy(rows[:, 3:]))
