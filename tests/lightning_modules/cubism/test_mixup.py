"""Mixup, its draws and the processes that share a batch."""

import numpy as np
import pytest
import torch

from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.flow_gmm import FlowGmm
from lightning_modules.cubism.inter_domain import draw_anchors, mixed_by_flow, mixed_by_vae, mixed_images
from lightning_modules.cubism.mixup import inject_noise, mix, rows_of_classes
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.vae import ImageVae
from tests.lightning_modules.cubism.fake_data import events

ALONE = Processes()


def test_mixing_is_row_by_row():
    source, target = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    part = torch.tensor([0.0, 0.3, 0.8, 1.0])
    wanted = torch.stack([lam * x + (1 - lam) * y for lam, x, y in zip(part, source, target, strict=True)])
    torch.testing.assert_close(mix(source, target, part), wanted)
    assert torch.equal(mix(source, target, part)[3], source[3])
    assert torch.equal(mix(source, target, part)[0], target[0])


def test_noise_is_multiplicative_and_additive():
    z, m, a = torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5)
    torch.testing.assert_close(inject_noise(z, m, a, 0.2, 0.3), z + 0.2 * m * z + 0.3 * a)
    assert torch.equal(inject_noise(z, m, a, 0.0, 0.0), z)


def test_lambda_is_beta_and_one_a_batch_or_one_a_sample():
    draws = StepDraws(0, 0, 50_000, ALONE)
    part = draws.beta(8.0, 2.0, per_sample=True)
    assert float(part.mean()) == pytest.approx(0.8, abs=0.003)
    assert float(part.var()) == pytest.approx(16.0 / (100.0 * 11.0), rel=0.03)
    assert draws.beta(8.0, 2.0, per_sample=False).unique().numel() == 1


def test_processes_share_the_draws_of_one():
    def drawn(processes, n):
        draws = StepDraws(3, 7, n, processes)
        return [
            draws.normal(2),
            draws.beta(8.0, 2.0, per_sample=True),
            draws.uniform(),
            draws.beta(8.0, 2.0, per_sample=False),
            draws.normal(1),
        ]

    whole = drawn(ALONE, 6)
    for rank in (0, 1):
        for one, part in zip(whole, drawn(Processes(rank, 2), 3), strict=True):
            assert torch.equal(one[rank::2], part)
    assert torch.equal(StepDraws(3, 7, 3, Processes(1, 2)).global_uniform(), StepDraws(3, 7, 6, ALONE).global_uniform())
    assert not torch.equal(StepDraws(3, 8, 6, ALONE).normal(2), StepDraws(3, 7, 6, ALONE).normal(2))


def test_wanted_classes_get_rows_of_their_class():
    label = torch.tensor([0, 1, 0, 1, 1])
    wanted = torch.from_numpy(np.random.default_rng(0).integers(0, 2, 3000))
    rows = rows_of_classes(label, wanted, torch.from_numpy(np.random.default_rng(1).random(3000)))
    assert torch.equal(label[rows], wanted)
    share = torch.bincount(rows, minlength=5) / 3000
    torch.testing.assert_close(share[[0, 2]], torch.full((2,), 0.25), atol=0.03, rtol=0.0)
    torch.testing.assert_close(share[[1, 3, 4]], torch.full((3,), 1 / 6), atol=0.03, rtol=0.0)


def test_a_batch_of_one_class_only_lends_its_rows_to_the_other():
    image, _ = events(4, 0, 0)
    label = torch.zeros(4, dtype=torch.int64)
    anchors = draw_anchors(torch.tensor([0.0, 1.0]), image, label, StepDraws(0, 0, 4, ALONE), ALONE, real=True)
    assert torch.equal(anchors.label, label)  # what was drawn, not what was wanted


def test_anchors_come_as_they_are_generated_or_real():
    image, label = events(64, 0, 0)
    draws = StepDraws(0, 0, 64, ALONE)
    plain = draw_anchors(None, image, label, draws, ALONE, real=True)
    assert torch.equal(plain.image, image)
    shares = torch.tensor([0.2, 0.8])
    generated = draw_anchors(shares, image, label, draws, ALONE, real=False)
    assert generated.image is None
    real = draw_anchors(shares, image, label, draws, ALONE, real=True)
    for anchors in (generated, real):
        assert float(anchors.label.float().mean()) == pytest.approx(0.8, abs=0.15)
    row = int((image - real.image[0]).flatten(1).abs().sum(dim=1).argmin())
    assert label[row] == real.label[0]


def test_mixtures_against_plain_loops():
    image, label = events(8, 0, 0)
    target, _ = events(8, 1, 2)
    pseudo = torch.full((8, 2), 0.5)
    part = torch.linspace(0.0, 1.0, 8)
    draws = StepDraws(0, 0, 8, ALONE)
    anchors = draw_anchors(None, image, label, draws, ALONE, real=True)
    by_input = mixed_images(anchors, target, pseudo, part)
    for row in range(8):
        torch.testing.assert_close(by_input.image[row], part[row] * image[row] + (1 - part[row]) * target[row])
        one_hot = torch.eye(2)[label[row]]
        torch.testing.assert_close(by_input.label[row], part[row] * one_hot + (1 - part[row]) * pseudo[row])
    model = FlowGmm(2, 16, hidden_units=4)
    model.whitening.fit(image)
    latent, _ = model.encode(target)
    by_flow = mixed_by_flow(model, anchors, latent, pseudo, part, draws, decode=True)
    # As made the flow is linear, so that its mixtures are those of the images.
    torch.testing.assert_close(by_flow.image, by_input.image, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.decode(by_flow.latent), by_flow.image)
    vae = ImageVae(16, 4, 4)
    by_vae = mixed_by_vae(vae, anchors, target, pseudo, part, draws)
    assert by_vae.image.shape == image.shape
    assert (by_vae.image > 0).all()
    assert (by_vae.image < 1).all()
    for mixture in (by_flow, by_vae):
        assert torch.equal(mixture.source_part, part)
        torch.testing.assert_close(mixture.label, by_input.label)
