"""Samplers against closed forms: with a Gaussian target the perfect denoiser and the exact answer are known."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff.diffusion import cosine_signal_power
from lightning_modules.ubdiff.samplers import Denoise, ddim_sample, ddpm_sample, dpm_solver_2m_sample, solver_steps

Solver = Callable[[Tensor, Denoise, Tensor, list[int]], Tensor]
MEAN = torch.tensor([0.8, -1.5, 0.0], dtype=torch.float64)
SPREAD = torch.tensor([0.5, 1.2, 0.1], dtype=torch.float64)


def perfect_denoiser(x: Tensor, power: Tensor) -> Tensor:
    """E[x_0 | x_t] for x_0 ~ N(MEAN, SPREAD^2)."""
    gain = power.sqrt() * SPREAD**2 / (power * SPREAD**2 + 1 - power)
    return MEAN + gain * (x - power.sqrt() * MEAN)


def flow(x: Tensor, power_from: Tensor, power_to: Tensor) -> Tensor:
    """Exact probability-flow solution: the standardised position never changes."""
    spread_from = (power_from * SPREAD**2 + 1 - power_from).sqrt()
    spread_to = (power_to * SPREAD**2 + 1 - power_to).sqrt()
    return power_to.sqrt() * MEAN + spread_to / spread_from * (x - power_from.sqrt() * MEAN)


def test_ddpm_draws_the_gaussian() -> None:
    torch.manual_seed(0)
    power = cosine_signal_power(256)
    noise = torch.randn(20000, 3, dtype=torch.float64)
    sample = ddpm_sample(
        noise, lambda x, step: perfect_denoiser(x, power[step]), power, lambda: torch.randn_like(noise)
    )
    assert torch.allclose(sample.mean(0), MEAN, atol=0.03)
    # The posterior's variance is the smaller of the two that Ho et al. allow: with T = 256 a spread a little too small.
    assert torch.allclose(sample.std(0), SPREAD, rtol=0.08)
    assert (sample.std(0) < SPREAD).all()
    off_diagonal = torch.corrcoef(sample.T) - torch.eye(3, dtype=torch.float64)
    assert off_diagonal.abs().max() < 0.03


def test_ddpm_step_is_bayes_rule_on_a_grid() -> None:
    # A second, naive implementation: multiply q(x_t | x_{t-1}) and q(x_{t-1} | x_0) on a grid and take moments.
    power = cosine_signal_power(16)[7:9]
    x, clean = 0.4, -0.9
    grid = torch.linspace(-6, 6, 200001, dtype=torch.float64)
    keep = power[1] / power[0]
    log_density = -((x - keep.sqrt() * grid) ** 2) / (2 * (1 - keep))
    log_density = log_density - (grid - power[0].sqrt() * clean) ** 2 / (2 * (1 - power[0]))
    weight = torch.softmax(log_density, 0)
    mean = (weight * grid).sum()
    spread = (weight * (grid - mean) ** 2).sum().sqrt()

    def one_step(draw: float) -> float:
        start = torch.tensor([[x]], dtype=torch.float64)
        seen: list[Tensor] = []

        def denoise(at: Tensor, step: int) -> Tensor:
            seen.append(at)
            return torch.full_like(at, clean)

        ddpm_sample(start, denoise, power, lambda: torch.full_like(start, draw))
        return float(seen[1])

    assert one_step(0.0) == pytest.approx(float(mean), abs=1e-8)
    assert one_step(1.0) - one_step(0.0) == pytest.approx(float(spread), abs=1e-8)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 20, 50, 255, 256])
def test_solver_steps_fall_from_the_last_step(n_steps: int) -> None:
    steps = solver_steps(cosine_signal_power(256), n_steps)
    assert len(steps) == n_steps
    assert steps[0] == 255
    assert n_steps == 1 or steps[-1] == 0
    assert all(a > b for a, b in pairwise(steps))


@pytest.mark.parametrize(("solve", "order", "bound"), [(ddim_sample, 1.0, 2e-2), (dpm_solver_2m_sample, 2.0, 2e-3)])
def test_solvers_reach_the_exact_flow_at_their_order(solve: Solver, order: float, bound: float) -> None:
    # A long schedule, cut where alpha_bar is about 0.999: there the last step's exact answer is the denoiser's.
    torch.manual_seed(0)
    power = cosine_signal_power(8192)[150:-400]
    noise = torch.randn(200, 3, dtype=torch.float64)
    wanted = perfect_denoiser(flow(noise, power[-1], power[0]), power[0])
    errors = []
    for n in (32, 64, 128, 256):
        result = solve(noise, lambda x, step: perfect_denoiser(x, power[step]), power, solver_steps(power, n))
        errors.append(float((result - wanted).abs().max()))
    orders = [torch.log2(torch.tensor(a / b)).item() for a, b in pairwise(errors)]
    assert errors[-1] < bound
    assert orders[-1] == pytest.approx(order, abs=0.3)


def test_ddim_draws_the_gaussian() -> None:
    torch.manual_seed(0)
    power = cosine_signal_power(256)
    noise = torch.randn(20000, 3, dtype=torch.float64)
    steps = solver_steps(power, 100)
    sample = ddim_sample(noise, lambda x, step: perfect_denoiser(x, power[step]), power, steps)
    assert torch.allclose(sample.mean(0), MEAN, atol=0.03)
    assert torch.allclose(sample.std(0), SPREAD, rtol=0.04)


def test_ddim_keeps_a_noise_that_the_denoiser_knows() -> None:
    # With one single possible x_0 every step goes along the straight line to it, and each x_t is known.
    torch.manual_seed(0)
    power = cosine_signal_power(64)
    clean, epsilon = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    start = power[-1].sqrt() * clean + (1 - power[-1]).sqrt() * epsilon

    def denoise(x: Tensor, step: int) -> Tensor:
        assert torch.allclose(x, power[step].sqrt() * clean + (1 - power[step]).sqrt() * epsilon, atol=1e-9)
        return clean

    assert torch.equal(ddim_sample(start, denoise, power, solver_steps(power, 7)), clean)


def test_ddim_is_the_one_step_solver_of_first_order() -> None:
    # DPM-Solver++ without memory (Lu et al. 2022, Eq. 8), in its own variables: the same step by another road.
    power = cosine_signal_power(256)[[200, 90]]
    x, clean = torch.tensor([[0.4]], dtype=torch.float64), torch.tensor([[-0.9]], dtype=torch.float64)
    seen: list[Tensor] = []
    ddim_sample(x, lambda at, step: (seen.append(at), clean)[1], power, [0, 1])
    half_log_snr = 0.5 * (power.log() - (1 - power).log())
    spread = (1 - power).sqrt()
    wanted = spread[1] / spread[0] * x - power[1].sqrt() * torch.expm1(half_log_snr[0] - half_log_snr[1]) * clean
    assert torch.allclose(seen[1], wanted, atol=1e-12)


def test_twenty_solver_steps_draw_the_gaussian() -> None:
    torch.manual_seed(0)
    power = cosine_signal_power(256)
    noise = torch.randn(20000, 3, dtype=torch.float64)
    sample = dpm_solver_2m_sample(
        noise, lambda x, step: perfect_denoiser(x, power[step]), power, solver_steps(power, 20)
    )
    assert torch.allclose(sample.mean(0), MEAN, atol=0.03)
    assert torch.allclose(sample.std(0), SPREAD, rtol=0.04)
