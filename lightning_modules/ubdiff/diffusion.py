"""Gaussian diffusion in discrete time: cosine schedule, forward process, and the three kinds of prediction.

Step t of T runs from 0 (almost clean) to T - 1 (noise). With alpha_bar_t the schedule's signal power,

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon          (Ho et al. 2020, arXiv 2006.11239, Eq. 4)
    v_t = sqrt(alpha_bar_t) epsilon - sqrt(1 - alpha_bar_t) x_0           (Salimans and Ho 2022, arXiv 2202.00512)

The cosine schedule is Nichol and Dhariwal's (2021, arXiv 2102.09672, Eq. 17). UB-Diff uses T = 256 and predicts v.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Prediction = Literal["v", "epsilon", "sample"]
Network = Callable[[Tensor, Tensor], Tensor]


def cosine_signal_power(n_steps: int, offset: float = 0.008, largest_beta: float = 0.999) -> Tensor:
    """Return alpha_bar of the cosine schedule, float64 `(n_steps,)`, falling from almost 1 to almost 0.

    Args:
        n_steps: T.
        offset: Keeps the noise of the first step from vanishing.
        largest_beta: Bound on one step's noise, without which alpha_bar would reach 0 at the last step.
    """
    time = torch.linspace(0.0, 1.0, n_steps + 1, dtype=torch.float64)
    power = torch.cos((time + offset) / (1.0 + offset) * math.pi / 2.0).square()
    beta = (1.0 - power[1:] / power[:-1]).clamp(max=largest_beta)
    return torch.cumprod(1.0 - beta, dim=0)


class Diffusion(nn.Module):
    """The forward process and the algebra around a network's prediction; it holds no weights.

    Args:
        n_steps: T, the number of steps.
        prediction: What the network predicts.
    """

    signal_power: Tensor

    def __init__(self, n_steps: int, prediction: Prediction = "v") -> None:
        super().__init__()
        self.n_steps = n_steps
        self.prediction: Prediction = prediction
        # float64: the samplers take logarithms of 1 - alpha_bar near both ends. Recomputed, so not in checkpoints.
        self.register_buffer("signal_power", cosine_signal_power(n_steps), persistent=False)

    def amplitudes(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """Return the signal and noise amplitudes at steps `(batch,)`, each float32 `(batch, 1)`."""
        power = self.signal_power[step][:, None]
        return power.sqrt().float(), (1.0 - power).sqrt().float()

    def add_noise(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Draw x_t: clean and noise `(batch, dim)` at steps `(batch,)` to `(batch, dim)`."""
        signal, spread = self.amplitudes(step)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Return what the network should predict for this x_0, epsilon and t, `(batch, dim)`."""
        if self.prediction == "sample":
            return clean
        if self.prediction == "epsilon":
            return noise
        signal, spread = self.amplitudes(step)
        return signal * noise - spread * clean

    def to_sample(self, output: Tensor, noisy: Tensor, step: Tensor) -> Tensor:
        """Turn the network's output at x_t into its estimate of x_0, `(batch, dim)`."""
        if self.prediction == "sample":
            return output
        signal, spread = self.amplitudes(step)
        if self.prediction == "epsilon":
            return (noisy - spread * output) / signal
        return signal * noisy - spread * output

    def predict_sample(self, network: Network, noisy: Tensor, step: Tensor) -> Tensor:
        """Ask the network, which takes time as step / T in 0..1, for x_0 at x_t, `(batch, dim)`."""
        return self.to_sample(network(noisy, step / self.n_steps), noisy, step)

    def loss(self, network: Network, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """Return the mean squared error of the network's prediction, a scalar (the paper's simple loss)."""
        output = network(self.add_noise(clean, noise, step), step / self.n_steps)
        return nn.functional.mse_loss(output, self.target(clean, noise, step))
