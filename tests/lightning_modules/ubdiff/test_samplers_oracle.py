"""Samplers against diffusers' schedulers, trajectory by trajectory.

Both sides get the same schedule, starting noise, noise of each step and network. diffusers keeps its schedule in
float32, in which 1 - alpha_bar has lost four digits at the first steps; it is handed ours in float64.

What cannot coincide, and is left out: where the solver's steps lie (diffusers knows no spacing by the cosine), so it is
given our steps, which `DDIMScheduler` refuses, as it goes on by a fixed stride alone; its clipping of x_0 to -1..1,
which standardised latents must not have and is switched off; and its start of the chain at steps other than T - 1.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.ubdiff.diffusion import Diffusion, Prediction, cosine_signal_power
from lightning_modules.ubdiff.samplers import Denoise, ddim_sample, ddpm_sample, dpm_solver_2m_sample, solver_steps

diffusers = pytest.importorskip(
    "diffusers", reason="diffusers is not installed: the samplers are not compared with its schedulers"
)

T = 256
BOUND = 1e-5  # our amplitudes are float32, and so are the sigmas of diffusers' DPM-Solver
NAMES: dict[Prediction, str] = {"v": "v_prediction", "epsilon": "epsilon", "sample": "sample"}
PREDICTIONS: tuple[Prediction, ...] = ("v", "epsilon", "sample")
MEAN = torch.tensor([0.8, -1.5, 0.0, 2.0], dtype=torch.float64)


def guess(x: Tensor, step: int) -> Tensor:
    """A smooth x_0 that is not linear in x, which no order of a method can be exact on."""
    power = cosine_signal_power(T)[step]
    return MEAN + power.sqrt() * torch.sin(x - MEAN) + 0.3 * torch.cos(2.0 * x.roll(1, -1)) * (1.0 - power)


def network(prediction: Prediction) -> Callable[[Tensor, Tensor], Tensor]:
    """The network whose prediction means `guess`, taking time in 0..1."""

    def predict(x: Tensor, time: Tensor) -> Tensor:
        step = round(float(time[0]) * T)
        power, clean = cosine_signal_power(T)[step], guess(x, step)
        epsilon = (x - power.sqrt() * clean) / (1.0 - power).sqrt()
        if prediction == "v":
            return power.sqrt() * epsilon - (1.0 - power).sqrt() * clean
        return epsilon if prediction == "epsilon" else clean

    return predict


def recorded(prediction: Prediction) -> tuple[Denoise, list[Tensor]]:
    """Our denoiser, and the list of all x_t that it is shown."""
    diffusion, seen = Diffusion(T, prediction), list[Tensor]()

    def denoise(x: Tensor, step: int) -> Tensor:
        seen.append(x)
        return diffusion.predict_sample(network(prediction), x, torch.full((len(x),), step))

    return denoise, seen


def their_trajectory(scheduler: Any, prediction: Prediction, noise: Tensor, **more: Any) -> list[Tensor]:
    """Every x_t of a scheduler whose timesteps are set, and its x_0."""
    trajectory = [noise]
    for step in scheduler.timesteps:
        x = trajectory[-1]
        output = network(prediction)(x, torch.full((len(x),), int(step)) / T)
        trajectory.append(scheduler.step(output, step, x, **more).prev_sample)
    return trajectory


def ours_in_float64(scheduler: Any) -> Any:
    scheduler.alphas_cumprod = cosine_signal_power(T)
    return scheduler


def start() -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def largest_difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    assert len(ours) == len(theirs)
    return max(float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True))


def common(prediction: Prediction = "v") -> dict[str, object]:
    power = cosine_signal_power(T)
    betas = 1.0 - power / torch.cat((torch.ones(1, dtype=torch.float64), power[:-1]))
    return {"num_train_timesteps": T, "trained_betas": betas.numpy(), "prediction_type": NAMES[prediction]}


def test_the_schedule_is_the_squared_cosine() -> None:
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=T, beta_schedule="squaredcos_cap_v2")
    torch.testing.assert_close(scheduler.alphas_cumprod.double(), cosine_signal_power(T), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_ddpm_takes_the_same_way(prediction: Prediction) -> None:
    noise, shape = start(), (6, 4)
    scheduler = ours_in_float64(
        diffusers.DDPMScheduler(**common(prediction), variance_type="fixed_small", clip_sample=False)
    )
    scheduler.set_timesteps(T)
    theirs = their_trajectory(scheduler, prediction, noise, generator=torch.Generator().manual_seed(9))
    denoise, seen = recorded(prediction)
    draws = torch.Generator().manual_seed(9)
    clean = ddpm_sample(
        noise, denoise, cosine_signal_power(T), lambda: torch.randn(shape, generator=draws, dtype=torch.float64)
    )
    assert largest_difference([*seen, clean], theirs) < BOUND


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_ddim_takes_the_same_way(spacing: str) -> None:
    noise = start()
    scheduler = ours_in_float64(
        diffusers.DDIMScheduler(**common(), clip_sample=False, set_alpha_to_one=True, timestep_spacing=spacing)
    )
    scheduler.set_timesteps(16)
    theirs = their_trajectory(scheduler, "v", noise, eta=0.0)
    denoise, seen = recorded("v")
    clean = ddim_sample(noise, denoise, cosine_signal_power(T), scheduler.timesteps.tolist())
    assert largest_difference([*seen, clean], theirs) < BOUND


# diffusers' own call of numpy.array on a tensor.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize(("solve", "order"), [(dpm_solver_2m_sample, 2), (ddim_sample, 1)])
@pytest.mark.parametrize("n_steps", [8, 20, 100])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_dpm_solver_takes_the_same_way_over_our_steps(
    solve: Callable[[Tensor, Denoise, Tensor, list[int]], Tensor], order: int, n_steps: int, prediction: Prediction
) -> None:
    """At order 1 DPM-Solver++ is DDIM, so that this holds DDIM on our unevenly spaced steps as well."""
    noise, power = start(), cosine_signal_power(T)
    steps = solver_steps(power, n_steps)
    scheduler = ours_in_float64(
        diffusers.DPMSolverMultistepScheduler(
            **common(prediction),
            algorithm_type="dpmsolver++",
            solver_order=order,
            solver_type="midpoint",
            final_sigmas_type="zero",
        )
    )
    scheduler.set_timesteps(timesteps=steps)
    theirs = their_trajectory(scheduler, prediction, noise)
    denoise, seen = recorded(prediction)
    clean = solve(noise, denoise, power, steps)
    assert largest_difference([*seen, clean], theirs) < BOUND
