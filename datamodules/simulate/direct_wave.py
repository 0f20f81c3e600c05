"""The gathers of media without reflectors, as a short series in slowness.

A gather is dominated by its direct wave, which the top velocity alone decides. `F` of a constant medium is therefore a
family with one parameter, smooth in it, and a Chebyshev series in slowness s = 1/v (in which arrival times are linear)
gives any member of it:

    F(v) = sum_k T_k(x) c_k,   x = -1..1 over the interval of slownesses that holds 1/v

Above 3,000 m/s an interval of its own, because the periodic outer edge of the operator sends a wave around 3.1 km of
pad, which arrives within the second that is recorded only if the medium is fast, and changes there four times as
quickly with slowness as the direct wave does. Below 1,400 m/s another: no map of OpenFWI is so slow, but one that a
generator makes may be, and without its own direct wave its gather would be wrong altogether. The series is within 5e-4
(relative L2) of the operator between the ends. Shots 3 and 4 mirror shots 1 and 0 to rounding, so that three shots are
kept.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SLOWNESS_BOUNDS_S_M = (1 / 4800.0, 1 / 3000.0, 1 / 1400.0, 1 / 1000.0)
TERMS = (40, 36, 40)
N_SHOTS_KEPT = 3


class DirectWaveSeries(NamedTuple):
    """Chebyshev series of the gathers of constant media.

    Attributes:
        slowness_bounds_s_m: Ends of the intervals, rising, float64 `(interval + 1,)`, in s/m.
        terms: Number of terms of each interval, int64 `(interval,)`.
        coefficients: The terms of all intervals, one interval after the other, float16
            `(shot 0..2, receiver, term, time)`, in raw amplitude. Shots 3 and 4 are shots 1 and 0 mirrored.
    """

    slowness_bounds_s_m: npt.NDArray[np.float64]
    terms: npt.NDArray[np.int64]
    coefficients: npt.NDArray[np.float16]


def direct_wave_series(time_stride: int = 1, *, workers: int = 1) -> DirectWaveSeries:
    """Simulate constant media at the Chebyshev nodes and return their series; about 6 CPU-seconds.

    Args:
        time_stride: Keep every so-many-th sample of 1 ms, sample 0 kept.
        workers: Threads of the simulation.

    Raises:
        ValueError: If `time_stride` is below 1.
    """
    if time_stride < 1:
        raise ValueError(f"time_stride must be 1 or more, found {time_stride}.")
    bounds, terms = np.array(SLOWNESS_BOUNDS_S_M), np.array(TERMS)
    series = [
        _interval_series(low, high, n, time_stride, workers)
        for low, high, n in zip(bounds, bounds[1:], TERMS, strict=False)
    ]
    # One small matrix a trace, which is how the series is summed.
    coefficients = np.ascontiguousarray(np.concatenate(series).transpose(1, 3, 0, 2))
    return DirectWaveSeries(bounds, terms, coefficients)


def _interval_series(low: float, high: float, n_terms: int, time_stride: int, workers: int) -> npt.NDArray[np.float16]:
    """Coefficients of one interval of slownesses, `(term, 3, time, receiver)`."""
    # Here, because it brings numba along, which who only reads a series need not wait for.
    from datamodules.simulate.wave_equation import MAP_SIZE, simulate_gathers

    angle = np.pi * (np.arange(n_terms) + 0.5) / n_terms
    slowness = low + 0.5 * (np.cos(angle) + 1.0) * (high - low)
    to_coefficients = (2.0 / n_terms) * np.cos(np.arange(n_terms)[:, None] * angle)
    to_coefficients[0] *= 0.5
    velocity = np.broadcast_to((1.0 / slowness)[:, None, None], (n_terms, MAP_SIZE, MAP_SIZE))
    gathers = simulate_gathers(velocity, workers=workers)[:, :N_SHOTS_KEPT, ::time_stride]
    return np.tensordot(to_coefficients.astype(np.float32), gathers, axes=1).astype(np.float16)
