"""The two seismic decoders beside the patch transformer: shapes, sizes, and what depends on what."""

import pytest
import torch
from torch import nn

from lightning_modules.ubdiff.blocks import ResidualBlock
from lightning_modules.ubdiff.seismic_decoder_cnn import ConvolutionalSeismicDecoder, depth_to_space
from lightning_modules.ubdiff.seismic_decoder_single_token import SingleTokenDecoder


@pytest.mark.parametrize("n_time", [30, 50, 101, 250])
def test_both_give_every_time_sample(n_time: int) -> None:
    latent = torch.randn(2, 16)
    assert ConvolutionalSeismicDecoder(16, 5, n_time, 70, width=2)(latent).shape == (2, 5, n_time, 70)
    assert SingleTokenDecoder(16, 5, n_time, 70, width=8, depth=1, heads=2)(latent).shape == (2, 5, n_time, 70)


@pytest.mark.parametrize(
    "decoder",
    [ConvolutionalSeismicDecoder(16, 5, 60, 70, 2), SingleTokenDecoder(16, 5, 60, 70, 8, 2, 2)],
    ids=["cnn", "single_token"],
)
def test_a_gather_is_decoded_the_same_in_any_company(decoder: nn.Module) -> None:
    torch.manual_seed(0)
    latent = torch.randn(7, 16)
    gathers = decoder(latent)
    assert torch.allclose(decoder(latent[4:5])[0], gathers[4], atol=1e-5)
    assert (gathers[0] - gathers[1]).abs().max() > 1e-3


def test_single_token_has_the_paper_codes_size() -> None:
    with torch.device("meta"):
        decoder = SingleTokenDecoder(128, 5, 1000, 70, width=640, depth=2, heads=8)
    count = sum(weight.numel() for weight in decoder.parameters())
    assert count == pytest.approx(236.9e6, rel=0.003)
    assert sum(weight.numel() for weight in decoder.to_gather.parameters()) == 641 * 350_000


def test_convolutional_decoder_has_the_patch_transformers_size() -> None:
    with torch.device("meta"):
        decoder = ConvolutionalSeismicDecoder(128, 5, 1000, 70, width=16)
    assert sum(weight.numel() for weight in decoder.parameters()) <= 6_000_000


def test_the_class_token_learns_of_the_latent_by_attention_alone() -> None:
    torch.manual_seed(0)
    decoder = SingleTokenDecoder(16, 5, 30, 70, width=8, depth=2, heads=2)
    latent = torch.randn(2, 16)
    assert not torch.allclose(*decoder(latent), atol=1e-4)
    for block in decoder.blocks:
        nn.init.zeros_(block.attention_out.weight)  # type: ignore[union-attr, arg-type]
    assert torch.equal(*decoder(latent))


def test_single_token_against_its_formula() -> None:
    # Two tokens in one block, written out: the class token's query on both keys.
    torch.manual_seed(0)
    decoder = SingleTokenDecoder(4, 1, 3, 2, width=6, depth=1, heads=1)
    nn.init.normal_(decoder.class_token)
    latent = torch.randn(1, 4)
    first, _, second = decoder.to_token
    hidden = first(latent)
    tokens = torch.cat((decoder.class_token[None], second(torch.where(hidden > 0, hidden, 0.2 * hidden))))
    (block,) = decoder.blocks
    query, key, value = block.query_key_value(block.attention_norm(tokens)).chunk(3, dim=1)  # type: ignore[operator]
    attended = tokens[0] + block.attention_out(torch.softmax(query[0] @ key.T / 6**0.5, 0) @ value)  # type: ignore[operator]
    class_out = attended + block.perceptron(block.perceptron_norm(attended))  # type: ignore[operator]
    wanted = decoder.to_gather(decoder.norm(class_out)).view(1, 1, 3, 2)
    assert torch.allclose(decoder(latent), wanted, atol=1e-5)


def test_depth_to_space_is_the_pixel_shuffle_where_that_exists_and_loses_nothing() -> None:
    square = torch.randn(2, 12, 3, 4)
    assert torch.equal(depth_to_space(square, (2, 2)), nn.PixelShuffle(2)(square))
    x = torch.arange(10.0).view(1, 10, 1, 1)
    assert depth_to_space(x, (5, 1)).flatten().tolist() == list(range(10))
    assert depth_to_space(x, (5, 1)).shape == (1, 2, 5, 1)


def test_convolutions_see_their_neighbourhood_alone() -> None:
    # Moving one coarse cell moves the gather around it and leaves what is far off as it was.
    torch.manual_seed(0)
    decoder = ConvolutionalSeismicDecoder(16, 5, 1000, 70, width=2)
    for block in decoder.modules():
        if isinstance(block, ResidualBlock):
            nn.init.normal_(block.second.weight, std=0.1)
    latent = torch.randn(1, 16)
    before = decoder(latent)
    with torch.no_grad():
        decoder.from_latent.bias.view(decoder.grid)[:, 10, 3] += 1.0
    moved = (decoder(latent) - before).abs().amax(dim=(0, 1))
    assert (moved[500:550, 30:40] > 0).all()
    assert moved[:300].max() == 0
    assert moved[750:].max() == 0
