import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datamodules.simulate import wave_equation
from datamodules.simulate.wave_equation import (
    N_TIME_STEPS,
    SHOT_COLUMNS,
    fill_with_top_velocity,
    ricker_wavelet,
    simulate_gathers,
)

ROOT = Path(__file__).resolve().parents[3]
REAL_MAPS = ROOT / ".." / "shared" / "data" / "openfwi"
REAL_FILES = ("FlatVel-A/model/model1.npy", "CurveVel-A/model/model1.npy", "FlatFault-A/vel2_1_0.npy")


def relative_l2(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def slow_gather(velocity, column, n_steps=N_TIME_STEPS):
    """One shot by a second route: float64, the Laplacian as a difference of differences on a haloed field."""
    v = np.pad(velocity.astype(np.float64), 120, mode="edge")
    size, halo = v.shape[0], 2
    distance = np.maximum(np.maximum(120 - np.arange(size), np.arange(size) - 189), 0)
    depth_share = np.maximum(distance - 1, 0) / 119
    rate = depth_share**2 * v.min() * 1.5 * math.log(1e7) / 1190.0
    damping = np.where(distance[None, :] > 0, rate[None, :], rate[:, None]) * 1e-3
    courant_squared = (v * 1e-3 / 10.0) ** 2

    time = (np.arange(N_TIME_STEPS) - 73) * 1e-3
    wavelet = np.where(time <= 0.073, (1 - 2 * (np.pi * 15 * time) ** 2) * np.exp(-((np.pi * 15 * time) ** 2)), 0.0)

    field = np.zeros((size + 2 * halo, size + 2 * halo))
    change = np.zeros((size, size))
    traces = np.empty((n_steps, 70))
    inner = slice(halo, -halo)
    for step in range(n_steps):
        field[:halo], field[-halo:] = field[-2 * halo : -halo], field[halo : 2 * halo]
        field[:, :halo], field[:, -halo:] = field[:, -2 * halo : -halo], field[:, halo : 2 * halo]
        # second difference less a twelfth of the fourth difference, along each axis
        across = np.diff(field[inner], 2, axis=1)
        down = np.diff(field[:, inner], 2, axis=0)
        bend = (14 * across[:, 1:-1] - across[:, :-2] - across[:, 2:]) / 12
        bend += (14 * down[1:-1] - down[:-2] - down[2:]) / 12
        change = (1 - damping) * change + courant_squared * bend
        change[121, 120 + column] += (v[121, 120 + column] * 1e-3) ** 2 * wavelet[step]
        field[inner, inner] += change
        traces[step] = field[halo + 121, halo + 120 : halo + 190]
    return traces


def layered(depths, velocities):
    """A map with interfaces `(interface, column)`."""
    layer = (np.arange(70)[:, None] >= np.asarray(depths)[:, None, :]).sum(axis=0)
    return np.asarray(velocities, np.float32)[layer]


def flat_map():
    return layered(np.full((3, 70), [[14], [33], [52]]), [1720, 2350, 3010, 4100])


def curved_map():
    swing = 9 * np.sin(np.arange(70) / 9.0)
    return layered([12 + swing, 34 + swing, 55 + swing], [1500, 2600, 3300, 4500])


def faulted_map():
    """Flat layers whose right part is thrown down, velocities not increasing with depth."""
    throw = np.where(np.arange(70) > 38, 11, 0)
    return layered([13 + throw, 29 + throw, 50 + throw], [2900, 1650, 4480, 2200])


@pytest.fixture(scope="module")
def flat_gathers():
    return simulate_gathers(flat_map()[None])[0]


@pytest.mark.parametrize("shot", range(5))
def test_every_shot_equals_the_slow_float64_operator_on_a_flat_map(flat_gathers, shot):
    assert relative_l2(flat_gathers[shot], slow_gather(flat_map(), SHOT_COLUMNS[shot])) < 1e-5


@pytest.mark.parametrize(("make_map", "shot"), [(curved_map, 0), (faulted_map, 3)])
def test_equals_the_slow_float64_operator_on_other_maps(make_map, shot):
    found = simulate_gathers(make_map()[None])[0, shot]
    assert relative_l2(found, slow_gather(make_map(), SHOT_COLUMNS[shot])) < 1e-5


@pytest.mark.parametrize(
    "velocity",
    [
        np.full((70, 70), 1500.0),  # the longest foot ahead of the front, in steps
        np.full((70, 70), 4500.0),  # waves that come round the ring
        np.where(np.arange(70)[:, None] < 5, 4500.0, 1500.0) * np.ones(70),  # a fast lid
        np.random.default_rng(0).uniform(1500, 4500, (70, 70)),
    ],
    ids=["slow", "fast", "lid", "noise"],
)
def test_skipping_cells_that_cannot_matter_changes_nothing(velocity):
    # A short record is the sharper test of the far end: most of the grid is skipped there.
    gathers = np.empty((5, 500, 70), np.float32)
    wave_equation._simulate_map(velocity.astype(np.float32), gathers)
    assert relative_l2(gathers[1], slow_gather(velocity, SHOT_COLUMNS[1], 500)) < 1e-5


@pytest.mark.parametrize("name", REAL_FILES)
def test_equals_the_slow_float64_operator_on_real_maps(name):
    path = REAL_MAPS / name
    if not path.exists():
        pytest.skip(f"no real maps at {path}")
    velocity = np.load(path, mmap_mode="r")[123, 0]
    assert relative_l2(simulate_gathers(velocity[None])[0, 4], slow_gather(velocity, SHOT_COLUMNS[4])) < 1e-5


@pytest.mark.parametrize("offset", [10, 35, 60])
def test_the_direct_wave_is_the_closed_form_in_a_homogeneous_medium(offset):
    """Two dimensions: p(t) = dx^2 / 2 pi * integral over u of w(t - r/v cosh u)."""
    speed, radius = 3000.0, offset * 10.0
    found = simulate_gathers(np.full((1, 70, 70), speed))[0, 0, :300, offset]
    time = (np.arange(300) + 1) * 1e-3  # a source step acts on the sample one step later, which carries its number
    u = np.linspace(0, 5, 4001)
    phase = (np.pi * 15 * (time[:, None] - radius / speed * np.cosh(u) - 0.073)) ** 2
    wavelet = (1 - 2 * phase) * np.exp(-phase)
    wanted = 100.0 / (2 * np.pi) * wavelet.sum(axis=1) * (u[1] - u[0])
    assert abs(int(np.argmax(found)) - int(np.argmax(wanted))) <= 1
    assert relative_l2(found, wanted) < 0.02


def test_the_direct_wave_travels_at_the_velocity_of_the_map():
    traces = simulate_gathers(np.full((1, 70, 70), 2000.0))[0, 0]
    lag = np.argmax(np.correlate(traces[:, 60], traces[:, 20], mode="full")) - (N_TIME_STEPS - 1)
    assert abs(lag - 200) <= 1  # 40 cells of 10 m at 2000 m/s, in ms


@pytest.mark.parametrize("make_map", [curved_map, faulted_map])
def test_source_and_receiver_may_be_exchanged(make_map):
    gathers = simulate_gathers(make_map()[None])[0]
    for a in range(5):
        for b in range(a):
            there, back = gathers[a, :, SHOT_COLUMNS[b]], gathers[b, :, SHOT_COLUMNS[a]]
            assert relative_l2(there, back) < 2e-5


def test_a_flipped_map_gives_flipped_gathers_of_the_mirrored_shots():
    gathers, flipped = simulate_gathers(np.stack([faulted_map(), faulted_map()[:, ::-1]]))
    for shot in (0, 1, 3, 4):
        assert relative_l2(flipped[shot], gathers[4 - shot][:, ::-1]) < 1e-5
    # columns 34 and 35 mirror each other, and only 34 is a source
    assert relative_l2(flipped[2], gathers[2][:, ::-1]) > 0.05


def test_the_number_of_workers_does_not_change_a_bit(flat_gathers):
    maps = np.stack([flat_map(), curved_map(), faulted_map(), flat_map()])
    alone, together = simulate_gathers(maps), simulate_gathers(maps, workers=3)
    assert alone.shape == (4, 5, 1000, 70)
    assert alone.dtype == np.float32
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(alone[0], flat_gathers)


def test_runs_on_threads_from_a_script_without_a_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from datamodules.simulate.wave_equation import simulate_gathers\n"
        "print(simulate_gathers(np.full((3, 70, 70), 2000.0), workers=2).shape)\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "(3, 5, 1000, 70)", "")


def test_progress_counts_maps(capsys):
    simulate_gathers(np.full((2, 70, 70), 2000.0), progress=True)
    assert "simulating gathers: 100%" in capsys.readouterr().err
    simulate_gathers(np.full((1, 70, 70), 2000.0))
    assert capsys.readouterr().err == ""


def test_no_maps_give_no_gathers():
    assert simulate_gathers(np.empty((0, 70, 70))).shape == (0, 5, 1000, 70)
    assert fill_with_top_velocity(np.empty((0, 70, 70))).shape == (0, 70, 70)


def test_the_input_is_left_alone_and_may_be_a_read_only_view():
    maps = np.full((1, 2, 70, 70), 2000.0)
    maps.flags.writeable = False
    simulate_gathers(maps[:, 1])
    assert (maps == 2000.0).all()


def test_the_wavelet_peaks_at_sample_73():
    wavelet = ricker_wavelet()
    assert len(wavelet) == 147
    assert np.argmax(wavelet) == 73
    assert wavelet[73] == 1.0
    np.testing.assert_allclose(wavelet, wavelet[::-1])


def test_fill_with_top_velocity_takes_the_mean_of_the_two_top_rows():
    velocity = np.full((2, 70, 70), 3000.0)
    velocity[0, 0], velocity[0, 1], velocity[1, :2, :35] = 1600, 1800, 2000
    filled = fill_with_top_velocity(velocity)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled, np.broadcast_to([[[1700.0]], [[2500.0]]], (2, 70, 70)))


def test_the_direct_wave_is_most_of_a_gather(flat_gathers):
    direct = simulate_gathers(fill_with_top_velocity(flat_map()[None]))[0]
    assert 0.01 < relative_l2(direct, flat_gathers) < 0.4


def spoiled(value):
    maps = np.full((3, 70, 70), 2000.0)
    maps[1, 5, 5] = value
    return maps


@pytest.mark.parametrize(
    ("velocity", "words"),
    [
        (np.full((70, 70), 2000.0), r"\(70, 70\).*velocity\[None\]"),
        (np.full((2, 1, 70, 70), 2000.0), r"\(2, 1, 70, 70\).*maps\[:, 0\]"),
        (np.full((2, 70, 64), 2000.0), r"\(2, 70, 64\), wanted \(n, 70, 70\)"),
        (spoiled(np.nan), "NaN or infinite cells in 1 of 3 maps, the first at index 1"),
        (spoiled(np.inf), "NaN or infinite"),
        (np.full((1, 70, 70), 2.5), "2.5 to 2.5.*multiply km/s by 1000"),
        (spoiled(0.0), "0 to 2000.*turn normalised maps back into m/s"),
        (np.linspace(-1, 1, 4900).reshape(1, 70, 70), "-1 to 1.*turn normalised maps back"),
        (spoiled(6500.0), "2000 to 6500.*stable"),
    ],
)
@pytest.mark.parametrize("function", [simulate_gathers, fill_with_top_velocity])
def test_bad_maps_are_refused_in_one_sentence(function, velocity, words):
    with pytest.raises(ValueError, match=f"velocity_m_s .*{words}") as error:
        function(velocity)
    assert "\n" not in str(error.value)


def test_fewer_than_one_worker_is_refused():
    with pytest.raises(ValueError, match="workers must be 1 or more, found 0"):
        simulate_gathers(flat_map()[None], workers=0)
