"""The judge must give the true gathers the best score and others the scores that mathematics says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from callbacks.physics_consistency import PhysicsConsistency, exact_gathers, relative_l2
from datamodules.simulate.velocity_maps import flat_velocity_maps
from datamodules.simulate.wave_equation import fill_with_top_velocity

STRIDE = 10


class Physical:
    def denormalize_velocity(self, x):
        return x

    def denormalize_seismic(self, x):
        return x


@pytest.fixture(scope="module")
def pairs():
    velocity = flat_velocity_maps(4, np.random.default_rng(0))
    return velocity, exact_gathers(velocity, STRIDE), exact_gathers(fill_with_top_velocity(velocity), STRIDE)


def _judge(velocity, seismic, n_pairs=4):
    judge = PhysicsConsistency(n_pairs, STRIDE)
    trainer = SimpleNamespace(datamodule=SimpleNamespace(normalization=Physical()))
    for start in (0, 3):
        part = slice(start, start + 3)
        outputs = SimpleNamespace(
            velocity=torch.from_numpy(velocity[part, None]),
            seismic=torch.from_numpy(np.ascontiguousarray(seismic[part])),
        )
        judge.on_predict_batch_end(trainer, None, outputs, None, 0)
    judge.on_predict_end(trainer, SimpleNamespace(device="cpu"))
    return judge.metrics


def test_true_pairs_score_zero_and_their_shuffle_does_not(pairs):
    velocity, seismic, _ = pairs
    metrics = _judge(velocity, seismic)
    assert metrics["physics/relative_l2"] == pytest.approx(0, abs=1e-6)
    assert metrics["physics/residual_relative_l2"] == pytest.approx(0, abs=1e-6)
    assert metrics["physics/shuffled_residual_relative_l2"] > 1
    for shot in range(5):
        assert metrics[f"physics/shot_{shot}/relative_l2"] == pytest.approx(0, abs=1e-6)
        assert metrics[f"physics/shot_{shot}/residual_relative_l2"] == pytest.approx(0, abs=1e-6)
    assert metrics["physics/n_pairs"] == 4
    assert metrics["physics/clipped_cells"] == 0


def test_the_direct_wave_alone_scores_one(pairs):
    velocity, _, direct = pairs
    assert _judge(velocity, direct)["physics/residual_relative_l2"] == pytest.approx(1, rel=1e-5)


def test_a_fault_of_one_shot_shows_in_that_shot_alone(pairs):
    velocity, seismic, direct = pairs
    broken = seismic.copy()
    broken[:, 3] = direct[:, 3]
    metrics = _judge(velocity, broken)
    wanted = [1.0 if shot == 3 else 0.0 for shot in range(5)]
    assert [metrics[f"physics/shot_{shot}/residual_relative_l2"] for shot in range(5)] == pytest.approx(
        wanted, rel=1e-5, abs=1e-6
    )


def test_shuffled_pairs_fail(pairs):
    velocity, seismic, _ = pairs
    metrics = _judge(velocity, np.roll(seismic, 1, axis=0))
    assert metrics["physics/relative_l2"] > 0.3
    assert metrics["physics/residual_relative_l2"] > 1


def test_only_the_first_pairs_are_simulated(pairs):
    velocity, seismic, _ = pairs
    assert _judge(velocity, seismic, n_pairs=2)["physics/n_pairs"] == 2


def test_impossible_maps_are_clipped_and_counted(pairs):
    velocity, seismic, _ = pairs
    broken = velocity.copy()
    broken[0, 0, :5] = 9000
    assert _judge(broken, seismic)["physics/clipped_cells"] == 5


def test_pooled_relative_l2_against_the_plain_formula(pairs):
    _, seismic, direct = pairs
    expected = np.linalg.norm((direct - seismic).ravel().astype(float)) / np.linalg.norm(seismic.ravel().astype(float))
    assert relative_l2(direct, seismic) == pytest.approx(expected, rel=1e-6)
