"""IMF-STD: records standardised mode by mode (Cortes et al. 2019, Seism. Res. Lett.; paper, Section 6.3).

A record is decomposed into six intrinsic mode functions (empirical mode decomposition, Huang et al. 1998), the residue
is dropped, each mode is divided by its robust standard deviation, and the modes are summed: path and site, which make
some bands loud and others weak, are levelled out. Decomposition is EMD-signal's (Apache-2.0).
"""

import numpy as np
import numpy.typing as npt

N_MODES = 6
_LEAST_SHARE = 1e-6

FloatArray = npt.NDArray[np.float64]


def imf_standardized(record: FloatArray, n_modes: int = N_MODES) -> FloatArray:
    """Sum of the record's modes, each of unit robust standard deviation.

    Args:
        record: `(sample,)`, without padding; its mean is removed here.
        n_modes: Most modes.

    Returns:
        `(sample,)`; what has no mode (a line, say) is returned without its mean.
    """
    from PyEMD import EMD

    centred = record - record.mean()
    decomposition = EMD()
    decomposition.emd(centred, max_imf=n_modes)
    modes, _ = decomposition.get_imfs_and_residue()
    deviation = robust_deviation(modes[:n_modes])
    kept = deviation > _LEAST_SHARE * np.abs(centred).max(initial=0.0)  # modes of rounding errors are left out
    if not kept.any():
        return np.asarray(centred, dtype=np.float64)
    standardized: FloatArray = (modes[:n_modes][kept] / deviation[kept, None]).sum(axis=0)
    return standardized


def robust_deviation(modes: FloatArray) -> FloatArray:
    """Standard deviation from the median absolute deviation, `(mode,)`; exact for a normal distribution."""
    deviation: FloatArray = 1.4826 * np.median(np.abs(modes - np.median(modes, axis=1, keepdims=True)), axis=1)
    return deviation
