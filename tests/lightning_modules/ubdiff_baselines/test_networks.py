"""Shapes, sizes, and which half of a pair's latent reaches what."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff_baselines.independent_denoisers import IndependentDenoisers
from lightning_modules.ubdiff_baselines.networks import SeparateLatents, build_separate_latents
from lightning_modules.ubdiff_baselines.pair_latents import PairLatents
from lightning_modules.ubdiff_baselines.seismic_encoder import SeismicEncoder
from tests.lightning_modules.ubdiff.fake_pairs import SMALL

SETTINGS: dict[str, Any] = {
    "seismic_decoder": "patch_transformer",
    "direct_wave": "learned",
    "denoiser": "adaln_mlp",
    "prediction": "v",
    "ema_decay": 0.9,
} | SMALL


def networks(baseline: str, **settings: Any) -> SeparateLatents:
    torch.manual_seed(0)
    built = build_separate_latents(SETTINGS | settings | {"baseline": baseline})
    for denoiser in (built.denoiser, built.averaged_denoiser):
        for name, weight in denoiser.named_parameters():
            if "modulation" in name or "to_latent" in name:
                nn.init.normal_(weight, std=0.3)  # a fresh denoiser answers zero
    return built


@pytest.mark.parametrize(("n_time", "patch"), [(30, 8), (32, 8), (5, 8)])
def test_the_seismic_encoder_takes_a_gather_of_any_length(n_time: int, patch: int) -> None:
    torch.manual_seed(0)
    encoder = SeismicEncoder(16, 5, n_time, 70, patch, 16, 2, 2)
    gather = torch.randn(3, 5, n_time, 70)
    latent = encoder(gather)
    assert latent.shape == (3, 16)
    assert latent.abs().max() < 1.0
    alone = encoder(gather[1:2])
    assert torch.allclose(alone[0], latent[1], atol=1e-6)


def test_the_seismic_encoder_reads_every_sample_of_the_gather() -> None:
    torch.manual_seed(0)
    encoder = SeismicEncoder(4, 5, 30, 70, 8, 16, 1, 2)
    gather = torch.randn(1, 5, 30, 70, requires_grad=True)
    encoder(gather).square().sum().backward()
    assert gather.grad is not None
    assert (gather.grad != 0).all()


def test_a_high_learning_rate_does_not_saturate_the_seismic_latent() -> None:
    # Without the scales, 40 steps at this rate leave nine latents in ten at -1 or 1.
    torch.manual_seed(0)
    encoder, decoder = SeismicEncoder(16, 5, 100, 70, 4, 64, 1, 2), nn.Linear(16, 5 * 100 * 70)
    wave = torch.randn(8, 1, 100, 1).cumsum(dim=2) / 10
    gather = (wave * torch.ones(1, 5, 1, 70)).contiguous() - 0.1
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=5e-3, betas=(0.9, 0.99))
    for _ in range(40):
        back = decoder(encoder(gather)).view_as(gather)
        loss = (back - gather).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    latent = encoder(gather)
    assert (latent.abs() > 0.99).float().mean() < 0.2
    assert latent.std(dim=0).mean() > 0.1
    assert float(loss.detach()) < 0.3 * float(gather.var())


def test_a_token_holds_its_own_time_and_no_other() -> None:
    # Against the slice that the layer should see, written out.
    encoder = SeismicEncoder(4, 5, 30, 70, 8, 16, 0, 2)
    seen: list[Tensor] = []
    encoder.to_token.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    gather = torch.randn(2, 5, 30, 70)
    encoder(gather)
    (tokens,) = seen
    assert torch.equal(tokens[1, 2], gather[1, :, 16:24].reshape(-1))
    assert torch.equal(tokens[0, 3].view(5, 8, 70)[:, :6], gather[0, :, 24:])
    assert (tokens[0, 3].view(5, 8, 70)[:, 6:] == 0).all()


def test_each_decoder_reads_its_own_half_of_the_latent() -> None:
    built = networks("joint")
    latent = torch.randn(3, 32)
    velocity, seismic = built.decode_velocity(latent), built.decode_seismic(latent)
    assert velocity.shape == (3, 1, 70, 70)
    assert seismic.shape == (3, 5, 30, 70)
    assert torch.equal(built.decode_velocity(latent[:, :16]), velocity)
    assert torch.equal(built.decode_seismic(latent[:, 16:]), seismic)
    pair = built.encode_pair(velocity, seismic)
    assert torch.equal(pair[:, :16], built.encode(velocity))
    assert torch.equal(pair[:, 16:], built.encode_seismic(seismic))


@pytest.mark.parametrize("denoiser", ["adaln_mlp", "unet_1d"])
def test_the_halves_of_unpaired_are_strangers_and_those_of_joint_are_not(denoiser: str) -> None:
    noisy, time = torch.randn(4, 32), torch.rand(4)
    other = torch.cat((noisy[:, :16], torch.randn(4, 16)), dim=1)
    for baseline, strangers in (("unpaired", True), ("joint", False)):
        network = networks(baseline, denoiser=denoiser).denoiser
        assert network(noisy, time).shape == (4, 32)
        assert torch.equal(network(noisy, time)[:, :16], network(other, time)[:, :16]) == strangers
        gradient = torch.autograd.functional.jacobian(lambda x, n=network: n(x, time[:1]), noisy[:1])[0, :, 0]
        assert bool((gradient[:16, 16:] == 0).all() and (gradient[16:, :16] == 0).all()) == strangers


def test_a_sample_of_unpaired_keeps_its_map_when_the_other_half_of_its_noise_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = torch.arange(5)
    for baseline, strangers in (("unpaired", True), ("joint", False)):
        built = networks(baseline)
        before = built.sample_latents(index, 0, "dpm_solver_2m", 5)
        with monkeypatch.context() as patch:
            module = "lightning_modules.ubdiff.pair_generator.IndexedNoise"
            patch.setattr(module, _with_another_second_half(built))
            after = built.sample_latents(index, 0, "dpm_solver_2m", 5)
        assert torch.equal(before[:, :16], after[:, :16]) == strangers
        assert not torch.equal(before[:, 16:], after[:, 16:])


def _with_another_second_half(built: SeparateLatents) -> Any:
    from lightning_modules.ubdiff.latents import IndexedNoise

    class Changed(IndexedNoise):
        def draw(self) -> Tensor:
            return torch.cat((super().draw()[:, :16], torch.randn(5, 16)), dim=1)

    return Changed


def _learn(built: SeparateLatents, pairs: Tensor, n_steps: int) -> None:
    """Stage `diffusion` on these latents, in a plain loop."""
    torch.manual_seed(1)
    built.latent_scaler.fit(pairs)
    optimizer = torch.optim.Adam(built.denoiser.parameters(), lr=5e-3)
    for _ in range(n_steps):
        clean = built.latent_scaler.standardise(pairs[torch.randint(len(pairs), (128,))])
        noise, step = torch.randn_like(clean), torch.randint(built.diffusion.n_steps, (128,))
        loss = built.diffusion.loss(built.denoiser, clean, noise, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        built.averaged_denoiser.update(built.denoiser)


@pytest.mark.parametrize(("baseline", "wanted"), [("joint", 0.9), ("unpaired", 0.0)])
def test_joint_learns_how_two_gaussians_belong_together_and_unpaired_cannot(baseline: str, wanted: float) -> None:
    # z_s = 0.9 z_v + noise, each of variance 0.2^2: the joint diffusion should sample a correlation of 0.9.
    torch.manual_seed(0)
    velocity = torch.randn(4000, 2)
    seismic = 0.9 * velocity + (1 - 0.9**2) ** 0.5 * torch.randn(4000, 2)
    built = build_separate_latents(SETTINGS | {"baseline": baseline, "latent_dim": 2, "denoiser_width": 64})
    _learn(built, 0.2 * torch.cat((velocity, seismic), dim=1), 400)
    samples = built.sample_latents(torch.arange(1000), 0, "dpm_solver_2m", 20)
    assert samples.std(dim=0).numpy() == pytest.approx([0.2] * 4, rel=0.15)
    for k in range(2):
        correlation = float(torch.corrcoef(torch.stack((samples[:, k], samples[:, 2 + k])))[0, 1])
        assert correlation == pytest.approx(wanted, abs=0.1)


def test_each_of_two_independent_denoisers_gets_its_own_half() -> None:
    class Add(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
            return noisy + self.value * time[:, None]

    both = IndependentDenoisers(Add(1.0), Add(-1.0))
    assert both(torch.zeros(2, 4), torch.tensor([1.0, 2.0])).tolist() == [[1, 1, -1, -1], [2, 2, -2, -2]]


def test_the_latents_of_pairs_come_back_from_a_checkpoint_whatever_their_number() -> None:
    kept = PairLatents(6)
    kept.of_training, kept.of_validation = torch.randn(9, 6), torch.randn(2, 6)
    fresh = PairLatents(6)
    fresh.load_state_dict(kept.state_dict())
    assert torch.equal(fresh.of_training, kept.of_training)
    assert torch.equal(fresh.of_validation, kept.of_validation)
    with pytest.raises(RuntimeError, match="size mismatch"):
        PairLatents(4).load_state_dict(kept.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "joint", "direct_wave": "exact"}, "direct_wave: got exact.*give learned"),
        ({"baseline": "joint", "seismic_decoder": "kirchhoff"}, "seismic_decoder: got kirchhoff.*give patch_tr"),
        ({"baseline": "both"}, "baseline: got both; give one of joint, unpaired"),
        ({"baseline": "joint", "seismic_decoder": "cnn", "seismic_patch": 0}, "seismic_patch: got 0"),
        ({"baseline": "joint", "seismic_decoder": "cnn", "seismic_heads": 3}, "multiple of seismic_heads = 3"),
    ],
)
def test_an_impossible_setting_is_one_clear_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModuleError, match=message):
        build_separate_latents(SETTINGS | settings)
