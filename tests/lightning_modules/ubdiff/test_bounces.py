"""Waves from flank to flank: against mirror images, lens formulas and the exact operator."""

import math

import pytest
import torch
from torch import Tensor

from datamodules.simulate.wave_equation import simulate_gathers
from lightning_modules.ubdiff.bounces import Bounces, bounces_of
from lightning_modules.ubdiff.geometry import SHOT_COLUMNS
from lightning_modules.ubdiff.kirchhoff_decoder import HALF_TAPS, N_WAVELETS, KirchhoffDecoder
from lightning_modules.ubdiff.rays import MARGIN, Legs, legs_of, medium_of

CORNER_COLUMN, CORNER_DEPTH = 34.5, 42.0
ABOVE, BELOW = 1500.0, 2200.0


def normalised(speed: Tensor) -> Tensor:
    return ((speed - 3000.0) / 1500.0)[None, None]


def valley(above: float = ABOVE, below: float = BELOW) -> Tensor:
    """Two flanks of 45 degrees that meet in a corner: a wave that touches both goes back where it came from."""
    depth, column = torch.arange(70.0)[:, None] - 1.0, torch.arange(70.0)
    return normalised(torch.where(depth + (column - CORNER_COLUMN).abs() > CORNER_DEPTH, below, above))


def bowl(radius: float, bottom: float) -> Tensor:
    """Part of a circle, seen from within."""
    depth, column = torch.arange(70.0)[:, None] - 1.0, torch.arange(70.0)
    inside = torch.hypot(column - 34.5, depth - (bottom - radius)) < radius
    return normalised(torch.where(inside | (depth < 8.0), ABOVE, BELOW))


def followed(velocity: Tensor, most: int = 1) -> tuple[Legs, Bounces]:
    medium = medium_of(velocity)
    legs = legs_of(medium, 8e-3)
    return legs, bounces_of(medium, legs, most)


def test_over_flat_layers_no_wave_hits_twice() -> None:
    speed = torch.full((70, 70), 1600.0)
    speed[20:], speed[40:] = 2300.0, 3200.0
    _, bounces = followed(normalised(speed), most=2)
    assert not len(bounces.first)
    assert bounces.features.shape == (0, 6)


def test_a_corner_throws_waves_back_and_as_late_as_its_mirror_images() -> None:
    legs, bounces = followed(valley())
    assert len(bounces.first) > 50
    first, shot, last = bounces.first, bounces.shot, bounces.last
    shots = torch.tensor(SHOT_COLUMNS)
    source_x = shots[shot].float()
    # The source's image in the flank of the first reflection: its plane holds x - depth, or x + depth.
    on_left = legs.column[first] - MARGIN < CORNER_COLUMN
    along = torch.where(on_left, CORNER_COLUMN - CORNER_DEPTH, CORNER_COLUMN + CORNER_DEPTH)
    image_x, image_z = along, torch.where(on_left, source_x - along, along - source_x)
    at_x = legs.column[last] - MARGIN + bounces.beside_x_m / 10.0
    at_z = legs.depth[last] + bounces.beside_z_m / 10.0
    wanted_s = 10.0 * torch.hypot(at_x - image_x, at_z - image_z) / ABOVE
    found_s = legs.time_s[first, shots[shot]] + bounces.time_s
    # Away from the corner itself, which the smoothed normals round off.
    plain = (legs.depth[first] < CORNER_DEPTH - 6.0) & (at_z < CORNER_DEPTH - 6.0) & (legs.weight[first] > 0.1)
    assert plain.sum() > 30
    late = (found_s - wanted_s)[plain]
    assert float(late.abs().median()) < 1.5e-3  # cells are steps of 5 ms, there and back
    # It leaves towards where the source is.
    away_x, away_z = legs.normal_x[last], legs.normal_z[last]
    inwards = bounces.sine * away_x + bounces.cosine * away_z
    leaving = bounces.sine - 2 * inwards * away_x, bounces.cosine - 2 * inwards * away_z
    came = legs.sine[first, shots[shot]], legs.cosine[first, shots[shot]]
    turned = torch.rad2deg(torch.atan2(leaving[0], leaving[1]) - torch.atan2(-came[0], -came[1]))
    turned = (turned + 180.0) % 360.0 - 180.0
    assert float(turned[plain].abs().median()) < 4.0


def test_after_a_plane_mirror_a_tube_widens_with_the_way() -> None:
    legs, bounces = followed(valley())
    shots = torch.tensor(SHOT_COLUMNS)
    first, shot = bounces.first, bounces.shot
    plain = (legs.depth[first] < CORNER_DEPTH - 8.0) & (legs.weight[first] > 0.1)
    before_s = legs.time_s[first, shots[shot]]
    widened = (before_s + bounces.time_s) / before_s
    spread = bounces.features[:, 2] * widened.sqrt() / bounces.normal_cosine
    ratio = (bounces.weight / (legs.weight[first] / 3.0 * spread))[plain]
    assert float((ratio - 1.0).abs().median()) < 0.02
    assert not (bounces.features[plain, 4] > 0.0).any()  # no caustic


@pytest.mark.parametrize("cosine", [0.97, 0.75, 0.6])
def test_coefficients_on_the_way_are_the_plane_waves_with_a_quarter_period_a_caustic(cosine: float) -> None:
    _, bounces = followed(bowl(26.0, 40.0), most=2)
    chosen = (bounces.features[:, 2] - cosine).abs() < 0.05
    once = chosen & (bounces.features[:, 5] < 0.0)
    assert once.any()
    first_cosine, crossed = bounces.features[once, 2].double(), bounces.features[once, 4] > 0.0
    refracted = (1.0 - (BELOW / ABOVE) ** 2 * (1.0 - first_cosine.square())).to(torch.complex128).sqrt()
    wanted = (BELOW * first_cosine - ABOVE * refracted) / (BELOW * first_cosine + ABOVE * refracted)
    wanted = torch.where(crossed, -1j * wanted, wanted)
    found = torch.complex(bounces.real, bounces.imaginary)[once]
    torch.testing.assert_close(found.to(wanted), wanted, rtol=0, atol=0.02)


def test_a_bowl_gathers_its_waves_behind_its_focus() -> None:
    """A concave mirror of radius R: 1 / focus = 2 / (R cos i) - 1 / distance of the source (Coddington's equation)."""
    radius = 26.0
    legs, bounces = followed(bowl(radius, 30.0))
    shots = torch.tensor(SHOT_COLUMNS)
    first, shot = bounces.first, bounces.shot
    source = ABOVE * legs.time_s[first, shots[shot]] / 10.0
    way = ABOVE * bounces.time_s / 10.0
    focus = 1.0 / (2.0 / (radius * bounces.features[:, 2]) - 1.0 / source)
    crossed = bounces.features[:, 4] > 0.0
    sure = (focus < 0.0) | ((way / focus - 1.0).abs() > 0.35)  # cells bend a circle
    sure &= (legs.weight[first] > 0.1) & ((legs.column[first] - MARGIN - 34.5).abs() < 18.0)  # not the rim
    wanted = (focus > 0.0) & (way > focus)
    assert (wanted & sure).sum() > 20
    assert float((crossed == wanted)[sure].float().mean()) > 0.9


def test_a_valleys_strongest_waves_are_there_at_last() -> None:
    """One wavelet fitted, nothing else: what one reflection leaves of the exact operator's gather, two explain."""
    velocity = valley()
    gathers = [
        simulate_gathers(each[0].numpy() * 1500.0 + 3000.0)[:, :, ::4] for each in (velocity, valley(below=ABOVE))
    ]
    reflections = torch.from_numpy(gathers[0] - gathers[1]).double().flatten()

    def left(most_reflections: int) -> float:
        decoder = KirchhoffDecoder(4, 250, most_reflections=most_reflections)
        columns = []
        with torch.no_grad():
            for part in decoder.parameters():
                part.zero_()
            decoder.response.bias[N_WAVELETS] = 1.0  # Re R of the wavelet, Im R of its Hilbert transform
            decoder.response.bias[2 * N_WAVELETS + 1] = 1.0
            if most_reflections > 1:
                decoder.later_response.bias.copy_(decoder.response.bias)
            for tap in range(2 * HALF_TAPS + 1):
                decoder.wavelets.zero_()
                decoder.wavelets[0, tap] = 1.0
                columns.append(decoder(torch.zeros(1, 4), velocity).double().flatten())
                decoder.wavelets.zero_()
                decoder.wavelets[1, tap] = 1.0
                columns.append(decoder(torch.zeros(1, 4), velocity).double().flatten())
        matrix = torch.stack(columns, dim=1)
        normal = matrix.T @ matrix
        normal += 1e-6 * normal.diagonal().mean() * torch.eye(len(normal))
        fitted = matrix @ torch.linalg.solve(normal, matrix.T @ reflections)
        return float((fitted - reflections).norm() / reflections.norm())

    one, two = left(1), left(2)
    assert one > 0.6
    assert two < 0.75 * one


def test_waves_follow_their_maps_in_a_batch() -> None:
    both = torch.cat((valley(), bowl(26.0, 30.0)))
    legs, together = followed(both)
    sample = legs.sample[together.first]
    for one in range(2):
        its_legs, alone = followed(both[one : one + 1])
        assert (legs.sample[together.last] == sample).all()
        torch.testing.assert_close(together.time_s[sample == one].sort().values, alone.time_s.sort().values)
        assert len(its_legs.sample) == int((legs.sample == one).sum())
    assert math.isfinite(float(together.weight.sum()))
