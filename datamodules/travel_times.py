"""Travel times as a Lightning data module, for the travel-time field (paper, Sections 2.5 and 5.2): wiring only.

The paper keeps times at all nodes for 10,000 wave speeds: 13 GB even in float16. Here a known wave speed has one table,
from which any point is timed as it is drawn; of each of many wave speeds some random points off the grid are timed
once, which is 9 kB a hundred points at 20 stations.
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Dataset

from datamodules.errors import DataError
from datamodules.openfwi_source import DataSource
from datamodules.row_cache import cached_rows
from datamodules.shared_batches import SharedBatchDataModule
from datamodules.simulate.arrivals import random_stations
from datamodules.simulate.eikonal import refined, travel_times
from datamodules.simulate.time_interpolation import InterpolatedTimes
from datamodules.simulate.wave_speeds import EXTENT_KM, SPACING_KM
from datamodules.travel_time_cache import cached_travel_times, solver_hash
from datamodules.travel_time_points import (
    EpochBatches,
    EvaluationPoints,
    KnownSpeedPoints,
    StoredPoints,
    TravelTimeBatch,
    timed_points,
)
from datamodules.wave_speed_source import SplitName, WaveSpeedName, WaveSpeedSource, require_at_least

_PARTS = {"train": 0, "val": 1, "test": 2}


class TravelTimeDataModule(SharedBatchDataModule):
    """Travel times of random points to all stations, for one known wave speed or many.

    Args:
        wave_speed: `overthrust` (known), `grf` (random fields, Section 5.5) or `gaussian` (perturbations, 5.6).
        data_root: Where the overthrust's file is; None: a synthetic stand-in.
        cache_root: Where wave speeds and travel times are kept.
        n_wave_speeds: Wave speeds to train on, where there are many.
        n_validation: Further ones, for validation.
        n_test: Further ones, on which nothing is trained.
        n_modes: Patterns of `grf`.
        max_fields: Most patterns in one wave speed of `grf`.
        min_fields: Fewest; 3 is what the paper's program does, 1 what its text says.
        n_stations: Stations, uniform on the surface.
        station_seed: Seed of their positions.
        points_per_epoch: Training points in an epoch.
        points_per_wave_speed: Points timed for each of many wave speeds.
        points_together: Training points of many wave speeds come in runs of so many of the same one.
        evaluation_points: Points to validate and to test on, in all.
        batch_size: Global batch, shared by all processes.
        refinement: Of the grid on which times of many training and validation wave speeds are computed.
        truth_refinement: The same for the known wave speed, for testing, and for `true_travel_times`. None: 4 (125
            nodes along an axis) for the known wave speed, 2 for many, which are smoother.
        num_workers: Worker processes for drawing.
        mode_seed: Seed of the patterns.
        wave_speed_seed: Seed of the wave speeds.
        seed: Seed of the draws of each epoch.

    Raises:
        DataError: An argument is out of its range (here), or the data are not as they should be (on first use).
    """

    def __init__(
        self,
        wave_speed: WaveSpeedName = "overthrust",
        data_root: str | None = None,
        cache_root: str = "cache",
        n_wave_speeds: int = 1000,
        n_validation: int = 50,
        n_test: int = 20,
        n_modes: int = 20,
        max_fields: int = 3,
        min_fields: int = 1,
        n_stations: int = 20,
        station_seed: int = 0,
        points_per_epoch: int = 102400,
        points_per_wave_speed: int = 512,
        points_together: int = 16,
        evaluation_points: int = 20000,
        batch_size: int = 1024,
        refinement: int = 1,
        truth_refinement: int | None = None,
        num_workers: int = 0,
        mode_seed: int = 0,
        wave_speed_seed: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        counts = {
            "n_stations": n_stations, "points_per_epoch": points_per_epoch, "batch_size": batch_size,
            "points_per_wave_speed": points_per_wave_speed, "points_together": points_together,
            "evaluation_points": evaluation_points,
            "refinement": refinement, "truth_refinement": truth_refinement,
        }  # fmt: skip
        require_at_least(1, counts)
        require_at_least(0, {"num_workers": num_workers, "station_seed": station_seed, "seed": seed})
        if points_per_epoch < batch_size:
            raise DataError(f"points_per_epoch is {points_per_epoch}, less than one batch of {batch_size}: raise it.")
        if points_per_wave_speed < points_together:
            raise DataError(
                f"points_per_wave_speed is {points_per_wave_speed}, less than points_together, {points_together}: "
                "raise it."
            )
        self.points_together = points_together
        self.n_stations, self.station_seed = n_stations, station_seed
        self.points_per_epoch, self.points_per_wave_speed = points_per_epoch, points_per_wave_speed
        self.evaluation_points, self.batch_size, self.num_workers = evaluation_points, batch_size, num_workers
        self.seed, self._wave_speed_seed = seed, wave_speed_seed
        self.cache_root = Path(cache_root).expanduser()
        self._source = WaveSpeedSource(
            wave_speed,
            data_root=Path(data_root).expanduser() if data_root else None,
            cache_root=self.cache_root,
            n_train=n_wave_speeds,
            n_validation=n_validation,
            n_test=n_test,
            n_modes=n_modes,
            max_fields=max_fields,
            min_fields=min_fields,
            mode_seed=mode_seed,
            seed=wave_speed_seed,
        )
        self.refinement = refinement
        self.truth_refinement = truth_refinement or (4 if self._source.known else 2)
        self._known_times: InterpolatedTimes | None = None

    # ---- Lightning's hooks, in its order -----------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Compute the travel times that are missing. Rank 0 only."""
        if self._source.known:
            self._truth_table(0)
        else:
            for split in _PARTS:
                self._store(split)

    def setup(self, stage: str) -> None:
        """Check that the batch can be shared by the processes."""
        if self._source.known:
            self._check_batch_size()
        else:
            runs = f" in runs of {self.points_together} points (points_together)"
            self._check_batch_size(self.points_together, runs)

    def train_dataloader(self) -> DataLoader[TravelTimeBatch]:
        """Batches that depend on seed, epoch and their number alone, for any number of processes."""
        shared = (self.batch_size, self.seed, *self._ranks)
        dataset: Dataset[TravelTimeBatch]
        if self._source.known:
            dataset = KnownSpeedPoints(self._times_of_known(), self.bounds_km, *shared)
        else:
            first = int(self._source.indices("train")[0])
            dataset = StoredPoints(self._store("train"), first, self.points_together, *shared)
        batches = EpochBatches(self.points_per_epoch // self.batch_size, self._epoch)
        return self._loader(dataset, batch_size=None, sampler=batches)

    def val_dataloader(self) -> DataLoader[TravelTimeBatch]:
        """Fixed random points, of validation wave speeds where there are many."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> DataLoader[TravelTimeBatch]:
        """Fixed random points, other ones, of held-out wave speeds where there are many; at `truth_refinement`."""
        return self._evaluation_loader("test")

    # ---- for modules, figures, provenance and `make data` --------------------------------------------------------

    @property
    def station_positions_km(self) -> npt.NDArray[np.float64]:
        """`(station, 3)`."""
        return random_stations(self.n_stations, self.station_seed)

    @property
    def bounds_km(self) -> npt.NDArray[np.float64]:
        """`(2, 3)`, lowest and highest x, y, z of points."""
        return np.array([[0.0] * 3, [EXTENT_KM] * 3])

    @property
    def wave_speeds_km_s(self) -> npt.NDArray[np.float32]:
        """All wave speeds, `(w, 32, 32, 32)` km/s, read only; a batch's `wave_speed_index` counts in it."""
        return self._source.speeds_km_s

    def wave_speed_indices(self, split: SplitName) -> npt.NDArray[np.int64]:
        """Rows of `wave_speeds_km_s` that belong to a part; a known wave speed is in all."""
        return self._source.indices(split)

    @property
    def test_indices(self) -> npt.NDArray[np.int64]:
        """Rows of `wave_speeds_km_s` on which nothing is trained (where there are many)."""
        return self._source.indices("test")

    def true_travel_times(self, index: int) -> InterpolatedTimes:
        """Accurate times of any points, `(n, 3)` km -> `(n, station)` s, computed at `truth_refinement`.

        Args:
            index: Row of `wave_speeds_km_s`.
        """
        if self._source.known:
            return self._times_of_known()
        return self._interpolated(self._truth_table(index))

    @property
    def source(self) -> DataSource:
        """Real or synthetic, in words and in plain values."""
        found = self._source.describe()
        values = {"n_stations": self.n_stations, "station_seed": self.station_seed}
        values |= {"refinement": self.refinement, "truth_refinement": self.truth_refinement}
        return DataSource(found.kind, found.sentence, {**found.provenance, **values})

    def input_hashes(self) -> dict[str, str]:
        """Content hash of each input by name."""
        return self._source.input_hashes()

    def verify(self) -> str:
        """Prepare everything and say what was found (for `make data`).

        Raises:
            DataError: The first fault found.
        """
        self.prepare_data()
        speeds = self.wave_speeds_km_s
        return (
            f"{self.source.sentence}; {len(speeds)} wave speeds, {speeds.min():.2f} to {speeds.max():.2f} km/s; "
            f"travel times to {self.n_stations} stations in {self.cache_root}"
        )

    # ---- what the above share ------------------------------------------------------------------------------------

    def _truth_table(self, index: int) -> npt.NDArray[np.float32]:
        """Times at all nodes of the refined grid, `(station, n, n, n)`."""
        return cached_travel_times(
            refined(self.wave_speeds_km_s[index].astype(np.float64), self.truth_refinement),
            SPACING_KM / self.truth_refinement,
            self.station_positions_km,
            cache_root=self.cache_root,
            workers=_workers(),
            progress=True,
        )

    def _interpolated(self, table_s: npt.NDArray[np.float32]) -> InterpolatedTimes:
        return InterpolatedTimes(table_s, EXTENT_KM / (table_s.shape[1] - 1), self.station_positions_km)

    def _times_of_known(self) -> InterpolatedTimes:
        if self._known_times is None:
            self._known_times = self._interpolated(self._truth_table(0))
        return self._known_times

    def _store(self, split: str) -> npt.NDArray[np.float32]:
        """Random points of each wave speed of a part and their times, `(wave_speed, point, 3 + station)`."""
        indices = self._source.indices(split)  # type: ignore[arg-type]
        speeds = self.wave_speeds_km_s[indices[0] : indices[-1] + 1]
        train, part = split == "train", _PARTS[split]
        n_points = self.points_per_wave_speed if train else -(-self.evaluation_points // len(indices))
        refinement = self.truth_refinement if split == "test" else self.refinement
        stations_km = self.station_positions_km

        def solve(i: int, workers: int, progress: bool) -> npt.NDArray[np.float32]:
            # Interpolated between the nodes of the grid that was solved, not those given.
            grid = refined(speeds[i].astype(np.float64), refinement)
            table = travel_times(grid, SPACING_KM / refinement, stations_km, workers=workers, progress=progress)
            rng = np.random.default_rng([self._wave_speed_seed, part, int(indices[i])])
            return timed_points(self._interpolated(table), self.bounds_km, n_points, rng)

        return cached_rows(
            self.cache_root / "travel_time_points",
            (solver_hash(), self._source.recipe, int(indices[0]), stations_km, refinement, part),
            (len(indices), n_points, 3 + self.n_stations),
            solve,
            what=f"travel times of {split} wave speeds",
            workers=_workers(),
            progress=True,
        )

    def _evaluation_loader(self, split: SplitName) -> DataLoader[TravelTimeBatch]:
        if self._source.known:
            rng = np.random.default_rng([self._wave_speed_seed, _PARTS[split]])
            store = timed_points(self._times_of_known(), self.bounds_km, self.evaluation_points, rng)[None]
        else:
            store = self._store(split)
        dataset = EvaluationPoints(store, int(self._source.indices(split)[0]))
        return self._loader(dataset, batch_size=None, sampler=self._evaluation_batches(dataset))


def _workers() -> int:
    """Threads that may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
