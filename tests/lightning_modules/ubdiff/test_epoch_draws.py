import torch

from lightning_modules.ubdiff.epoch_draws import draw_epoch


def test_draws_depend_on_seed_and_epoch_alone_and_look_random() -> None:
    draws = draw_epoch(3, 5, 20_000, latent_dim=4, n_steps=256, diffusion=True)
    torch.rand(10)
    again = draw_epoch(3, 5, 20_000, latent_dim=4, n_steps=256, diffusion=True)
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    for seed, epoch in ((3, 6), (4, 5)):
        other = draw_epoch(seed, epoch, 20_000, latent_dim=4, n_steps=256, diffusion=True)
        assert not torch.equal(draws.noise, other.noise)
    # Five standard errors each.
    assert abs(float(draws.mirrored.float().mean()) - 0.5) < 5 * 0.5 / 20_000**0.5
    assert abs(float(draws.step.float().mean()) - 127.5) < 5 * 74 / 20_000**0.5
    assert abs(float(draws.noise.mean())) < 5 / 80_000**0.5
    assert abs(float(draws.noise.std()) - 1) < 5 / 160_000**0.5
    assert int(draws.step.min()) == 0
    assert int(draws.step.max()) == 255


def test_nothing_is_drawn_that_is_not_needed() -> None:
    draws = draw_epoch(0, 0, 7, latent_dim=4, n_steps=256, diffusion=False)
    assert draws.mirrored.shape == (7,)
    assert draws.noise.numel() == draws.step.numel() == 0
