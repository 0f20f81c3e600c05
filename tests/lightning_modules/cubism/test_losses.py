"""Loss terms, gradient reversal, schedules: against plain loops and closed forms."""

import math

import pytest
import torch

from lightning_modules.cubism.balance import TargetRatio, class_frequencies
from lightning_modules.cubism.gaussian_mixture import GaussianMixture
from lightning_modules.cubism.losses import (
    classification_loss,
    conditional_alignment_loss,
    domain_loss,
    generative_loss,
)
from lightning_modules.cubism.reversal import reverse_gradient
from lightning_modules.cubism.schedule import adaptation_progress, learning_rate_factor, ramp


def test_classification_takes_classes_and_shares():
    logits = torch.randn(5, 3)
    label = torch.tensor([0, 2, 1, 1, 0])
    plain = -sum(math.log(math.exp(r[k]) / sum(math.exp(v) for v in r))
                 for r, k in zip(logits.tolist(), label.tolist(), strict=True)) / 5  # fmt: skip
    assert float(classification_loss(logits, label)) == pytest.approx(plain, rel=1e-5)
    assert float(classification_loss(logits, torch.eye(3)[label])) == pytest.approx(plain, rel=1e-5)
    mixed = 0.3 * torch.eye(3)[label] + 0.7 / 3.0
    both = 0.3 * plain + 0.7 * sum(float(classification_loss(logits, torch.full((5,), k))) for k in range(3)) / 3.0
    assert float(classification_loss(logits, mixed)) == pytest.approx(both, rel=1e-5)


def test_the_domain_loss_is_minus_eq_9():
    logits, part = torch.randn(6), torch.tensor([1.0, 0.0, 0.8, 0.2, 0.5, 1.0])
    d = torch.sigmoid(logits)
    wanted = -(part * d.log() + (1.0 - part) * (1.0 - d).log()).mean()
    torch.testing.assert_close(domain_loss(logits, part), wanted)


def test_the_generative_loss_is_the_own_classs():
    log_likelihood = torch.tensor([[-1.0, -9.0], [-9.0, -2.0]])
    assert float(generative_loss(log_likelihood, torch.tensor([0, 1]))) == pytest.approx(1.5)


def plain_alignment(log_likelihood, confidence, threshold, cap):
    easy = [(row, int(p.argmax())) for row, p in enumerate(confidence) if p.max() > threshold]
    counts = [sum(k == label for _, label in easy) for k in range(confidence.shape[1])]
    shares = [count / max(len(easy), 1) for count in counts]
    if cap is not None:
        # Two classes: the larger share is lessened to cap / (1 - cap) of the smaller.
        smaller, larger = sorted(range(2), key=lambda k: shares[k])
        shares[larger] = min(shares[larger], shares[smaller] * cap / (1.0 - cap))
    return -sum(shares[label] / counts[label] * float(log_likelihood[row, label]) for row, label in easy)


@pytest.mark.parametrize("cap", [None, 0.5, 0.7])
@pytest.mark.parametrize("threshold", [0.0, 0.7, 0.999])
def test_conditional_alignment_against_a_plain_loop(cap, threshold):
    torch.manual_seed(0)
    log_likelihood = torch.randn(40, 2)
    confidence = (3.0 * torch.randn(40, 2) + torch.tensor([2.0, 0.0])).softmax(dim=1)
    found = conditional_alignment_loss(log_likelihood, confidence, threshold, class_cap=cap)
    assert float(found) == pytest.approx(plain_alignment(log_likelihood, confidence, threshold, cap), abs=1e-6)


def test_without_easy_samples_the_loss_is_zero_and_in_the_graph():
    log_likelihood = torch.randn(4, 2, requires_grad=True)
    loss = conditional_alignment_loss(log_likelihood, torch.full((4, 2), 0.5), 0.9, class_cap=0.5)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(log_likelihood.grad, torch.zeros(4, 2))


def collapsed_share(guarded: bool) -> float:
    """Share of class 1 among pseudo-labels after alignment of a target of 30 % class 1 that is nearer to class 0."""
    torch.manual_seed(0)
    d, n = 16, 400
    mixture = GaussianMixture(2, d)
    direction = (mixture.means[1] - mixture.means[0]).detach() / 7.5
    label = (torch.arange(n) % 10 < 3).long()
    # Target latents lie between the means, most of them nearer to class 0, and are free to move.
    position = -1.2 + 1.6 * label + 0.8 * torch.randn(n)
    shift = torch.nn.Parameter(torch.zeros(d))
    scale = torch.nn.Parameter(torch.ones(()))
    latent = position[:, None] * direction + 0.3 * torch.randn(n, d)
    optimizer = torch.optim.Adam([shift, scale, *mixture.parameters()], lr=0.03)
    ratio = TargetRatio(2)
    for _ in range(150):
        z = scale * latent + shift
        confidence = mixture.posterior(z, 4.0 if guarded else 1.0).detach()
        per_dimension = mixture.log_likelihood(z, fixed=guarded) / d
        loss = conditional_alignment_loss(per_dimension, confidence, 0.9, class_cap=0.5 if guarded else None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ratio.update(class_frequencies(confidence.argmax(dim=1), 2), first_epoch=False)
    return float(ratio.estimate[1])


def test_unguarded_alignment_collapses_to_one_class_and_guarded_does_not():
    assert collapsed_share(guarded=False) < 0.02
    assert 0.1 < collapsed_share(guarded=True) < 0.5


def test_reversal_scales_only_the_reversed_gradient():
    torch.manual_seed(0)
    backbone, head = torch.nn.Linear(4, 3), torch.nn.Linear(3, 1)
    x, part = torch.randn(6, 4), torch.tensor([1.0, 1.0, 0.0, 0.0, 0.7, 0.2])

    def gradients(scale):
        for layer in (backbone, head):
            layer.zero_grad()
        features = backbone(x)
        seen = features if scale is None else reverse_gradient(features, scale)
        domain_loss(head(seen).squeeze(1), part).backward()
        return backbone.weight.grad.clone(), head.weight.grad.clone()

    plain_backbone, plain_head = gradients(None)
    for scale in (0.0, 0.3, 2.0):
        reversed_backbone, same_head = gradients(torch.full((6,), scale))
        torch.testing.assert_close(same_head, plain_head)
        torch.testing.assert_close(reversed_backbone, -scale * plain_backbone)
    # A scale of its own for each row: rho and gamma.
    values = torch.randn(6, 3, requires_grad=True)
    scale = torch.arange(6.0)
    reverse_gradient(values, scale).sum().backward()
    torch.testing.assert_close(values.grad, -scale[:, None].expand(6, 3))
    assert torch.equal(reverse_gradient(values, scale), values)


def test_schedules():
    assert ramp(0.0) == 0.0
    assert ramp(1.0) == pytest.approx(2.0 / (1.0 + math.exp(-10.0)) - 1.0)
    assert [adaptation_progress(step, 101, 0) for step in (0, 50, 100)] == [0.0, 0.5, 1.0]
    assert [adaptation_progress(step, 101, 50) for step in (0, 49, 50, 75, 100)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert adaptation_progress(3, 4, 4) == 0.0
    assert learning_rate_factor(0.0, "ganin") == 1.0
    assert learning_rate_factor(1.0, "ganin") == pytest.approx(11.0**-0.75)
    assert learning_rate_factor(1.0, "cosine") == pytest.approx(0.0)
    assert learning_rate_factor(0.5, "constant") == 1.0
