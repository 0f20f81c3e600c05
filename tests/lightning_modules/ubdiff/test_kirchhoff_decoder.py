"""The Kirchhoff decoder: travel times against closed forms, and the sum against a naive one."""

import math

import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff import kirchhoff_decoder, rays
from lightning_modules.ubdiff.geometry import SHOT_COLUMNS, WAVELET_DELAY_S
from lightning_modules.ubdiff.kirchhoff_decoder import BIN_S, HALF_TAPS, KirchhoffDecoder
from lightning_modules.ubdiff.rays import MARGIN, legs_of


def layered(*layers: tuple[int, float], n: int = 1) -> Tensor:
    """Normalised maps of flat layers, each from a row on at a velocity in m/s."""
    velocity = torch.zeros(n, 1, 70, 70)
    for row, speed in layers:
        velocity[:, :, row:] = (speed - 3000.0) / 1500.0
    return velocity


def test_times_in_a_homogeneous_layer_are_those_of_straight_rays() -> None:
    legs = legs_of(layered((0, 2000.0), (31, 2600.0)), 1e-3)
    assert len(legs.sample) == 70 + 2 * MARGIN  # one interface, one point a column, and the columns beyond the sides
    depth = 10.0 * 29.5  # from row 1 to between rows 30 and 31
    surface = torch.arange(70.0)
    offset = 10.0 * (torch.arange(-MARGIN, 70.0 + MARGIN)[:, None] - surface)
    torch.testing.assert_close(legs.time_s, (offset.square() + depth**2).sqrt() / 2000.0, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(legs.reflection[MARGIN:-MARGIN], torch.full((70,), 600.0 / 4600.0))
    fading = legs.reflection[: MARGIN + 1]
    assert (fading.diff() > 0).all()
    assert float(fading[0]) < 0.01 * float(fading[-1])
    torch.testing.assert_close(legs.reflection, legs.reflection.flip(0))


def test_times_in_layers_are_fermats_for_moderate_offsets() -> None:
    legs = legs_of(layered((0, 1800.0), (21, 2400.0), (41, 3200.0)), 1e-3)
    deep = legs.time_s[70 + 2 * MARGIN :][MARGIN:-MARGIN]  # of the second interface, inside the map
    thickness, speed = (195.0, 200.0), (1800.0, 2400.0)
    vertical = sum(h / v for h, v in zip(thickness, speed, strict=True))
    assert float(deep[35, 35]) == pytest.approx(vertical, rel=1e-5)
    for ray_parameter in (1e-4, 2e-4, 3e-4):  # exact offset and time of the ray with this parameter
        cosine = [math.sqrt(1.0 - (ray_parameter * v) ** 2) for v in speed]
        offset = sum(h * ray_parameter * v / c for h, v, c in zip(thickness, speed, cosine, strict=True))
        time = sum(h / (v * c) for h, v, c in zip(thickness, speed, cosine, strict=True))
        cells = offset / 10.0
        low = int(cells)
        found = torch.lerp(deep[0, low], deep[0, low + 1], cells - low)
        assert float(found) == pytest.approx(time, abs=1e-3)


def naive(decoder: KirchhoffDecoder, latent: Tensor, velocity: Tensor) -> Tensor:
    """Point by point, pair by pair, sample by sample, at a gather's own 4 ms."""
    legs = legs_of(velocity, decoder.least_reflection, kirchhoff_decoder.COLUMN_STEP)
    gather = torch.zeros(len(latent), 5, 250, 70)
    for point, sample in enumerate(legs.sample.tolist()):
        hidden = decoder.leg(legs.features[point]) + decoder.latent_shift(latent[sample])
        out = decoder.leg_out(torch.nn.functional.gelu(hidden))
        time = legs.time_s[point] + 0.002 * out[:, -1]
        loudness = (1.0 + 0.3 * out[:, -2]) / (legs.time_s[point] + 0.03).sqrt()
        for shot, column in enumerate(SHOT_COLUMNS):
            for receiver in range(0, 70, 23):
                both = out[column, :16] + out[receiver, 16:32]
                response = decoder.response(torch.relu(both)) * loudness[column] * loudness[receiver]
                wavelet = response @ decoder.wavelets * legs.reflection[point]
                arrival = float((time[column] + time[receiver] + WAVELET_DELAY_S) / BIN_S)
                for tap in range(2 * HALF_TAPS + 1):
                    for bin_, share in ((math.floor(arrival), 1 - arrival % 1), (math.floor(arrival) + 1, arrival % 1)):
                        at = bin_ + HALF_TAPS - tap
                        if 0 <= at < 250 and bin_ < 250 + HALF_TAPS:
                            gather[sample, shot, at, receiver] += share * wavelet[tap]
    return gather


def test_the_sum_is_the_naive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kirchhoff_decoder, "COLUMN_STEP", 23)
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(8, 250)
    torch.nn.init.normal_(decoder.latent_shift.weight)
    velocity = layered((0, 1700.0), (12, 2500.0), (50, 2100.0), n=3)
    velocity[1, :, 30:] = 0.4
    velocity[2, :, 10:, 40:] = 0.7
    latent = torch.rand(3, 8) - 0.5
    with torch.no_grad():
        found, wanted = decoder(latent, velocity), naive(decoder, latent, velocity)
    chosen = slice(0, 70, 23)
    torch.testing.assert_close(
        found[..., chosen], wanted[..., chosen], rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
    )


def test_a_map_is_decoded_the_same_in_any_company_and_one_without_reflectors_to_nothing() -> None:
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(8, 250)
    velocity = torch.cat((layered((0, 1700.0), (20, 2500.0)), layered((0, 2000.0)), layered((0, 1600.0), (9, 4000.0))))
    latent = torch.rand(3, 8)
    with torch.no_grad():
        together = decoder(latent, velocity)
        for i in range(3):
            alone = decoder(latent[i : i + 1], velocity[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-6)
    assert not together[1].any()
    assert together[0].abs().max() > 0.1


@pytest.mark.parametrize("n_time", [1000, 250, 50])
def test_every_sampling_shows_the_same_waves(n_time: int) -> None:
    torch.manual_seed(0)
    decoder, reference = KirchhoffDecoder(8, n_time), KirchhoffDecoder(8, 1000)
    reference.load_state_dict(decoder.state_dict())
    velocity, latent = layered((0, 1900.0), (25, 2500.0)), torch.zeros(1, 8)
    with torch.no_grad():
        found, full = decoder(latent, velocity), reference(latent, velocity)[:, :, :: 1000 // n_time]
    torch.testing.assert_close(found, full, rtol=0, atol=0.02 * float(full.abs().max()))


def test_every_weight_learns_and_the_map_does_not() -> None:
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(8, 250)
    velocity = layered((0, 1900.0), (25, 2500.0)).requires_grad_()
    latent = torch.rand(1, 8, requires_grad=True)
    decoder(latent, velocity).square().sum().backward()
    assert velocity.grad is None
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in decoder.parameters())
    assert latent.grad is not None


def test_a_source_at_the_side_of_the_map_sees_a_whole_reflector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a flat reflector the trace above the source is the same in the middle of the map and at its side."""

    def difference() -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            gather = KirchhoffDecoder(8, 250)(torch.zeros(1, 8), layered((0, 2000.0), (26, 2600.0)))[0]
        middle, side = gather[2, :, SHOT_COLUMNS[2]], gather[0, :, SHOT_COLUMNS[0]]
        return float((middle - side).norm() / middle.norm())

    assert difference() < 0.15  # points stand in every third column: not to the last bit
    monkeypatch.setattr(rays, "MARGIN", 0)
    assert difference() > 0.4
