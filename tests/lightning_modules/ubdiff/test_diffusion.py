"""The cosine schedule and the algebra of the three predictions."""

import math

import pytest
import torch

from lightning_modules.ubdiff.diffusion import Diffusion, Prediction, cosine_signal_power

PREDICTIONS: list[Prediction] = ["v", "epsilon", "sample"]


@pytest.mark.parametrize("n_steps", [8, 256, 1000])
def test_signal_power_falls_from_one_to_zero(n_steps: int) -> None:
    power = cosine_signal_power(n_steps)
    assert power.shape == (n_steps,)
    assert (power.diff() < 0).all()
    assert 0 < power[-1] < 1e-3
    assert power[0] > 0.9


def test_signal_power_is_the_published_cosine_where_no_bound_acts() -> None:
    # Nichol and Dhariwal (2021), Eq. 17, by plain arithmetic.
    def f(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    power = cosine_signal_power(256)
    for step in (0, 10, 127, 200, 250):
        assert float(power[step]) == pytest.approx(f((step + 1) / 256) / f(0), rel=1e-9)


def test_noised_sample_keeps_unit_variance() -> None:
    torch.manual_seed(0)
    diffusion = Diffusion(64)
    step = torch.arange(64).repeat_interleave(1000)
    noisy = diffusion.add_noise(torch.randn(64000, 4), torch.randn(64000, 4), step)
    assert torch.allclose(noisy.var(), torch.tensor(1.0), atol=0.02)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("step", [0, 100, 250])
def test_a_perfect_prediction_gives_back_the_sample(prediction: Prediction, step: int) -> None:
    torch.manual_seed(0)
    diffusion = Diffusion(256, prediction)
    clean, noise, steps = torch.randn(5, 8), torch.randn(5, 8), torch.full((5,), step)
    noisy = diffusion.add_noise(clean, noise, steps)
    output = diffusion.target(clean, noise, steps)
    signal = float(diffusion.signal_power[step]) ** 0.5
    assert torch.allclose(diffusion.to_sample(output, noisy, steps), clean, atol=1e-6 / signal)


def test_v_is_the_angular_velocity() -> None:
    # With alpha = cos(phi), sigma = sin(phi): v = d x / d phi (Salimans and Ho 2022, appendix D).
    diffusion = Diffusion(256, "v")
    step = torch.tensor([77])
    clean, noise = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-1.3]], dtype=torch.float64)
    phi = torch.acos(diffusion.signal_power[step].sqrt()).requires_grad_()
    x = torch.cos(phi) * clean + torch.sin(phi) * noise
    (derivative,) = torch.autograd.grad(x.sum(), phi)
    assert float(diffusion.target(clean, noise, step)) == pytest.approx(float(derivative), rel=1e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_loss_is_the_mean_square_against_a_plain_loop(prediction: Prediction) -> None:
    torch.manual_seed(0)
    diffusion = Diffusion(16, prediction)
    clean, noise, step = torch.randn(6, 3), torch.randn(6, 3), torch.randint(16, (6,))

    def network(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return 0.3 * x + time[:, None]

    total = 0.0
    for i in range(6):
        power = float(diffusion.signal_power[step[i]])
        for j in range(3):
            x0, eps = float(clean[i, j]), float(noise[i, j])
            x = math.sqrt(power) * x0 + math.sqrt(1 - power) * eps
            output = 0.3 * x + int(step[i]) / 16
            v = math.sqrt(power) * eps - math.sqrt(1 - power) * x0
            total += (output - {"v": v, "epsilon": eps, "sample": x0}[prediction]) ** 2
    assert float(diffusion.loss(network, clean, noise, step)) == pytest.approx(total / 18, rel=1e-5)
