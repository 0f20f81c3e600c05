"""The direct wave's series on disk: made once for an operator and a sampling, by whoever asks first."""

import os
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from datamodules.gather_cache import lock, write_npy, writing
from datamodules.openfwi_families import GATHER_SHAPE
from datamodules.openfwi_source import operator_hash
from datamodules.simulate import direct_wave
from datamodules.simulate.direct_wave import DirectWaveSeries, direct_wave_series


def cached_direct_wave(cache_root: Path, time_stride: int) -> DirectWaveSeries:
    """The series of `datamodules.simulate.direct_wave`, from the cache if it is there.

    Args:
        cache_root: The cache; the file's name holds the operator's hash, so that no series of an older operator is
            taken.
        time_stride: Keep every so-many-th sample of 1 ms.

    Raises:
        DataError: If the cache cannot be written.
    """
    bounds, terms = np.array(direct_wave.SLOWNESS_BOUNDS_S_M), np.array(direct_wave.TERMS)
    shape = (direct_wave.N_SHOTS_KEPT, GATHER_SHAPE[2], int(terms.sum()), -(-GATHER_SHAPE[1] // time_stride))
    numbers = "-".join(str(number) for number in (*terms, *(round(1 / bound) for bound in bounds), time_stride))
    path = cache_root / "openfwi" / f"direct-wave-{operator_hash()[:12]}-{numbers}.npy"
    with writing(path.parent):
        if not path.exists():
            with lock(path.parent / ".direct-wave.lock"):
                if not path.exists():
                    write_npy(path, direct_wave_series(time_stride, workers=os.cpu_count() or 1).coefficients)
        coefficients = np.load(path)
    if coefficients.shape != shape:
        raise DataError(f"{path} has the shape {coefficients.shape}, wanted {shape}: remove it, it is made again.")
    return DirectWaveSeries(bounds, terms, coefficients)
