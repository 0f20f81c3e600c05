"""Inversion judged on held-out pairs: the right figures for the right network, controls, field effects, pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from callbacks.inversion_evaluation import PUBLISHED, InversionEvaluation, nearest_rows
from callbacks.inversion_figures import field_robustness, inverted_maps
from datamodules.simulate.field_effects import FIELD_EFFECTS
from lightning_modules.errors import ModuleError
from lightning_modules.inversion.module import InversionNetModule
from lightning_modules.inversion.network import InversionNet
from tests.datamodules.fake_openfwi import make_data_module

pytestmark = pytest.mark.usefixtures("fake_operator")


@pytest.fixture
def fake_operator(monkeypatch):
    from datamodules.simulate import wave_equation
    from tests.datamodules.fake_openfwi import fake_simulate

    monkeypatch.setattr(wave_equation, "simulate_gathers", fake_simulate)


@pytest.fixture
def data(tmp_path):
    from tests.datamodules.fake_openfwi import write_family

    write_family(tmp_path / "data", "FlatVel-A", 10)
    made = make_data_module(tmp_path, time_stride=40)
    made.prepare_data()
    return made


def checkpoint(path, seed: int, n_time: int = 25):
    """Write what a Lightning checkpoint holds, with random weights, and return the network."""
    torch.manual_seed(seed)
    network = InversionNet(n_time, 0.05).eval()
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save(
        {
            "hyper_parameters": {"n_time": n_time, "width": 0.05, "keep_every": 1, "input_gain": 0.0},
            "state_dict": weights,
        },
        path,
    )
    return network


def judge(data, networks, **options) -> InversionEvaluation:
    callback = InversionEvaluation(networks, **options)
    module = InversionNetModule(25, 0.05)
    callback.on_test_end(SimpleNamespace(datamodule=data, is_global_zero=True), module)
    return callback


def test_each_network_gets_its_own_errors_on_real_held_out_pairs(tmp_path, data):
    networks = {name: checkpoint(tmp_path / name, seed) for seed, name in enumerate(("real", "generated"))}
    callback = judge(data, {name: str(tmp_path / name) for name in networks}, n_field_pairs=2)
    pairs = data.physical_pairs("test")
    target = (pairs.velocity_m_s - 1500) / 1500 - 1
    seismic = data.normalization.normalize_seismic(torch.from_numpy(pairs.seismic))
    for name, network in networks.items():
        with torch.no_grad():
            velocity = network(seismic)[:, 0].numpy()
        found = {measure: callback.metrics[f"inversion/{name}/{measure}"] for measure in ("mae", "mse", "rmse")}
        assert found["mae"] == pytest.approx(np.abs(velocity - target).mean(), rel=1e-5)
        assert found["mse"] == pytest.approx(np.square(velocity - target).mean(), rel=1e-5)
        assert found["rmse"] == pytest.approx(found["mse"] ** 0.5)
        in_metres = np.abs(callback.inverted[name] - callback.truth).mean()
        assert callback.metrics[f"inversion/{name}/mae_m_s"] == pytest.approx(in_metres, rel=1e-4)
        assert set(callback.field_mae[name]) == {"none", *FIELD_EFFECTS}
        first = np.abs(velocity[:2] - target[:2]).mean()
        assert callback.field_mae[name]["none"] == pytest.approx(first, rel=1e-5)
        late = FIELD_EFFECTS["noise_20_db"](pairs.seismic[:2], data.time_step_s, 0)
        with torch.no_grad():
            noisy = network(data.normalization.normalize_seismic(torch.from_numpy(late)))[:, 0].numpy()
        error = np.abs(noisy - target[:2]).mean()
        assert callback.metrics[f"inversion/{name}/field/noise_20_db/mae"] == pytest.approx(error, rel=1e-5)
        assert callback.metrics[f"inversion/{name}/field/noise_20_db/ssim"] <= 1
    assert callback.metrics["inversion/real/mae"] != callback.metrics["inversion/generated/mae"]
    assert callback.metrics["inversion/n_pairs"] == 4


def test_the_controls_are_what_they_say(data):
    callback = judge(data, {})
    truth, mean = data.physical_maps("test", 4), data.physical_maps("train").mean(axis=0)
    pairs = data.physical_pairs("test")
    np.testing.assert_array_equal(pairs.velocity_m_s, truth)
    assert callback.metrics["inversion/mean_map/mae_m_s"] == pytest.approx(np.abs(mean - truth).mean(), rel=1e-5)
    training = data.physical_pairs("train")
    distances = np.stack(
        [[np.linalg.norm(normal(data, a)[:, ::4] - normal(data, b)[:, ::4]) for b in training.seismic]
         for a in pairs.seismic]
    )  # fmt: skip
    nearest = training.velocity_m_s[distances.argmin(axis=1)]
    assert callback.metrics["inversion/nearest_gather/mae_m_s"] == pytest.approx(
        np.abs(nearest - truth).mean(), rel=1e-5
    )
    assert not any("/field/" in name for name in callback.metrics)


def normal(data, gathers: np.ndarray) -> np.ndarray:
    return data.normalization.normalize_seismic(torch.from_numpy(gathers)).numpy()


def test_the_nearest_row_is_the_nearest():
    among = torch.randn(9, 2, 3)
    assert nearest_rows(among[[4, 1]] + 0.01, among).tolist() == [4, 1]


def test_published_values_stand_beside(data):
    callback = judge(data, {})
    mae, mse, ssim = PUBLISHED["FlatVel-A"]
    assert (mae, mse, ssim) == (0.0131, 0.00045, 0.9895)
    assert len(PUBLISHED) == 10
    assert callback.metrics["inversion/published/mae"] == mae
    assert callback.metrics["inversion/published/ssim"] == ssim


def test_a_network_that_is_not_there_is_named(tmp_path, data):
    with pytest.raises(ModuleError, match=r"there is no file .*absent.ckpt"):
        judge(data, {"real": str(tmp_path / "absent.ckpt")})


def test_the_pictures_show_a_column_and_a_bar_for_each_training_set():
    truth = np.random.default_rng(0).uniform(1500, 4500, (3, 70, 70)).astype(np.float32)
    sets = ("real", "generated_and_real")
    maps = inverted_maps(truth, dict.fromkeys(sets, truth + 100), n=2)
    titles = [axes.get_title() for axes in maps.axes]
    assert "held-out map" in titles
    assert sum("MAE 100 m/s" in title for title in titles) == 4
    assert any("trained on\ngenerated and real" in title for title in titles)
    bars = field_robustness({name: {"none": 0.1, **dict.fromkeys(FIELD_EFFECTS, 0.2)} for name in sets}, 7, 0.3)
    (axes,) = bars.axes
    assert len(axes.patches) == len(sets) * (1 + len(FIELD_EFFECTS))
    assert "7 held-out" in axes.get_title()
