"""Plane acoustic waves at an interface of two speeds, at constant density."""

import torch
from torch import Tensor


def reflection_coefficient(cosine: Tensor, v_above: Tensor, v_below: Tensor) -> tuple[Tensor, Tensor]:
    """Reflection coefficient of pressure for a wave that comes from above (Aki and Richards 2002, Section 5.2).

    R = (v_below cos i - v_above cos j) / (v_below cos i + v_above cos j), with sin j = (v_below / v_above) sin i.
    Beyond the critical angle cos j is imaginary, |R| is 1 and the wavelet is turned: a wave exp(i omega t) is
    multiplied by the conjugate of what is returned.

    Args:
        cosine: cos i of the angle of incidence, above 0 and up to 1.
        v_above: Speed on the wave's side, broadcast against `cosine`.
        v_below: Speed on the other side, the same.

    Returns:
        Real and imaginary part.
    """
    below_squared = 1.0 - (v_below / v_above).square() * (1.0 - cosine.square())  # cos^2 j
    incident, refracted = v_below * cosine, v_above * below_squared.abs().sqrt()
    energy = incident.square() + refracted.square()
    propagates = below_squared >= 0.0
    real = torch.where(
        propagates,
        (incident - refracted) / (incident + refracted),
        (incident.square() - refracted.square()) / energy,
    )
    return real, torch.where(propagates, 0.0, -2.0 * incident * refracted / energy)
