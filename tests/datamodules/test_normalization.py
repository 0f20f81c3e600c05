"""OpenFWI's normalisation: closed forms, inverse, nothing clamped, nothing changed in place."""

import math

import numpy as np
import pytest
import torch

from datamodules.normalization import OpenFWINormalization, signed_log1p
from datamodules.openfwi_families import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_extremes_become_minus_one_and_one(name):
    family = FAMILIES[name]
    normalization = OpenFWINormalization.of(family)
    ends = normalization.normalize_seismic(torch.tensor([family.seismic_minimum, family.seismic_maximum]))
    torch.testing.assert_close(ends, torch.tensor([-1.0, 1.0]))
    ends = normalization.normalize_velocity(torch.tensor([1500.0, 3000.0, 4500.0]))
    torch.testing.assert_close(ends, torch.tensor([-1.0, 0.0, 1.0]))


def test_closed_form_of_the_seismic_transform():
    # A second, scalar formulation of Deng et al.'s log transform and min-max for FlatVel-A.
    normalization = OpenFWINormalization.of(FAMILIES["FlatVel-A"])
    low, high = -math.log(1 + 26.95), math.log(1 + 52.77)
    for amplitude in (-30.0, -1.0, -1e-4, 0.0, 1e-4, 0.5, 60.0):
        logged = (-1 if amplitude < 0 else 1) * math.log(1 + abs(amplitude))
        wanted = 2 * (logged - low) / (high - low) - 1
        got = normalization.normalize_seismic(torch.tensor(amplitude, dtype=torch.float64))
        assert float(got) == pytest.approx(wanted, abs=1e-12)
        assert signed_log1p(amplitude) == pytest.approx(logged)


def test_inverse_and_no_clamp():
    normalization = OpenFWINormalization.of(FAMILIES["CurveFault-B"])
    velocity = torch.tensor([1200.0, 1500.0, 4711.0])
    assert float(normalization.normalize_velocity(velocity)[2]) > 1
    torch.testing.assert_close(normalization.denormalize_velocity(normalization.normalize_velocity(velocity)), velocity)
    amplitude = torch.cat([torch.linspace(-90, 90, 1001), torch.tensor([1e-5, -1e-5, 0.0])]).double()
    assert normalization.normalize_seismic(amplitude).abs().max() > 1
    back = normalization.denormalize_seismic(normalization.normalize_seismic(amplitude))
    torch.testing.assert_close(back, amplitude)


def test_float32_keeps_small_arrivals():
    # The far traces of a gather are hundreds of times smaller than the direct wave beside them.
    normalization = OpenFWINormalization.of(FAMILIES["FlatVel-A"])
    amplitude = torch.tensor(np.geomspace(1e-3, 50, 200), dtype=torch.float32)
    back = normalization.denormalize_seismic(normalization.normalize_seismic(amplitude))
    assert ((back - amplitude).abs() <= 1e-6 + 2e-6 * amplitude).all()


def test_nothing_is_changed_in_place_and_the_object_is_immutable():
    normalization = OpenFWINormalization.of(FAMILIES["FlatVel-A"])
    for function in (
        normalization.normalize_velocity,
        normalization.denormalize_velocity,
        normalization.normalize_seismic,
        normalization.denormalize_seismic,
    ):
        given = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
        before = given.clone()
        assert function(given) is not given
        torch.testing.assert_close(given, before, rtol=0, atol=0)
    with pytest.raises(AttributeError):
        normalization.log_seismic_minimum = 0.0
