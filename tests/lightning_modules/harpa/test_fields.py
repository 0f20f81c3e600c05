"""Travel-time fields: closed-form derivatives against autograd, cusps, shapes, refusals."""

import pytest
import torch
from torch.func import jacrev, vmap

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.siren import Siren
from lightning_modules.harpa.station_field import StationField
from lightning_modules.harpa.tangents import carried_forward, perceptron
from lightning_modules.harpa.travel_time_field import TravelTimeField
from lightning_modules.harpa.wave_speed_autoencoder import WaveSpeedAutoencoder
from tests.lightning_modules.harpa.fake_data import BOUNDS_KM, STATIONS_KM


def made_field(latent_use: str | None = None, kind: str = "factored", n_latent: int = 4) -> TravelTimeField:
    """An untrained field in float64 with weights large enough to matter."""
    torch.manual_seed(0)
    n_conditions = 0 if latent_use is None else 7 if latent_use == "decoded" else n_latent
    conditioning = "concat" if latent_use == "concat" else "modulate"
    field = StationField(3, n_conditions, kind, 16, 3, 6.0, conditioning, 8)
    field.place(torch.from_numpy(STATIONS_KM), torch.from_numpy(BOUNDS_KM))
    autoencoder = None
    if latent_use is not None:
        autoencoder = WaveSpeedAutoencoder(n_latent, width=12, depth=2, n_components=7)
        autoencoder.components.basis.normal_()
    whole = TravelTimeField(field, autoencoder, latent_use or "decoded").double().eval()
    with torch.no_grad():
        field.network.last.weight.mul_(5.0)
    return whole


@pytest.mark.parametrize("kind", ["factored", "siren"])
@pytest.mark.parametrize("latent_use", [None, "decoded", "modulate", "concat"])
def test_closed_form_derivatives_are_those_of_autograd(latent_use, kind):
    field = made_field(latent_use, kind)
    points = 100.0 * torch.rand(2, 5, 3, dtype=torch.float64)
    latent = None if latent_use is None else torch.rand(2, 1, 4, dtype=torch.float64)
    found = field.value_and_jacobian(points, latent)
    torch.testing.assert_close(found.times_s, field(points, latent))
    flat = points.reshape(-1, 3)
    if latent is None:
        by_position = vmap(jacrev(lambda x: field(x)))(flat)
        assert found.by_latent is None
    else:
        codes = latent.expand(2, 5, 4).reshape(-1, 4)
        by_position, by_latent = vmap(jacrev(field, (0, 1)))(flat, codes)
        torch.testing.assert_close(found.by_latent, by_latent.reshape(2, 5, 3, 4))
        assert by_latent.abs().max() > 1e-3
    torch.testing.assert_close(found.by_position, by_position.reshape(2, 5, 3, 3))


def test_a_perceptron_carries_tangents_forward():
    torch.manual_seed(1)
    layers = perceptron(3, 10, 2, 5).double()
    value, tangents = torch.randn(6, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    out, carried = carried_forward(layers, value, tangents)
    torch.testing.assert_close(out, layers(value))
    torch.testing.assert_close(carried, vmap(jacrev(layers))(value).mT)


def test_factored_times_are_zero_at_a_station_and_grow_as_a_cone():
    field = made_field()
    station = torch.from_numpy(STATIONS_KM[1])
    found = field.value_and_jacobian(station)
    assert found.times_s[1] == 0.0
    assert found.times_s.isfinite().all()
    assert found.by_position.isfinite().all()
    step = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    near, nearer = field(station + 1e-3 * step)[1], field(station + 1e-4 * step)[1]
    assert float((near / nearer).detach()) == pytest.approx(10.0, rel=1e-3)
    assert (field(100.0 * torch.rand(50, 3, dtype=torch.float64)) > 0.0).all()


def test_gradients_at_a_station_are_finite():
    field = made_field()
    point = torch.from_numpy(STATIONS_KM[0]).requires_grad_()
    field(point).sum().backward()
    assert point.grad.isfinite().all()


@pytest.mark.parametrize("conditioning", ["concat", "modulate"])
def test_conditions_given_by_row_are_those_given_by_point(conditioning):
    torch.manual_seed(0)
    network = Siren(3, 2, 8, 2, 5.0, 4, conditioning, 6)
    points, condition, row = torch.rand(7, 3), torch.rand(3, 4), torch.tensor([0, 1, 1, 2, 0, 2, 1])
    torch.testing.assert_close(network(points, condition, row), network(points, condition[row]))


def test_what_is_fixed_by_the_papers_size():
    network = Siren(3, 20, 512, 5, 15.0)
    assert sum(weight.numel() for weight in network.parameters()) == 1_062_932
    assert sum(weight.numel() for weight in StationField(20).parameters()) <= 60_000


def test_impossible_fields_are_refused():
    with pytest.raises(ModuleError, match="width: got 0"):
        Siren(3, 2, 0)
    with pytest.raises(ModuleError, match="w0: got 0"):
        Siren(3, 2, w0=0.0)
    with pytest.raises(ModuleError, match="field: got 'cone'"):
        StationField(3, kind="cone")
    with pytest.raises(ModuleError, match="one known wave speed; give no latent code"):
        made_field()(torch.rand(3), torch.rand(4))
    with pytest.raises(ModuleError, match="give a latent code"):
        made_field("modulate")(torch.rand(3))
    field = StationField(3)
    with pytest.raises(ModuleError, match="made for 3 stations and the data have 2"):
        field.place(torch.rand(2, 3), torch.rand(2, 3))
    field.place(torch.from_numpy(STATIONS_KM), torch.from_numpy(BOUNDS_KM))
    with pytest.raises(ModuleError, match="other station_positions_km"):
        field.place(torch.from_numpy(STATIONS_KM) + 1.0, torch.from_numpy(BOUNDS_KM))
