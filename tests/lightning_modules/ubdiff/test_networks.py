"""The networks: shapes at several sizes, the range of the latent, and which token sees what."""

import pytest
import torch

from lightning_modules.ubdiff.denoiser import Denoiser, time_features
from lightning_modules.ubdiff.encoder import VelocityEncoder
from lightning_modules.ubdiff.latents import IndexedNoise, LatentScaler
from lightning_modules.ubdiff.learning_rate import learning_rate_factor
from lightning_modules.ubdiff.seismic_decoder import SeismicDecoder, TransformerBlock
from lightning_modules.ubdiff.velocity_decoder import VelocityDecoder


@pytest.mark.parametrize(("widths", "strides"), [((8, 12), (5, 2)), ((8, 12), (2, 5)), ((6, 8, 10), (2, 5, 7))])
def test_encoder_and_velocity_decoder_fit_each_other(widths: tuple[int, ...], strides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    encoder = VelocityEncoder(70, 16, widths, strides, blocks=1)
    decoder = VelocityDecoder(70, 16, widths, strides, blocks=1, fine_width=4)
    latent = encoder(torch.randn(3, 1, 70, 70))
    assert latent.shape == (3, 16)
    assert latent.abs().max() < 1
    assert decoder(latent).shape == (3, 1, 70, 70)


def test_a_sample_is_encoded_the_same_in_any_company() -> None:
    torch.manual_seed(0)
    encoder = VelocityEncoder(70, 16, (8, 12), (5, 2), blocks=2)
    maps = torch.randn(7, 1, 70, 70)
    assert torch.allclose(encoder(maps)[5], encoder(maps[5:6])[0], atol=1e-6)


@pytest.mark.parametrize(("n_time", "patch"), [(30, 10), (33, 10), (7, 10), (250, 20)])
def test_seismic_decoder_gives_every_time_sample(n_time: int, patch: int) -> None:
    decoder = SeismicDecoder(16, 5, n_time, 70, patch, width=16, depth=1, heads=2)
    assert decoder(torch.randn(2, 16)).shape == (2, 5, n_time, 70)
    assert decoder.n_tokens == -(-n_time // patch)


def test_a_token_is_a_patch_of_time() -> None:
    # Without attention a change of one token must move its own patch of time, all shots and receivers, and no other.
    torch.manual_seed(0)
    decoder = SeismicDecoder(16, 5, 40, 70, 10, width=16, depth=0, heads=2)
    latent = torch.randn(1, 16)
    before = decoder(latent)
    with torch.no_grad():
        decoder.to_tokens.bias.view(4, 16)[2] += torch.randn(16)
    moved = (decoder(latent) - before).abs().amax(dim=(0, 1, 3)) > 0
    assert moved.tolist() == [20 <= sample < 30 for sample in range(40)]


def test_attention_carries_each_time_to_every_other() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(16, 2)
    tokens = torch.randn(1, 5, 16)
    moved = tokens.clone()
    moved[0, 3] += 1.0
    assert ((block(moved) - block(tokens)).abs().amax(dim=(0, 2)) > 0).all()


def test_transformer_block_against_plain_attention() -> None:
    torch.manual_seed(0)
    block = TransformerBlock(8, 2)
    tokens = torch.randn(1, 4, 8)
    projected = block.query_key_value(block.attention_norm(tokens))[0]
    heads = []
    for head in range(2):
        query, key, value = (projected[:, 8 * k + 4 * head : 8 * k + 4 * head + 4] for k in range(3))
        weight = torch.softmax(query @ key.T / 2.0, dim=1)
        heads.append(weight @ value)
    attended = tokens + block.attention_out(torch.cat(heads, dim=1))
    wanted = attended + block.perceptron(block.perceptron_norm(attended))
    assert torch.allclose(block(tokens), wanted, atol=1e-5)


def test_denoiser_starts_at_zero_and_sees_the_time() -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(16, 32, 2)
    noisy = torch.randn(4, 16)
    assert (denoiser(noisy, torch.rand(4)) == 0).all()
    for weight in denoiser.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    early, late = denoiser(noisy, torch.zeros(4)), denoiser(noisy, torch.ones(4))
    assert (early - late).abs().max() > 1e-3


def test_time_features_tell_neighbouring_steps_apart() -> None:
    features = time_features(torch.arange(256) / 256, 64)
    distance = torch.cdist(features, features) + 10 * torch.eye(256)
    assert distance.min() > 0.1


def test_latent_scaler_standardises_and_comes_back() -> None:
    torch.manual_seed(0)
    latents = (0.2 * torch.randn(500, 6) * torch.arange(6) + 0.1).tanh()
    scaler = LatentScaler(6)
    scaler.fit(latents)
    standardised = scaler.standardise(latents)
    assert torch.allclose(standardised.mean(0), torch.zeros(6), atol=1e-4)
    assert torch.allclose(standardised.std(0)[1:], torch.ones(5), atol=1e-4)
    assert standardised.isfinite().all()  # the first component never moves
    assert torch.allclose(scaler.restore(standardised), latents, atol=1e-6)
    assert scaler.restore(torch.full((1, 6), 100.0)).max() <= 1.0


def test_indexed_noise_is_standard_normal_and_its_own() -> None:
    noise = IndexedNoise(list(range(400)), seed=1, latent_dim=64)
    first, second = noise.draw(), noise.draw()
    assert first.mean().abs() < 0.03
    assert (first.std() - 1).abs() < 0.02
    assert not torch.equal(first, second)
    assert (torch.corrcoef(first) - torch.eye(400)).abs().max() < 0.7
    assert torch.equal(IndexedNoise([7], seed=1, latent_dim=64).draw()[0], first[7])
    # Seed and number do not change places.
    assert not torch.equal(IndexedNoise([1], 7, 64).draw(), IndexedNoise([7], 1, 64).draw())


@pytest.mark.parametrize("warmup", [0, 10])
def test_learning_rate_schedules(warmup: int) -> None:
    cosine = [learning_rate_factor(step, "cosine", 100, warmup, 10) for step in range(101)]
    assert max(cosine) == cosine[max(0, warmup - 1)] == 1.0
    assert cosine[100] == pytest.approx(0.0, abs=1e-12)
    assert all(a >= b for a, b in zip(cosine[warmup:], cosine[warmup + 1 :], strict=False))
    paper = [learning_rate_factor(step, "step", 100, 0, 3) for step in (0, 29, 30, 60)]
    assert paper == pytest.approx([1.0, 1.0, 0.98, 0.98**2])
    assert learning_rate_factor(50, "constant", 100, 0, 3) == 1.0
