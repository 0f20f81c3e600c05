"""Three ways from noise to a sample: ancestral DDPM, and the fast DDIM and DPM-Solver++(2M).

All are pure functions of a starting noise and a denoiser, so that a closed form can stand in for the network in tests.
DDPM takes each of the T steps and draws noise at each (Ho et al. 2020, arXiv 2006.11239, Eqs. 6-7). The others
integrate the probability-flow equation deterministically in a small number of steps: DDIM (Song et al. 2021,
arXiv 2010.02502, Eq. 12 without noise) by a method of first order, DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095,
Algorithm 2) by a two-step method of second order.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Denoise = Callable[[Tensor, int], Tensor]
"""Estimate of x_0 from x_t `(batch, dim)` at step t."""


def ddpm_sample(noise: Tensor, denoise: Denoise, signal_power: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    """Sample by the ancestral chain over all T steps.

    Args:
        noise: x_T, standard normal, `(batch, dim)`.
        denoise: Estimate of x_0 from x_t at step t.
        signal_power: alpha_bar, float64 `(T,)`.
        draw: Gives fresh standard normal noise of the same shape at each call.

    Returns:
        x_0, `(batch, dim)`.
    """
    x = noise
    powers = [float(power) for power in signal_power]
    for step in reversed(range(len(powers))):
        clean = denoise(x, step)
        if step == 0:
            return clean
        power, power_next = powers[step], powers[step - 1]
        beta = 1.0 - power / power_next
        # Mean and variance of q(x_{t-1} | x_t, x_0).
        mean = (power_next**0.5 * beta * clean + (power / power_next) ** 0.5 * (1.0 - power_next) * x) / (1.0 - power)
        x = mean + (beta * (1.0 - power_next) / (1.0 - power)) ** 0.5 * draw()
    return x


def solver_steps(signal_power: Tensor, n_steps: int) -> list[int]:
    """Choose the solver's steps from T - 1 down to 0, evenly in lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)).

    The solver's own variable (Lu et al. 2022, Section 5). The cosine schedule goes much further into pure noise than
    into pure signal, where nothing is decided any more: there lambda begins at minus its last value. 20 steps make the
    spread of Gaussians of .05 to 3 times unit size at most 4 % too narrow and 2 % too wide, and of what a network has
    learned keep more than steps spaced evenly in time (by far) or by its cosine do.

    Args:
        signal_power: alpha_bar, float64 `(T,)`.
        n_steps: How many, at most T.

    Returns:
        Falling, distinct steps; the first is T - 1 and the last, unless it is the first, 0.
    """
    half_log_snr = 0.5 * (signal_power.log() - (1.0 - signal_power).log())
    first, last = float(half_log_snr[-1]), float(half_log_snr[0])
    wanted = torch.linspace(max(first, -last), last, n_steps, dtype=torch.float64)
    steps = [int((half_log_snr - value).abs().argmin()) for value in wanted]
    steps[0] = len(signal_power) - 1
    # Steps that fall together near the ends move apart.
    for i in range(1, n_steps):
        steps[i] = min(steps[i], steps[i - 1] - 1)
    if n_steps > 1:
        steps[-1] = 0
    for i in reversed(range(n_steps - 1)):
        steps[i] = max(steps[i], steps[i + 1] + 1)
    return steps


def ddim_sample(noise: Tensor, denoise: Denoise, signal_power: Tensor, steps: list[int]) -> Tensor:
    """Sample by deterministic DDIM, one call of the denoiser a step.

    Each update keeps the noise that the denoiser sees and goes on with less of it,

        x' = alpha' x_0 + sigma' epsilon,   epsilon = (x - alpha x_0) / sigma

    with alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar); the last goes to sigma = 0, where x' = x_0.

    Args:
        noise: x_T, standard normal, `(batch, dim)`.
        denoise: Estimate of x_0 from x_t at step t.
        signal_power: alpha_bar, float64 `(T,)`.
        steps: Falling steps, see `solver_steps`.

    Returns:
        x_0, `(batch, dim)`.
    """
    powers = [float(signal_power[step]) for step in steps]
    x = noise
    for power, power_next, step in zip(powers, powers[1:], steps, strict=False):
        clean = denoise(x, step)
        epsilon = (x - power**0.5 * clean) / (1.0 - power) ** 0.5
        x = power_next**0.5 * clean + (1.0 - power_next) ** 0.5 * epsilon
    return denoise(x, steps[-1])


def dpm_solver_2m_sample(noise: Tensor, denoise: Denoise, signal_power: Tensor, steps: list[int]) -> Tensor:
    """Sample by DPM-Solver++(2M), one call of the denoiser a step.

    With lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)) and h the step in lambda, each update is

        x' = (sigma' / sigma) x - alpha' (exp(-h) - 1) D,   D = (1 + 1/(2r)) x_0 - 1/(2r) x_0_before,   r = h_before / h

    and the last goes to sigma = 0, where it reduces to x' = x_0.

    Args:
        noise: x_T, standard normal, `(batch, dim)`.
        denoise: Estimate of x_0 from x_t at step t.
        signal_power: alpha_bar, float64 `(T,)`.
        steps: Falling steps, see `solver_steps`.

    Returns:
        x_0, `(batch, dim)`.
    """
    chosen = signal_power[steps].cpu()
    signal, spread = chosen.sqrt(), (1.0 - chosen).sqrt()
    half_log_snr = signal.log() - spread.log()
    x = noise
    clean_before: Tensor | None = None
    for i, step in enumerate(steps):
        clean = denoise(x, step)
        if i == len(steps) - 1:
            return clean
        h = half_log_snr[i + 1] - half_log_snr[i]
        direction = clean
        if clean_before is not None:
            ratio = float((half_log_snr[i] - half_log_snr[i - 1]) / h)
            direction = clean + (clean - clean_before) / (2.0 * ratio)
        x = float(spread[i + 1] / spread[i]) * x - float(signal[i + 1] * torch.expm1(-h)) * direction
        clean_before = clean
    return x
