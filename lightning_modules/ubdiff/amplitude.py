"""Between the log-normalised gathers that the networks exchange and the amplitudes in which waves add up."""

import torch
from torch import Tensor


def to_amplitude(seismic: Tensor, log_minimum: float, log_maximum: float) -> Tensor:
    """Raw amplitude x of a log-normalised gather, any shape: sign(l) (exp|l| - 1), l affine in the gather.

    Args:
        seismic: About -1 to 1.
        log_minimum: sign(x) log(1 + |x|) of the amplitude that is normalised to -1.
        log_maximum: The same of the amplitude that is normalised to 1.
    """
    logged = log_minimum + (seismic + 1.0) * (0.5 * (log_maximum - log_minimum))
    return torch.expm1(logged.abs()).copysign(logged)


def to_normalised(amplitude: Tensor, log_minimum: float, log_maximum: float) -> Tensor:
    """Undo `to_amplitude`; arguments as there."""
    logged = torch.log1p(amplitude.abs()).copysign(amplitude)
    return (logged - log_minimum) * (2.0 / (log_maximum - log_minimum)) - 1.0
