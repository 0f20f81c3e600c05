"""OpenFWI's normalisation of velocity maps and seismic gathers, and its inverse.

Velocity: min-max from 1500..4500 m/s to [-1, 1]. Seismic: sign(x) log(1 + |x|), then min-max to [-1, 1] between the
log-transformed extremes of the family (Deng et al. 2022, the benchmark's `dataset_config.json`). Nothing is clamped:
CurveFault-B and Style-A exceed 4500 m/s, and generated data may exceed anything. Nothing is changed in place: the
published UB-Diff code normalises its preloaded maps in place, so that the same item read twice differs.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.openfwi_families import VELOCITY_RANGE_M_S, Family


def signed_log1p(value: float) -> float:
    """sign(x) log(1 + |x|) of one number."""
    return math.copysign(math.log1p(abs(value)), value)


@dataclass(frozen=True)
class OpenFWINormalization:
    """The affine maps between physical units and [-1, 1]; immutable, on any device.

    Attributes:
        velocity_minimum_m_s: velocity that becomes -1.
        velocity_maximum_m_s: velocity that becomes 1.
        log_seismic_minimum: sign(x) log(1 + |x|) of the amplitude that becomes -1.
        log_seismic_maximum: the same of the amplitude that becomes 1.
    """

    velocity_minimum_m_s: float
    velocity_maximum_m_s: float
    log_seismic_minimum: float
    log_seismic_maximum: float

    @classmethod
    def of(cls, family: Family) -> "OpenFWINormalization":
        """The normalisation with the seismic extremes of one family."""
        return cls(
            *VELOCITY_RANGE_M_S,
            log_seismic_minimum=signed_log1p(family.seismic_minimum),
            log_seismic_maximum=signed_log1p(family.seismic_maximum),
        )

    def normalize_velocity(self, velocity_m_s: Tensor) -> Tensor:
        """Velocity in m/s, any shape -> about [-1, 1]."""
        return _to_unit(velocity_m_s, self.velocity_minimum_m_s, self.velocity_maximum_m_s)

    def denormalize_velocity(self, velocity: Tensor) -> Tensor:
        """About [-1, 1], any shape -> velocity in m/s."""
        return _from_unit(velocity, self.velocity_minimum_m_s, self.velocity_maximum_m_s)

    def normalize_seismic(self, amplitude: Tensor) -> Tensor:
        """Raw amplitude, any shape -> about [-1, 1]."""
        logged = torch.log1p(amplitude.abs()).copysign(amplitude)
        return _to_unit(logged, self.log_seismic_minimum, self.log_seismic_maximum)

    def denormalize_seismic(self, seismic: Tensor) -> Tensor:
        """About [-1, 1], any shape -> raw amplitude."""
        logged = _from_unit(seismic, self.log_seismic_minimum, self.log_seismic_maximum)
        return torch.expm1(logged.abs()).copysign(logged)


def _to_unit(value: Tensor, low: float, high: float) -> Tensor:
    return (value - low) * (2.0 / (high - low)) - 1.0


def _from_unit(value: Tensor, low: float, high: float) -> Tensor:
    return (value + 1.0) * ((high - low) / 2.0) + low
