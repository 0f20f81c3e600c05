"""Travel times, and how hard the association problems are that are made with them (paper, Sections 3.1 to 3.4)."""

from datamodules.errors import DataError
from datamodules.travel_times import TravelTimeDataModule
from datamodules.wave_speed_source import WaveSpeedName


class AssociationTrialsDataModule(TravelTimeDataModule):
    """What the association runner is tried on: `n_trials` sets of events and their picks.

    Its test batches are those of `TravelTimeDataModule`, on which the field is tested beside. Nothing is trained on it:
    of many wave speeds it prepares the test part alone.

    Args:
        wave_speed: As in `TravelTimeDataModule`, like all that is not explained here.
        data_root: Likewise.
        cache_root: Likewise.
        n_validation: Likewise.
        n_test: Likewise; trials take the wave speeds of the test part in turn.
        n_modes: Likewise.
        max_fields: Likewise.
        min_fields: Likewise.
        n_stations: Likewise; all of them record.
        station_seed: Likewise.
        evaluation_points: Likewise.
        batch_size: Likewise.
        truth_refinement: Likewise; the picks are made with these times.
        num_workers: Likewise.
        mode_seed: Likewise.
        wave_speed_seed: Likewise.
        seed: Likewise.
        n_trials: How many problems.
        first_trial_seed: Seed of the first; the others follow.
        n_events: Events M of a problem.
        origin_window_s: Origin times are uniform on an interval of this length, which the solver is not told.
        least_confusion: Draws with a smaller confusion factor (Eq. 13) are drawn again.
        pick_noise_s: Standard deviation of the picks.
        p_missing: Share of picks removed at each station.
        p_spurious: Share of picks added at each station.

    Raises:
        DataError: As `TravelTimeDataModule`, or when an argument of the trials is out of its range.
    """

    def __init__(
        self,
        wave_speed: WaveSpeedName = "overthrust",
        data_root: str | None = None,
        cache_root: str = "cache",
        n_validation: int = 50,
        n_test: int = 20,
        n_modes: int = 20,
        max_fields: int = 3,
        min_fields: int = 1,
        n_stations: int = 20,
        station_seed: int = 0,
        evaluation_points: int = 20000,
        batch_size: int = 1024,
        truth_refinement: int | None = None,
        num_workers: int = 0,
        mode_seed: int = 0,
        wave_speed_seed: int = 0,
        seed: int = 0,
        n_trials: int = 10,
        first_trial_seed: int = 0,
        n_events: int = 8,
        origin_window_s: float = 2.0,
        least_confusion: float = 0.9,
        pick_noise_s: float = 0.0,
        p_missing: float = 0.0,
        p_spurious: float = 0.0,
    ) -> None:
        super().__init__(
            wave_speed=wave_speed, data_root=data_root, cache_root=cache_root, n_wave_speeds=1,
            n_validation=n_validation, n_test=n_test, n_modes=n_modes, max_fields=max_fields, min_fields=min_fields,
            n_stations=n_stations, station_seed=station_seed, points_per_epoch=batch_size,
            evaluation_points=evaluation_points, batch_size=batch_size, truth_refinement=truth_refinement,
            num_workers=num_workers, mode_seed=mode_seed, wave_speed_seed=wave_speed_seed, seed=seed,
        )  # fmt: skip
        if n_trials < 1 or n_events < 1 or first_trial_seed < 0:
            raise DataError(
                f"n_trials, n_events and first_trial_seed are {n_trials}, {n_events} and {first_trial_seed}: the first "
                "two must be at least 1, the last at least 0."
            )
        if not 0.0 <= least_confusion <= 1.0:
            raise DataError(f"least_confusion is {least_confusion}: a confusion factor lies between 0 and 1.")
        if origin_window_s < 0.0 or pick_noise_s < 0.0:
            raise DataError(f"origin_window_s {origin_window_s} and pick_noise_s {pick_noise_s} must not be negative.")
        for name, share in {"p_missing": p_missing, "p_spurious": p_spurious}.items():
            if not 0.0 <= share < 1.0:
                raise DataError(f"{name} is {share}: a share lies between 0 and 1.")

    def prepare_data(self) -> None:
        """Compute the travel times that are missing. Rank 0 only."""
        if self._source.known:
            super().prepare_data()
        else:
            self._store("test")
