"""The paper's one-dimensional U-Net: size, shapes, time, and its two kinds of attention against plain sums."""

import pytest
import torch

from lightning_modules.ubdiff.unet_denoiser import HEAD_WIDTH, HEADS, PositionAttention, UNetDenoiser


def test_unet_has_the_paper_codes_size() -> None:
    with torch.device("meta"):
        denoiser = UNetDenoiser(128, 128, (1, 2, 2, 4))
    assert sum(weight.numel() for weight in denoiser.parameters()) / 1e6 == pytest.approx(21.3, abs=0.05)


@pytest.mark.parametrize(("latent_dim", "multipliers"), [(16, (1,)), (16, (1, 2)), (24, (2, 1, 3, 1)), (128, (1, 1))])
def test_unet_gives_as_many_numbers_as_it_takes(latent_dim: int, multipliers: tuple[int, ...]) -> None:
    denoiser = UNetDenoiser(latent_dim, 8, multipliers)
    assert denoiser(torch.randn(3, latent_dim), torch.rand(3)).shape == (3, latent_dim)


def test_unet_starts_at_zero_sees_the_time_and_each_sample_alone() -> None:
    torch.manual_seed(0)
    denoiser = UNetDenoiser(16, 8, (1, 2))
    noisy, time = torch.randn(4, 16), torch.rand(4)
    assert (denoiser(noisy, time) == 0).all()
    torch.nn.init.normal_(denoiser.to_latent.weight)
    early, late = denoiser(noisy, torch.zeros(4)), denoiser(noisy, torch.ones(4))
    assert (early - late).abs().max() > 1e-3
    assert torch.allclose(denoiser(noisy[2:3], time[2:3])[0], denoiser(noisy, time)[2], atol=1e-5)


def test_every_number_reaches_every_other_and_every_weight_a_gradient() -> None:
    torch.manual_seed(0)
    denoiser = UNetDenoiser(16, 8, (1, 2))
    torch.nn.init.normal_(denoiser.to_latent.weight)
    noisy, time = torch.randn(2, 16), torch.rand(2)
    out = denoiser(noisy, time)
    other = noisy.clone()
    other[0, 3] += 1.0
    moved = (denoiser(other, time) - out).abs()
    assert (moved[0] > 0).all()
    assert (moved[1] == 0).all()
    out.square().sum().backward()
    silent = [name for name, weight in denoiser.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


@pytest.mark.parametrize("linear", [True, False])
def test_attention_against_plain_sums(linear: bool) -> None:
    torch.manual_seed(0)
    width, n = 6, 5
    attention = PositionAttention(width, linear)
    x = torch.randn(1, width, n)
    tokens = x[0].T
    normed = tokens / (tokens.square().mean(dim=1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()
    projected = normed @ attention.query_key_value.weight.T
    read = torch.zeros(n, HEADS * HEAD_WIDTH)
    for head in range(HEADS):
        columns = [slice((k * HEADS + head) * HEAD_WIDTH, (k * HEADS + head + 1) * HEAD_WIDTH) for k in range(3)]
        query, key, value = (projected[:, each] for each in columns)
        for i in range(n):
            if linear:
                # What position j says to position i: the query's features weigh the key's share of each feature.
                weights = [(query[i].softmax(0) * key.softmax(0)[j]).sum() / HEAD_WIDTH**0.5 for j in range(n)]
            else:
                scores = torch.stack([query[i] @ key[j] / HEAD_WIDTH**0.5 for j in range(n)])
                weights = list(scores.softmax(0))
            read[i, head * HEAD_WIDTH : (head + 1) * HEAD_WIDTH] = sum(
                (weights[j] * value[j] for j in range(n)), torch.zeros(HEAD_WIDTH)
            )
    out = attention.out(read)
    if linear:
        out = out / (out.square().mean(dim=1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()
    assert torch.allclose(attention(x)[0].T, tokens + out, atol=1e-4)
