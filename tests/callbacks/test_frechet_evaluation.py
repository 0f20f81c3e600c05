"""Generated samples are judged: real ones pass as real, copies, blurs and gathers of another kind do not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from callbacks import feature_networks
from callbacks.frechet_evaluation import FrechetEvaluation
from callbacks.frechet_figures import frechet_ratios
from datamodules.normalization import OpenFWINormalization
from datamodules.openfwi_families import family_named
from datamodules.simulate.velocity_maps import flat_velocity_maps
from lightning_modules.metrics.family_encoder import JudgeTraining
from lightning_modules.metrics.features import FamilyEncoderFeatures

N = 100
MAPS = flat_velocity_maps(900, np.random.default_rng(0))
NORMALIZATION = OpenFWINormalization.of(family_named("FlatVel-A"))


def _gathers(maps):
    """Stand-ins: what matters is that they follow from the map."""
    trace = np.repeat(maps[:, :40, ::10] / 3000 - 1, 2, axis=1).astype(np.float32)
    return 10 * np.stack([trace * k for k in range(1, 6)], axis=1)


class Data:
    normalization = NORMALIZATION
    family = SimpleNamespace(name="FlatVel-A")
    n_held_out = 200

    def physical_maps(self, part, limit=None):
        part_maps = MAPS[:500] if part == "train" else MAPS[500 : 500 + self.n_held_out]
        return part_maps[:limit].copy()

    def physical_pairs(self, part, limit=None):
        maps = self.physical_maps(part)[:200][:limit]
        return SimpleNamespace(velocity_m_s=maps, seismic=_gathers(maps))


class Identity:
    device = torch.device("cpu")
    networks = SimpleNamespace(encode=lambda x: x, decode_velocity=lambda x: x)


def _judge(maps, gathers, data=None, module=None, **settings):
    judge = FrechetEvaluation(n_splits=5, **settings)
    trainer = SimpleNamespace(datamodule=data or Data())
    module = module or Identity()
    with torch.inference_mode():  # as in a run
        judge.on_predict_start(trainer, module)
        for start in range(0, len(maps), 40):
            part = slice(start, start + 40)
            outputs = SimpleNamespace(
                velocity=NORMALIZATION.normalize_velocity(torch.from_numpy(maps[part, None])),
                seismic=NORMALIZATION.normalize_seismic(torch.from_numpy(gathers[part])),
            )
            judge.on_predict_batch_end(trainer, module, outputs, None, 0)
        judge.on_predict_end(trainer, module)
    return judge


@pytest.fixture(scope="module")
def real():
    maps = MAPS[700 : 700 + N]
    return _judge(maps, _gathers(maps))


def test_real_samples_score_their_floor(real):
    m = real.metrics
    assert m["velocity/frechet_n"] == N
    assert m["velocity/frechet_ratio"] == pytest.approx(1, abs=0.4)
    assert m["velocity/frechet_whitened_ratio"] == pytest.approx(1, abs=0.2)
    assert m["seismic/frechet_ratio"] == pytest.approx(1, abs=0.4)
    assert m["velocity/frechet_ratio"] == pytest.approx(m["velocity/frechet"] / m["velocity/frechet_floor"])
    assert m["velocity/nearest_training_map_ratio"] == pytest.approx(1, abs=0.15)
    assert m["seismic/nearest_training_gather_ratio"] == pytest.approx(1, abs=0.3)
    assert abs(m["velocity/kid"]) < 4 * m["velocity/kid_sd"]
    assert m["velocity/frechet_ratio_of_training_maps"] == pytest.approx(1, abs=0.4)
    assert m["velocity/reconstruction_frechet_ratio"] == pytest.approx(1, abs=1e-6)
    assert m["velocity/frechet_fitted_maps"] == 500
    assert m["seismic/frechet_fitted_gathers"] == 200


def test_captions_name_the_features(real):
    assert set(real.features) == {"velocity/frechet", "seismic/frechet"}
    assert real.features["velocity/frechet"].startswith("PCA-64 (")
    assert all(isinstance(value, float) for value in real.metrics.values())


def test_copies_of_training_maps_are_found_out_by_the_nearest_alone():
    m = _judge(MAPS[:N], _gathers(MAPS[:N])).metrics
    assert m["velocity/frechet_ratio"] == pytest.approx(1, abs=0.4)
    assert m["velocity/nearest_training_map_ratio"] == 0
    assert m["seismic/nearest_training_gather_ratio"] == pytest.approx(0, abs=1e-3)


def test_blurred_maps_and_wrong_gathers_score_worse(real):
    maps = MAPS[700 : 700 + N]
    blurred = torch.nn.functional.avg_pool2d(torch.from_numpy(maps), (7, 1), 1, (3, 0), count_include_pad=False).numpy()
    m = _judge(blurred, 2 * _gathers(maps)).metrics
    assert m["velocity/frechet_whitened_ratio"] > 1.5 * real.metrics["velocity/frechet_whitened_ratio"]
    assert m["seismic/frechet_ratio"] > 2 * real.metrics["seismic/frechet_ratio"]


def test_one_map_over_and_over_scores_much_worse(real):
    maps = np.repeat(MAPS[700:701], N, axis=0)
    m = _judge(maps, _gathers(maps)).metrics
    assert m["velocity/frechet_ratio"] > 5
    assert m["velocity/kid"] > 5 * m["velocity/kid_sd"]


def test_a_bad_autoencoder_shows_in_the_reconstructions():
    module = Identity()
    module.networks = SimpleNamespace(encode=lambda x: 0.5 * x, decode_velocity=lambda x: x)
    maps = MAPS[700 : 700 + N]
    assert _judge(maps, _gathers(maps), module=module).metrics["velocity/reconstruction_frechet_ratio"] > 2


def test_further_feature_networks_stand_under_their_own_name():
    corner = torch.nn.Sequential(torch.nn.AvgPool2d(10), torch.nn.Flatten())
    maps = MAPS[700 : 700 + N]
    judge = _judge(maps, _gathers(maps), further={"velocity/encoder": FamilyEncoderFeatures(corner, 49)})
    assert judge.metrics["velocity/encoder/frechet_ratio"] == pytest.approx(1, abs=0.5)
    assert judge.features["velocity/encoder/frechet"].startswith("family encoder (")


def test_both_judges_of_the_family_and_a_slow_network(monkeypatch, tmp_path):
    for name in ("VELOCITY_TRAINING", "SEISMIC_TRAINING"):
        monkeypatch.setattr(feature_networks, name, JudgeTraining(n_steps=20, batch_size=32))

    class Slow:
        name, digest, n_features = "slow", "abc", 300
        seen = 0

        def __call__(self, samples):
            Slow.seen += len(samples)
            return samples.flatten(1)[:, :: samples[0].numel() // 300][:, :300]

    maps = MAPS[700 : 700 + N]
    settings = {"family_encoder": True, "cache_root": str(tmp_path), "further": {"seismic/slow": Slow()}}
    first = _judge(maps, _gathers(maps), **settings)
    m = first.metrics
    for key in ("velocity/family_encoder", "seismic/family_encoder", "seismic/slow"):
        assert m[f"{key}/frechet_ratio"] == pytest.approx(1, abs=0.6)
        assert m[f"{key}/frechet_n"] == N
        assert key + "/frechet" in first.features
    assert m["velocity/family_encoder/reconstruction_frechet_ratio"] == pytest.approx(1, abs=1e-6)
    assert m["velocity/family_encoder/frechet_ratio_of_training_maps"] < 3
    assert m["seismic/family_encoder/frechet_ratio_of_training_gathers"] < 3
    assert "seismic/slow/frechet_ratio_of_training_gathers" not in m
    assert Slow.seen == 200 + N
    second = _judge(maps, _gathers(maps), **settings)
    assert second.metrics == m, "judges and features of real samples are read back"
    assert Slow.seen == 200 + 2 * N
    shuffled = _judge(maps, 3 * _gathers(maps), **settings).metrics
    assert shuffled["seismic/family_encoder/frechet_ratio"] > 3

    figure = frechet_ratios(m, first.features)
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    assert m["seismic/family_encoder/frechet_ratio"] in heights
    for network in first.features.values():
        assert network in axes.get_xlabel()
    assert "too few" in frechet_ratios({}, {}).texts[0].get_text()


def test_too_few_samples_leave_figures_out_and_nothing_else_breaks():
    class Few(Data):
        n_held_out = 2

        def physical_pairs(self, part, limit=None):
            maps = self.physical_maps(part)[:1]
            return SimpleNamespace(velocity_m_s=maps, seismic=_gathers(maps))

    m = _judge(MAPS[700:703], _gathers(MAPS[700:703]), Few()).metrics
    assert "velocity/nearest_training_map_ratio" in m
    assert not any(name.startswith("seismic") or "frechet_ratio" in name for name in m)


def test_a_generator_gone_wrong_gives_no_number_instead_of_a_crash():
    maps = np.full((10, 70, 70), np.nan, np.float32)
    assert np.isnan(_judge(maps, _gathers(maps)).metrics["velocity/frechet_ratio"])
