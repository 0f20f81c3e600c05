"""Wave speeds of the HARPA paper: 32 x 32 x 32 nodes over 100 x 100 x 100 km, 5 to 25 km/s (Sections 3 and 5).

All are reproducible from their seeds, and the first ones do not depend on how many follow. Grids are indexed
`[x, y, z]`, z down, the first node at the origin.

The paper writes the fields' spectrum as P(k) ~ k^(-alpha/2) and chooses up to three of them. Its published program has
the amplitude (4 pi^2 k^2 + tau^2)^(-alpha/2) with tau = alpha = 2.5, takes the modulus of a complex field, and always
chooses three. We take spectrum and modulus from the program, for they make the fields of its Fig. 12, and the number of
fields from the text (`min_fields=3` is the program's). Its own fields cannot be had again: its seed governs nothing.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

GRID_SIZE = 32
EXTENT_KM = 100.0
SPACING_KM = EXTENT_KM / (GRID_SIZE - 1)
SLOWEST_KM_S, FASTEST_KM_S = 5.0, 25.0

SPECTRAL_CORNER = 2.5  # tau, in radians over the extent
FIELD_AMPLITUDE_KM_S = 15.0  # Section 5.5
PERTURBATION_AMPLITUDE_KM_S = 25.0  # Section 5.6
PERTURBATION_WIDTH_KM = (10.0, 50.0)
MOST_PERTURBATIONS = 3

FloatArray = npt.NDArray[np.float32]
_SHAPE = (GRID_SIZE, GRID_SIZE, GRID_SIZE)


def node_positions_km() -> npt.NDArray[np.float64]:
    """Where the nodes of an axis lie, `(32,)` km."""
    return np.linspace(0.0, EXTENT_KM, GRID_SIZE)


def background() -> FloatArray:
    """The paper's Fig. 11: 5 km/s at the surface, 25 km/s at 100 km, linear between.

    Returns:
        `(32, 32, 32)` km/s.
    """
    profile = np.linspace(SLOWEST_KM_S, FASTEST_KM_S, GRID_SIZE, dtype=np.float32)
    return np.broadcast_to(profile, _SHAPE).copy()


def gaussian_random_field_modes(n_modes: int = 20, alpha: float = 2.5, seed: int = 0) -> FloatArray:
    """The fixed patterns of which random-field wave speeds are made (Section 5.5, Fig. 12).

    Args:
        n_modes: Number of patterns.
        alpha: Steepness of the spectrum; larger is smoother.
        seed: Seed of the patterns; a pattern depends on this and its number alone.

    Returns:
        `(mode, 32, 32, 32)`, each from 0 to 15 km/s.

    Raises:
        DataError: If `n_modes` is below 1.
    """
    if n_modes < 1:
        raise DataError(f"n_modes is {n_modes}: it must be at least 1.")
    wavenumber = np.fft.fftfreq(GRID_SIZE, 1 / GRID_SIZE)
    squared = sum(axis**2 for axis in np.meshgrid(wavenumber, wavenumber, wavenumber, indexing="ij"))
    amplitude = (4 * np.pi**2 * squared + SPECTRAL_CORNER**2) ** (-alpha / 2)
    modes = np.empty((n_modes, *_SHAPE), dtype=np.float32)
    for mode in range(n_modes):
        real, imaginary = np.random.default_rng([seed, mode]).standard_normal((2, *_SHAPE))
        modes[mode] = _rescaled(np.abs(np.fft.ifftn((real + 1j * imaginary) * amplitude)), 0.0, FIELD_AMPLITUDE_KM_S)
    return modes


def random_field_wave_speeds(
    n: int,
    n_modes: int = 20,
    max_fields: int = 3,
    seed: int = 0,
    mode_seed: int = 0,
    *,
    min_fields: int = 1,
    alpha: float = 2.5,
    first: int = 0,
) -> FloatArray:
    """Background plus a few of the patterns, weights U[-1, 1], clipped to 5..25 km/s (Section 5.5).

    Args:
        n: Number of wave speeds.
        n_modes: Number of patterns to choose from.
        max_fields: Most patterns in one wave speed; how many is uniform on `min_fields`..`max_fields`.
        seed: Seed of choices and weights.
        mode_seed: Seed of the patterns.
        min_fields: Fewest patterns in one wave speed.
        alpha: Steepness of the patterns' spectrum.
        first: Number of the first wave speed.

    Returns:
        `(n, 32, 32, 32)` km/s.

    Raises:
        DataError: If the numbers of patterns do not fit each other.
    """
    if not 0 <= min_fields <= max_fields <= n_modes:
        raise DataError(
            f"min_fields, max_fields and n_modes are {min_fields}, {max_fields} and {n_modes}: they must not decrease."
        )
    modes = _modes(n_modes, alpha, mode_seed)
    speeds = np.empty((n, *_SHAPE), dtype=np.float32)
    for i in range(n):
        rng = np.random.default_rng([seed, first + i])
        n_fields = int(rng.integers(min_fields, max_fields, endpoint=True))
        chosen = rng.choice(n_modes, n_fields, replace=False)
        weights = rng.uniform(-1, 1, n_fields).astype(np.float32)
        speeds[i] = background() + (weights @ modes[chosen]).reshape(_SHAPE)
    return np.clip(speeds, SLOWEST_KM_S, FASTEST_KM_S, out=speeds)


def gaussian_perturbation_wave_speeds(n: int, seed: int = 0, *, first: int = 0) -> FloatArray:
    """Background plus one to three Gaussian bumps or hollows, clipped to 5..25 km/s (Section 5.6, Fig. 14).

    Amplitudes are U[-25, 25] km/s, centres U[0, 100] km and widths U[10, 50] km on each axis.

    Args:
        n: Number of wave speeds.
        seed: Seed of all draws.
        first: Number of the first wave speed.

    Returns:
        `(n, 32, 32, 32)` km/s.
    """
    nodes = node_positions_km()
    speeds = np.empty((n, *_SHAPE), dtype=np.float32)
    for i in range(n):
        rng = np.random.default_rng([seed, first + i])
        speed = background().astype(np.float64)
        for _ in range(int(rng.integers(1, MOST_PERTURBATIONS, endpoint=True))):
            amplitude = rng.uniform(-PERTURBATION_AMPLITUDE_KM_S, PERTURBATION_AMPLITUDE_KM_S)
            centres = rng.uniform(0.0, EXTENT_KM, 3)
            widths = rng.uniform(*PERTURBATION_WIDTH_KM, 3)
            x, y, z = (np.exp(-(((nodes - c) / w) ** 2) / 2) for c, w in zip(centres, widths, strict=True))
            speed += amplitude * x[:, None, None] * y[:, None] * z
        speeds[i] = np.clip(speed, SLOWEST_KM_S, FASTEST_KM_S)
    return speeds


def interpolate(
    first_km_s: npt.NDArray[np.floating], second_km_s: npt.NDArray[np.floating], fraction: float
) -> FloatArray:
    """`(1 - p) c0 + p c1`: the paper's distortion p_d and excursion p_o (Section 3.3).

    Args:
        first_km_s: c0, any shape.
        second_km_s: c1, of the same shape.
        fraction: p, 0 to 1.

    Returns:
        A wave speed of that shape, km/s.

    Raises:
        DataError: If the shapes differ or the fraction is outside 0..1.
    """
    if first_km_s.shape != second_km_s.shape:
        raise DataError(f"two wave speeds of shapes {first_km_s.shape} and {second_km_s.shape} cannot be mixed.")
    if not 0 <= fraction <= 1:
        raise DataError(f"the fraction of the second wave speed is {fraction}: it must lie between 0 and 1.")
    mixed: FloatArray = ((1 - fraction) * first_km_s + fraction * second_km_s).astype(np.float32)
    return mixed


@lru_cache(maxsize=4)
def _modes(n_modes: int, alpha: float, seed: int) -> FloatArray:
    """The patterns, `(mode, 32768)`, kept for the next call."""
    return gaussian_random_field_modes(n_modes, alpha, seed).reshape(n_modes, -1)


def _rescaled(values: npt.NDArray[np.floating], lowest: float, highest: float) -> FloatArray:
    """The values, shifted and stretched to a range."""
    low, high = values.min(), values.max()
    rescaled: FloatArray = (lowest + (values - low) * ((highest - lowest) / (high - low))).astype(np.float32)
    return rescaled
