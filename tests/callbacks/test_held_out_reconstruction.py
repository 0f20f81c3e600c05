"""Errors of reconstructions whose answers are known, on as many pairs as memory is to hold."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from callbacks.held_out_reconstruction import HeldOutReconstruction
from callbacks.physics_consistency import exact_gathers
from datamodules.simulate.velocity_maps import flat_velocity_maps
from datamodules.simulate.wave_equation import fill_with_top_velocity

STRIDE = 10
MAPS = flat_velocity_maps(5, np.random.default_rng(0))


class _Normalization:
    normalize_velocity = staticmethod(lambda x: (x - 3000) / 1500)
    denormalize_velocity = staticmethod(lambda x: 1500 * x + 3000)
    denormalize_seismic = staticmethod(lambda x: x)


@pytest.fixture(scope="module")
def gathers():
    return exact_gathers(MAPS, STRIDE), exact_gathers(fill_with_top_velocity(MAPS), STRIDE)


def _judge(seismic, back, shift_m_s, max_pairs):
    judge = HeldOutReconstruction(STRIDE, max_pairs)
    data = SimpleNamespace(normalization=_Normalization(), physical_maps=lambda part: MAPS)
    trainer = SimpleNamespace(datamodule=data, callback_metrics={"test/seismic_mae": torch.tensor(0.5)})
    networks = SimpleNamespace(encode=lambda x: x, decode_velocity=lambda x: x + shift_m_s / 1500)
    module = SimpleNamespace(device=torch.device("cpu"), networks=networks)
    for part in (slice(0, 2), slice(2, 4), slice(4, 5)):
        velocity = _Normalization.normalize_velocity(torch.from_numpy(MAPS[part, None]))
        batch = SimpleNamespace(velocity=velocity, seismic=torch.from_numpy(seismic[part]))
        outputs = {"velocity": velocity + shift_m_s / 1500, "seismic": torch.from_numpy(back[part])}
        judge.on_test_batch_end(trainer, module, outputs, batch, 0)
    judge.on_test_end(trainer, module)
    return judge


def test_a_perfect_reconstruction_scores_zero(gathers):
    metrics = _judge(gathers[0], gathers[0], 0.0, 256).metrics
    assert metrics["velocity/mae_m_s"] == pytest.approx(0, abs=1e-3)
    assert metrics["velocity/ssim"] == pytest.approx(1, abs=1e-3)
    assert metrics["seismic/relative_l2"] == metrics["seismic/residual_relative_l2"] == 0
    assert metrics["held_out/n_pairs"] == metrics["held_out/n_maps"] == 5


@pytest.mark.parametrize("max_pairs", [3, 4])
def test_only_the_first_pairs_are_held_and_all_maps_are_judged(gathers, max_pairs):
    judge = _judge(gathers[0], gathers[1], 20.0, max_pairs)
    assert judge.metrics["held_out/n_pairs"] == len(judge.seismic) == len(judge.velocity_back) == max_pairs
    assert judge.metrics["held_out/n_maps"] == 5
    assert judge.metrics["velocity/mae_m_s"] == pytest.approx(20, rel=1e-4)
    assert judge.metrics["seismic/residual_relative_l2"] == pytest.approx(1, rel=1e-5), "the direct wave alone"
    assert judge.metrics["seismic/mae"] == 0.5
