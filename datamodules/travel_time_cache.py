"""Travel times on disk, computed once and named by what they depend on (`row_cache`)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules.row_cache import FloatArray, cached_rows, source_hash
from datamodules.simulate import eikonal, eikonal_reference, fast_marching, time_interpolation
from datamodules.simulate.eikonal import checked_speed, travel_times


def cached_travel_times(
    wave_speeds_km_s: npt.NDArray[np.floating],
    spacing_km: float,
    sources_km: npt.ArrayLike,
    origin_km: npt.ArrayLike = (0.0, 0.0, 0.0),
    refinement: int = 1,
    cache_root: Path | str = "cache",
    workers: int = 1,
    progress: bool = False,
) -> FloatArray:
    """First-arrival times of one wave speed or many, from the cache where it has them.

    Args:
        wave_speeds_km_s: `(nx, ny, nz)` or `(wave_speed, nx, ny, nz)`.
        spacing_km: Distance of neighbouring nodes.
        sources_km: `(source, 3)`; by reciprocity the stations.
        origin_km: Position of the first node.
        refinement: As in `eikonal.travel_times`.
        cache_root: The cache; files go to its folder `travel_times`.
        workers: Threads.
        progress: Show a progress bar.

    Returns:
        A memory map, read only, `([wave_speed,] source, nx, ny, nz)` float32 seconds.

    Raises:
        DataError: As `eikonal.travel_times`, or if the cache cannot be written.
    """
    speeds = np.asarray(wave_speeds_km_s)
    many = speeds if speeds.ndim == 4 else speeds[None]
    sources, origin = np.asarray(sources_km, dtype=np.float64), np.asarray(origin_km, dtype=np.float64)
    for speed in many:
        checked_speed(speed, spacing_km, refinement)

    def solve(i: int, inner_workers: int, inner_progress: bool) -> FloatArray:
        return travel_times(many[i], spacing_km, sources, origin, refinement, inner_workers, inner_progress)

    rows = cached_rows(
        Path(cache_root) / "travel_times",
        (solver_hash(), speeds, float(spacing_km), sources, origin, refinement),
        (len(many), len(sources), *many.shape[1:]),
        solve,
        what="travel times",
        workers=workers,
        progress=progress,
    )
    return rows if speeds.ndim == 4 else rows[0]


def solver_hash() -> str:
    """Hash of the solver's source: times of another solver are other times."""
    return source_hash(eikonal, eikonal_reference, fast_marching, time_interpolation)
