"""The plane-wave reflection coefficient against complex arithmetic and its known limits."""

import cmath
import math

import pytest
import torch

from lightning_modules.ubdiff.reflection_coefficient import reflection_coefficient


@pytest.mark.parametrize("speeds", [(1500.0, 2500.0), (2500.0, 1500.0), (3000.0, 3000.0)])
@pytest.mark.parametrize("degrees", [0.0, 20.0, 36.0, 37.0, 60.0, 89.0])
def test_it_is_what_complex_arithmetic_gives(speeds: tuple[float, float], degrees: float) -> None:
    above, below = speeds
    cosine = math.cos(math.radians(degrees))
    cosine_below = cmath.sqrt(1.0 - (below / above * math.sin(math.radians(degrees))) ** 2)
    wanted = (below * cosine - above * cosine_below) / (below * cosine + above * cosine_below)
    values = (torch.tensor(x, dtype=torch.float64) for x in (cosine, above, below))
    real, imaginary = reflection_coefficient(*values)
    assert complex(real, imaginary) == pytest.approx(wanted, abs=1e-12)


def test_it_is_continuous_and_total_beyond_the_critical_angle() -> None:
    cosine = torch.linspace(1.0, 0.01, 2001, dtype=torch.float64)
    real, imaginary = reflection_coefficient(cosine, torch.tensor(1500.0), torch.tensor(3000.0))
    size = torch.hypot(real, imaginary)
    critical = cosine < math.cos(math.asin(0.5))
    assert torch.allclose(size[critical], torch.ones(int(critical.sum()), dtype=torch.float64))
    assert float(size[~critical][0]) == pytest.approx(1500.0 / 4500.0)
    assert (size[~critical].diff() > 0).all()
    assert float(real.diff().abs().max()) < 0.08  # no jump, though a square root's slope at the critical angle
