"""Trained travel-time fields, with the wave speeds they stand for and those speeds' true travel times.

What the association stage, the figures and the benchmark make their problems from.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments.association_trials import Array, Setting, Trial, trial_of
from experiments.errors import SettingsError
from experiments.run_folder import RunFolder
from experiments.settings import read_yaml

KNOWN_SPEED_CHAINS, UNKNOWN_SPEED_CHAINS = 40, 12
"""Chains of pSGLD on a field: each of its steps asks the network for every event of every chain, half a minute a solve
over an unknown wave speed; its usual number of chains is for tables."""
PSGLD_TRIALS = 3
"""Of an average over trials with an unknown wave speed pSGLD solves so many, for its time's sake."""


def field_solvers(knows_speed: bool) -> dict[str, Any]:
    """What is shown side by side on a field: name -> solver or its name."""
    from experiments.association.solvers.psgld import PreconditionedSGLD

    chains = KNOWN_SPEED_CHAINS if knows_speed else UNKNOWN_SPEED_CHAINS
    return {"gauss_newton": "gauss_newton", "psgld": PreconditionedSGLD(chains=chains)}


class TrainedField:
    """A field and what is needed to try it.

    Args:
        checkpoint: Final weights of the last stage that trains.
        data: The data module it was trained on, prepared.
    """

    def __init__(self, checkpoint: Path, data: Any) -> None:
        from experiments.association.travel_times.field import FieldTravelTimes
        from lightning_modules.harpa.checkpoint import load_travel_time_field

        self.data = data
        self.field = load_travel_time_field(checkpoint)
        self.travel_times: FieldTravelTimes = FieldTravelTimes(self.field)
        self.stations_km = np.asarray(data.station_positions_km, np.float64)

    @property
    def is_of_known_speed(self) -> bool:
        """Whether there is one wave speed, and no latent code."""
        return int(self.field.n_latent) == 0

    @cached_property
    def wave_speeds_km_s(self) -> Array:
        """All wave speeds of the data, `(w, nx, ny, nz)`."""
        speeds: Array = self.data.wave_speeds_km_s
        return speeds

    @cached_property
    def test_indices(self) -> Array:
        """Which of them were seen in no training; the one there is, where it is known."""
        return np.asarray(self.data.test_indices)

    def latent_of(self, wave_speed_km_s: Array) -> Array | None:
        """The code that the encoder gives a wave speed; None where it is known."""
        import torch

        if self.is_of_known_speed:
            return None
        with torch.no_grad():
            code = self.field.latent_of(torch.from_numpy(np.array(wave_speed_km_s, np.float32)[None]))
        assert code is not None
        latent: Array = code[0].double().numpy()
        return latent

    def wave_speed_of(self, latent: Array) -> Array:
        """The wave speed `(nx, ny, nz)` of a code."""
        speed = self.travel_times.wave_speed_km_s(latent)
        assert speed is not None
        return speed

    def times_of(self, positions_km: Array, latent: Array | None) -> Array:
        """The field's own times `(n, station)` at points `(n, 3)`."""
        import torch

        n = len(self.stations_km)
        channels = np.stack([np.arange(n), np.zeros(n, int)], axis=1)
        code = None if latent is None else torch.as_tensor(latent, dtype=torch.float64)
        with torch.no_grad():
            times_s: Array = self.travel_times.times(torch.as_tensor(positions_km), channels, code).numpy()
        return times_s

    def trial(self, setting: Setting, seed: int, n_stations: int | None = None) -> Trial:
        """A trial with an unseen wave speed, its number by the seed.

        Args:
            setting: How hard.
            seed: Of events, picks and the wave speed.
            n_stations: How many of the stations record, from the first; None for all.
        """
        index = int(self.test_indices[seed % len(self.test_indices)])
        return self.trial_with(
            setting, seed, self.data.true_travel_times(index), self.wave_speeds_km_s[index], n_stations
        )

    def trial_with(
        self,
        setting: Setting,
        seed: int,
        true_times: Callable[[Array], Array],
        wave_speed_km_s: Array,
        n_stations: int | None = None,
    ) -> Trial:
        """A trial in any wave speed.

        Args:
            setting: How hard.
            seed: Of events and picks.
            true_times: True travel times, `(n, 3)` km -> `(n, station)` s.
            wave_speed_km_s: The true wave speed.
            n_stations: As in `trial`.
        """
        n = n_stations or len(self.stations_km)
        return trial_of(
            setting,
            seed,
            lambda positions_km: np.asarray(true_times(positions_km))[:, :n],
            self.stations_km,
            self.travel_times,
            self.latent_of(wave_speed_km_s),
            None if self.is_of_known_speed else np.asarray(wave_speed_km_s, np.float64),
        )


@dataclass(frozen=True)
class FieldRun:
    """A run of `experiments.harpa` that trains a field, as its command line has it.

    Args:
        wave_speed: `overthrust`, `grf` or `gaussian`.
        n_stations: Stations of the field.
        options: Further options, such as `("--shared.model.latent_dim", "4")`.
        preset: Preset.
        seed: Seed.
        name: Of the run's folder.
    """

    wave_speed: str
    n_stations: int = 20
    options: tuple[str, ...] = ()
    preset: str = "tiny"
    seed: int = 0
    name: str = ""

    @property
    def folder_name(self) -> str:
        """Name of the run's folder; with the usual stations that of `make exp-harpa`."""
        stations = "" if self.n_stations == 20 else f"-{self.n_stations}stations"
        return self.name or f"{self.wave_speed}-{self.preset}{stations}-seed{self.seed}"


def _common(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of the field's data settings those that say which wave speeds, stations and true times there are."""
    from datamodules.association_trials import AssociationTrialsDataModule

    accepted = inspect.signature(AssociationTrialsDataModule).parameters
    return {name: value for name, value in settings.items() if name in accepted}


@lru_cache
def trained(run: FieldRun, run_root: Path, cache_root: Path, data_root: Path | None) -> TrainedField:
    """Train a field, or take the one that is there, and make its data ready.

    Raises:
        SettingsError: If the run failed; it has said why.
    """
    from datamodules.association_trials import AssociationTrialsDataModule
    from experiments.harpa import experiment_of, main

    experiment = experiment_of(run.wave_speed, run.preset)
    common = ["--wave_speed", run.wave_speed, "--preset", run.preset, "--seed", str(run.seed)]
    common += ["--run_root", str(run_root), "--cache_root", str(cache_root), "--name", run.folder_name]
    common += ["--data_root", str(data_root)] if data_root else []
    common += ["--shared.model.n_stations", str(run.n_stations), *run.options]
    for stage in experiment.stages:
        if stage.fits and main(["fit", "--stage", stage.name, *common]):
            raise SettingsError(f"the run {run.folder_name} that this needs did not come to its end; see above.")
    folder = RunFolder(run_root / experiment.paper / run.folder_name)
    settings = read_yaml(folder.config)["field"]
    fixed = {"seed": settings["seed_everything"], "n_stations": settings["model"]["n_stations"]}
    data = AssociationTrialsDataModule(**{**_common(settings["data"]), **fixed})
    data.prepare_data()
    data.setup("test")
    last = [stage.name for stage in experiment.stages if stage.fits][-1]
    return TrainedField(folder.final_weights(last), data)
