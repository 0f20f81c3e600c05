"""Fixtures of the data modules' tests."""

import pytest

from datamodules.simulate import wave_equation
from tests.datamodules.fake_openfwi import fake_simulate, write_family


@pytest.fixture
def fake_operator(monkeypatch):
    """The exact operator, replaced by something quick."""
    monkeypatch.setattr(wave_equation, "simulate_gathers", fake_simulate)


@pytest.fixture
def maps_only(tmp_path):
    """The family's folder below tmp_path/data: 10 files of 5 maps."""
    return write_family(tmp_path / "data", "FlatVel-A", 10)


@pytest.fixture
def with_gathers(tmp_path):
    """The same with gathers."""
    return write_family(tmp_path / "data", "FlatVel-A", 10, seismic=True)
