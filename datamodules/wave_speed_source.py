"""The wave speeds of an experiment and their split, the same for every data module that is given the same arguments.

Numbers 0, 1, ... are test, then validation, then training wave speeds, each made from its number: more training speeds
change no other. The known wave speed (`overthrust`) is one, and belongs to all three parts.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.openfwi_source import DataSource
from datamodules.row_cache import cached_rows, content_hash, source_hash
from datamodules.simulate import wave_speeds
from datamodules.simulate.overthrust import WaveSpeedModel, overthrust
from datamodules.simulate.wave_speeds import GRID_SIZE, gaussian_perturbation_wave_speeds, random_field_wave_speeds

WaveSpeedName = Literal["overthrust", "grf", "gaussian"]
SplitName = Literal["train", "val", "test"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def require_at_least(least: int, values: Mapping[str, int | None]) -> None:
    """Refuse arguments that are too small.

    Raises:
        DataError: One is below `least`.
    """
    for name, value in values.items():
        if value is not None and value < least:
            raise DataError(f"{name} is {value}: it must be a whole number of at least {least}.")


class WaveSpeedSource:
    """Wave speeds, made or read on first use.

    Args:
        wave_speed: `overthrust` (known), `grf` (random fields) or `gaussian` (Gaussian perturbations).
        data_root: Where the overthrust's file is; None: a synthetic stand-in.
        cache_root: Where generated wave speeds are kept.
        n_train: Wave speeds to train on.
        n_validation: Further ones, for validation.
        n_test: Further ones, for testing.
        n_modes: Patterns of `grf`.
        max_fields: Most patterns in one wave speed of `grf`.
        min_fields: Fewest.
        mode_seed: Seed of the patterns.
        seed: Seed of the wave speeds.

    Raises:
        DataError: An argument is out of its range (here), or the file is not as it should be (on first use).
    """

    def __init__(
        self,
        wave_speed: WaveSpeedName,
        *,
        data_root: Path | None,
        cache_root: Path,
        n_train: int,
        n_validation: int,
        n_test: int,
        n_modes: int,
        max_fields: int,
        min_fields: int,
        mode_seed: int,
        seed: int,
    ) -> None:
        if wave_speed not in ("overthrust", "grf", "gaussian"):
            raise DataError(f"wave_speed is {wave_speed!r}: choose overthrust, grf or gaussian.")
        require_at_least(1, {"n_wave_speeds": n_train, "n_validation": n_validation, "n_test": n_test})
        require_at_least(0, {"wave_speed_seed": seed, "mode_seed": mode_seed, "min_fields": min_fields})
        if not min_fields <= max_fields <= n_modes:
            raise DataError(
                f"min_fields, max_fields and n_modes are {min_fields}, {max_fields} and {n_modes}: "
                "they must not decrease."
            )
        self.wave_speed, self.data_root, self.cache_root = wave_speed, data_root, cache_root
        self._counts = (n_test, n_validation, n_train)
        self._fields = {"n_modes": n_modes, "max_fields": max_fields, "min_fields": min_fields, "mode_seed": mode_seed}
        self._seed = seed

    @property
    def known(self) -> bool:
        """Whether there is one wave speed only."""
        return self.wave_speed == "overthrust"

    @cached_property
    def recipe(self) -> str:
        """Hash of all that the wave speed of a number depends on, whatever their count."""
        if self.known:
            return content_hash((self._overthrust.wave_speed_km_s,))
        fields = tuple(self._fields.values()) if self.wave_speed == "grf" else ()
        return content_hash((source_hash(wave_speeds), self.wave_speed, self._seed, *fields))

    @cached_property
    def speeds_km_s(self) -> FloatArray:
        """All wave speeds `(w, 32, 32, 32)` km/s, by number; a memory map, or the one."""
        if self.known:
            return self._overthrust.wave_speed_km_s[None]
        return cached_rows(
            self.cache_root / "wave_speeds",
            (self.recipe,),
            (sum(self._counts), *(GRID_SIZE,) * 3),
            lambda i, workers, progress: self._make(i),
            what=f"{self.wave_speed} wave speeds",
            progress=True,
        )

    def indices(self, split: SplitName) -> IntArray:
        """Numbers of the wave speeds of a part.

        Raises:
            DataError: There is no such part.
        """
        if split not in ("train", "val", "test"):
            raise DataError(f"there is no part {split!r}: choose train, val or test.")
        if self.known:
            return np.zeros(1, np.int64)
        n_test, n_validation, n_train = self._counts
        first = {"test": 0, "val": n_test, "train": n_test + n_validation}[split]
        return np.arange(first, first + {"test": n_test, "val": n_validation, "train": n_train}[split])

    def describe(self) -> DataSource:
        """Real or synthetic, in words and in plain values."""
        if self.known:
            kind: Literal["real", "synthetic"] = "synthetic" if self.data_root is None else "real"
            return DataSource(kind, self._overthrust.provenance, {"wave_speed": self.wave_speed, **self.input_hashes()})
        n_test, n_validation, n_train = self._counts
        values: dict[str, str | int | float] = {
            "wave_speed": self.wave_speed,
            "wave_speed_seed": self._seed,
            "n_wave_speeds": n_train,
            "n_validation": n_validation,
            "n_test": n_test,
        }
        if self.wave_speed == "grf":
            fields = f"{self._fields['min_fields']} to {self._fields['max_fields']} of {self._fields['n_modes']}"
            sentence = f"synthetic: {fields} Gaussian random fields on a background that grows with depth"
            values |= self._fields
        else:
            sentence = "synthetic: 1 to 3 Gaussian perturbations of a background that grows with depth"
        return DataSource("synthetic", sentence, values)

    def input_hashes(self) -> dict[str, str]:
        """Content hash of what is read from a file; of a seeded generator, of its code and arguments."""
        if self.known:
            return {"overthrust": self.recipe}
        return {self.wave_speed: content_hash((self.recipe, *self._counts))}

    @cached_property
    def _overthrust(self) -> WaveSpeedModel:
        return overthrust(self.data_root)

    def _make(self, i: int) -> FloatArray:
        if self.wave_speed == "grf":
            made = random_field_wave_speeds(1, seed=self._seed, first=i, **self._fields)
        else:
            made = gaussian_perturbation_wave_speeds(1, self._seed, first=i)
        return made.reshape(made.shape[1:])
