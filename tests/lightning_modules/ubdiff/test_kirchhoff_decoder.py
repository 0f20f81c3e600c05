"""The Kirchhoff decoder: the sum against a naive one and against the exact operator."""

import cmath
import math

import pytest
import torch
from torch import Tensor

from datamodules.simulate.wave_equation import simulate_gathers
from lightning_modules.ubdiff import rays
from lightning_modules.ubdiff.bounces import Bounces, bounces_of
from lightning_modules.ubdiff.geometry import SHOT_COLUMNS, WAVELET_DELAY_S
from lightning_modules.ubdiff.kirchhoff_decoder import BIN_S, HALF_TAPS, N_WAVELETS, KirchhoffDecoder
from lightning_modules.ubdiff.rays import Legs, legs_of, medium_of

RECEIVERS = range(0, 70, 23)


def layered(*layers: tuple[int, float], n: int = 1) -> Tensor:
    """Normalised maps of flat layers, each from a row on at a velocity in m/s."""
    velocity = torch.zeros(n, 1, 70, 70)
    for row, speed in layers:
        velocity[:, :, row:] = (speed - 3000.0) / 1500.0
    return velocity


def legs_as_learned(decoder: KirchhoffDecoder, legs: Legs, point: int, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is hidden, time and loudness of a point's legs."""
    hidden = decoder.leg(legs.features[point]) + decoder.latent_shift(latent[legs.sample[point]])
    out = decoder.leg_out(torch.nn.functional.gelu(hidden))
    time = legs.time_s[point] + 0.002 * out[:, -1]
    return out, time, (1.0 + 0.3 * out[:, -2]) / (legs.time_s[point] + 0.03).sqrt()


def reflected(cosine: float, above: float, below: float) -> complex:
    refracted = cmath.sqrt(1.0 - (below / above) ** 2 * (1.0 - cosine**2))
    return (below * cosine - above * refracted) / (below * cosine + above * refracted)


def add_wavelet(trace: Tensor, wavelet: Tensor, time_s: float) -> None:
    arrival = (time_s + WAVELET_DELAY_S) / BIN_S
    for tap in range(2 * HALF_TAPS + 1):
        for bin_, share in ((math.floor(arrival), 1 - arrival % 1), (math.floor(arrival) + 1, arrival % 1)):
            at = bin_ + HALF_TAPS - tap
            if 0 <= at < 250 and bin_ < 250 + HALF_TAPS:
                trace[at] += share * wavelet[tap]


def naive(decoder: KirchhoffDecoder, latent: Tensor, velocity: Tensor) -> Tensor:
    """Point by point, pair by pair, sample by sample, at a gather's own 4 ms."""
    legs = legs_of(medium_of(velocity), decoder.least_reflection)
    gather = torch.zeros(len(latent), 5, 250, 70)
    for point, sample in enumerate(legs.sample.tolist()):
        out, time, loudness = legs_as_learned(decoder, legs, point, latent)
        angle = torch.atan2(legs.sine[point], legs.cosine[point]).tolist()
        above, below = float(legs.v_above[point]), float(legs.v_below[point])
        for shot, column in enumerate(SHOT_COLUMNS):
            for receiver in RECEIVERS:
                coefficient = reflected(math.cos(0.5 * (angle[column] - angle[receiver])), above, below)
                obliquity = float(legs.normal_cosine[point, column] + legs.normal_cosine[point, receiver]) / 2.0
                weight = max(obliquity, 0.0) * float(legs.weight[point])
                learned = decoder.response(torch.relu(out[column, :16] + out[receiver, 16:32])).view(3, 4)
                response = learned[0] * (below - above) / (below + above)
                response = response + learned[1] * coefficient.real + learned[2] * coefficient.imag
                wavelet = response @ decoder.wavelets * (weight * loudness[column] * loudness[receiver])
                add_wavelet(gather[sample, shot, :, receiver], wavelet, float(time[column] + time[receiver]))
    return gather


def naive_later(decoder: KirchhoffDecoder, latent: Tensor, velocity: Tensor) -> Tensor:
    """The same of waves at their second and later reflections."""
    medium = medium_of(velocity)
    legs = legs_of(medium, decoder.least_reflection)
    bounces = bounces_of(medium, legs, decoder.most_reflections - 1)
    gather = torch.zeros(len(latent), 5, 250, 70)
    for wave, (first, shot, last) in enumerate(zip(*(each.tolist() for each in bounces[:3]), strict=True)):
        bounce = Bounces(*(each[wave] for each in bounces))
        source = SHOT_COLUMNS[shot]
        out, time, loudness = legs_as_learned(decoder, legs, first, latent)
        out_last, time_last, loudness_last = legs_as_learned(decoder, legs, last, latent)
        hidden = out[source, :16] + decoder.bounce(bounce.features)
        angle = math.atan2(bounce.sine, bounce.cosine)
        above, below = float(legs.v_above[last]), float(legs.v_below[last])
        for receiver in RECEIVERS:
            sine, cosine = float(legs.sine[last, receiver]), float(legs.cosine[last, receiver])
            coefficient = reflected(math.cos(0.5 * (angle - math.atan2(sine, cosine))), above, below)
            coefficient *= complex(bounce.real, bounce.imaginary)
            learned = decoder.later_response(torch.relu(hidden + out_last[receiver, 16:32])).view(3, 4)
            response = learned[0] * (below - above) / (below + above) * bounce.at_normal_incidence
            response = response + learned[1] * coefficient.real + learned[2] * coefficient.imag
            oblique = max(float(bounce.normal_cosine + legs.normal_cosine[last, receiver]) / 2.0, 0.0)
            loud = oblique * bounce.weight * loudness[source] * loudness_last[receiver]
            beside_s = (float(bounce.beside_x_m) * sine + float(bounce.beside_z_m) * cosine) / above
            time_s = float(time[source] + bounce.time_s + time_last[receiver]) + beside_s
            sample = int(legs.sample[first])
            add_wavelet(gather[sample, shot, :, receiver], response @ decoder.wavelets * loud, time_s)
    return gather


def test_the_sum_is_the_naive_one() -> None:
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(8, 250, most_reflections=1)
    decoder.least_reflection = 0.2  # a few points
    torch.nn.init.normal_(decoder.latent_shift.weight)
    velocity = layered((0, 1700.0), (12, 1750.0), n=2)
    velocity[0, :, 50:, 60:] = 0.5
    velocity[1, :, 30:33, 20:29] = 0.4
    latent = torch.rand(2, 8) - 0.5
    with torch.no_grad():
        found, wanted = decoder(latent, velocity), naive(decoder, latent, velocity)
    chosen = list(RECEIVERS)
    torch.testing.assert_close(
        found[..., chosen], wanted[..., chosen], rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
    )


def test_what_comes_from_flank_to_flank_is_the_naive_sum() -> None:
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(8, 250, least_reflection=0.1)
    once = KirchhoffDecoder(8, 250, least_reflection=0.1, most_reflections=1)
    for part in (decoder.latent_shift, decoder.bounce):
        torch.nn.init.normal_(part.weight)
    once.load_state_dict(decoder.state_dict(), strict=False)
    row, column = torch.arange(70)[:, None], torch.arange(70)
    velocity = layered((0, 1600.0), n=2)
    for each, depth in zip(velocity, (30, 45), strict=True):
        each[0, row > depth - (column - 40).abs()] = 0.2
    velocity[1, :, 12:] += 0.05  # runs on through what turns it little
    latent = torch.rand(2, 8) - 0.5
    with torch.no_grad():
        found, wanted = decoder(latent, velocity) - once(latent, velocity), naive_later(decoder, latent, velocity)
    assert all(each.abs().max() > 1e-2 for each in wanted)
    chosen = list(RECEIVERS)
    torch.testing.assert_close(
        found[..., chosen], wanted[..., chosen], rtol=1e-3, atol=2e-4 * float(wanted.abs().max())
    )


def test_one_wavelet_makes_it_the_exact_operators_reflection() -> None:
    """Nothing but a wavelet fitted: angles, post-critical phases, spreading and times are right as they stand."""
    decoder = KirchhoffDecoder(8, 250)
    velocity = layered((0, 2000.0), (26, 2200.0))
    gathers = [
        simulate_gathers(each[0].numpy() * 1500.0 + 3000.0)[:, :, ::4] for each in (velocity, layered((0, 2000.0)))
    ]
    reflections = torch.from_numpy(gathers[0] - gathers[1]).double().flatten()
    columns = []
    with torch.no_grad():
        for part in (decoder.leg_out.weight, decoder.leg_out.bias, decoder.response.weight, decoder.response.bias):
            part.zero_()
        decoder.response.bias[N_WAVELETS] = 1.0  # Re R
        for tap in range(2 * HALF_TAPS + 1):
            decoder.wavelets.zero_()
            decoder.wavelets[0, tap] = 1.0
            columns.append(decoder(torch.zeros(1, 8), velocity).double().flatten())
    matrix = torch.stack(columns, dim=1)
    normal = matrix.T @ matrix
    normal += 1e-6 * normal.diagonal().mean() * torch.eye(len(normal))
    fitted = matrix @ torch.linalg.solve(normal, matrix.T @ reflections)
    assert float((fitted - reflections).norm() / reflections.norm()) < 0.1


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


def test_half_precision_elsewhere_leaves_the_sum_as_it_is() -> None:
    torch.manual_seed(0)
    decoder = KirchhoffDecoder(4, 250)
    latent, velocity = torch.randn(2, 4), layered((0, 2000.0), (30, 3000.0), n=2)
    whole = decoder(latent, velocity)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(decoder(latent, velocity), whole)


def test_a_source_at_the_side_of_the_map_sees_a_whole_reflector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a flat reflector the trace above the source is the same in the middle of the map and at its side."""

    def difference() -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            gather = KirchhoffDecoder(8, 250)(torch.zeros(1, 8), layered((0, 2000.0), (26, 2600.0)))[0]
        middle, side = gather[2, :, SHOT_COLUMNS[2]], gather[0, :, SHOT_COLUMNS[0]]
        return float((middle - side).norm() / middle.norm())

    whole = difference()
    assert whole < 0.15  # points stand in every third column: not to the last bit
    monkeypatch.setattr(rays, "MARGIN", 3)
    assert difference() > 3.0 * whole
