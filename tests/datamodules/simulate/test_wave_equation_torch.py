from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.simulate import wave_equation_torch
from datamodules.simulate.wave_equation import simulate_gathers
from datamodules.simulate.wave_equation_torch import simulate_gathers_on, simulate_gathers_torch

REAL_MAPS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "openfwi"
REAL_FILES = ("FlatVel-A/model/model1.npy", "CurveVel-A/model/model1.npy", "FlatFault-A/vel2_1_0.npy")


def relative_l2(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def map_of(seed):
    """Dipping layers of any velocities, which no symmetry of the code can hide behind."""
    draw = np.random.default_rng(seed)
    depth = np.arange(70)[:, None] + draw.uniform(-0.4, 0.4) * np.arange(70)
    velocities = draw.uniform(1500, 4500, 6)
    return velocities[np.clip(depth // 15 + 1, 0, 5).astype(int)].astype(np.float32)


def march(maps, n_steps, time_stride=1):
    gathers = torch.zeros(len(maps), 5, len(range(0, n_steps, time_stride)), 70)
    wave_equation_torch._march(np.asarray(maps, np.float32), gathers, n_steps, time_stride)
    return gathers.numpy()


@pytest.fixture(scope="module")
def gathers():
    """Of two maps together, over the whole record."""
    maps = np.stack([map_of(0), map_of(1)])
    return maps, simulate_gathers_torch(torch.from_numpy(maps), maps_at_once=2).numpy()


def test_equals_the_compiled_operator(gathers):
    maps, found = gathers
    wanted = simulate_gathers(maps)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    for one, other in zip(found, wanted, strict=True):
        assert relative_l2(one, other) < 5e-6


@pytest.mark.parametrize("name", REAL_FILES)
def test_equals_the_compiled_operator_on_real_maps(name):
    path = REAL_MAPS / name
    if not path.exists():
        pytest.skip(f"no real maps at {path}")
    velocity = np.array(np.load(path, mmap_mode="r")[321])
    assert relative_l2(simulate_gathers_torch(torch.from_numpy(velocity)).numpy(), simulate_gathers(velocity)) < 5e-6


@pytest.mark.parametrize("speed", [1500.0, 5800.0], ids=["long foot ahead of the front", "waves round the ring"])
def test_leaving_out_cells_that_cannot_matter_changes_nothing(speed, monkeypatch):
    maps = np.full((1, 70, 70), speed)
    maps[0, 40:, 20:] *= 0.9
    found = march(maps, 460)
    whole = wave_equation_torch._Window(range(460), 0, 310, 0, 310)
    monkeypatch.setattr(wave_equation_torch, "_windows", lambda n_steps: [whole])
    assert relative_l2(found, march(maps, 460)) < 1e-6


def test_windows_cover_the_record_and_leave_cells_out():
    windows = list(wave_equation_torch._windows(1000))
    assert [step for window in windows for step in window.steps] == list(range(1000))
    cells = [(window.bottom - window.top) * (window.right - window.left) for window in windows]
    assert max(cells) == 310 * 310
    assert cells[0] < 0.2 * max(cells)
    assert cells[-1] < 0.2 * max(cells)


def test_what_is_simulated_beside_a_map_does_not_change_a_bit(gathers):
    maps, together = gathers
    alone = simulate_gathers_torch(torch.from_numpy(maps[1:]), maps_at_once=1).numpy()
    np.testing.assert_array_equal(alone[0], together[1])


def test_maps_are_simulated_in_order_whatever_the_chunk(monkeypatch):
    sizes = []

    def note(velocity, gathers, n_steps, time_stride):
        sizes.append(len(velocity))
        gathers[:] = torch.from_numpy(velocity[:, 0, 0])[:, None, None, None]

    monkeypatch.setattr(wave_equation_torch, "_march", note)
    maps = torch.arange(1500.0, 1505.0)[:, None, None].expand(5, 70, 70)
    found = simulate_gathers_torch(maps, maps_at_once=2)
    assert sizes == [2, 2, 1]
    assert found[:, 0, 0, 0].tolist() == [1500, 1501, 1502, 1503, 1504]


def test_a_stride_keeps_every_so_many_th_sample():
    maps = map_of(2)[None]
    np.testing.assert_array_equal(march(maps, 250, 4), march(maps, 250)[:, :, ::4])


def test_source_and_receiver_may_be_exchanged(gathers):
    columns = (0, 17, 34, 52, 69)
    for gather in gathers[1]:
        for a in range(5):
            for b in range(a):
                assert relative_l2(gather[a, :, columns[b]], gather[b, :, columns[a]]) < 2e-5


def test_a_flipped_map_gives_flipped_gathers_of_the_mirrored_shots():
    velocity = map_of(3)
    straight, flipped = march([velocity, velocity[:, ::-1]], 400)
    for shot in (0, 1, 3, 4):
        assert relative_l2(flipped[shot], straight[4 - shot][:, ::-1]) < 1e-5


def test_any_floating_type_and_no_gradient():
    maps = torch.full((1, 70, 70), 2048.0, dtype=torch.float64, requires_grad=True)
    found = simulate_gathers_torch(maps, time_stride=500)
    assert (found.dtype, found.requires_grad, tuple(found.shape)) == (torch.float32, False, (1, 5, 2, 70))


def test_no_maps_give_no_gathers():
    assert simulate_gathers_torch(torch.empty(0, 70, 70)).shape == (0, 5, 1000, 70)
    assert simulate_gathers_on("cpu", np.empty((0, 70, 70)), time_stride=3).shape == (0, 5, 334, 70)


def test_on_a_cpu_the_compiled_operator_is_taken():
    maps = np.stack([map_of(4), map_of(5)])
    found = simulate_gathers_on(torch.device("cpu"), maps, workers=2, time_stride=4)
    np.testing.assert_array_equal(found, simulate_gathers(maps)[:, :, ::4])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_batched_operator_is_taken_and_agrees():
    maps = np.stack([map_of(seed) for seed in range(3)])
    assert relative_l2(simulate_gathers_on("cuda", maps, time_stride=4), simulate_gathers(maps)[:, :, ::4]) < 5e-6


@pytest.mark.parametrize(
    ("velocity", "words"),
    [
        (torch.full((70, 70), 2000.0), r"\(70, 70\).*velocity\[None\]"),
        (torch.full((1, 70, 70), float("nan")), "NaN or infinite cells in 1 of 1 maps"),
        (torch.full((1, 70, 70), 2.5), "2.5 to 2.5.*multiply km/s by 1000"),
        (torch.full((1, 70, 70), 6500.0), "6500.*stable"),
    ],
)
def test_bad_maps_are_refused_as_the_compiled_operator_refuses_them(velocity, words):
    with pytest.raises(ValueError, match=f"velocity_m_s .*{words}"):
        simulate_gathers_torch(velocity)


def test_impossible_settings_are_refused():
    maps = torch.full((1, 70, 70), 2000.0)
    with pytest.raises(ValueError, match="maps_at_once must be 1 or more, found 0"):
        simulate_gathers_torch(maps, maps_at_once=0)
    for simulate in (simulate_gathers_torch, lambda maps, time_stride: simulate_gathers_on("cpu", maps, time_stride=0)):
        with pytest.raises(ValueError, match="time_stride must be 1 or more, found 0"):
            simulate(maps, time_stride=0)
