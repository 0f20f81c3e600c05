"""A judge trained on the family: a small network whose inner features Frechet and kernel distances are measured in.

For velocity maps it learns what matters to a wave: by depth, how fast the medium is, how much and how sharply it
reflects, how it varies sideways (`velocity_summaries`). For gathers it learns to invert: from the gather to a coarse
velocity map. Only real training samples are used, so that the judge owes nothing to the generator that it judges (a
generator's own encoder would be blind to just what its decoder never learned to make). The features are the 64 numbers
before the last linear layer.

Training is a plain loop on the CPU with random numbers of its own: the same samples and settings give the same judge.
"""

import hashlib
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.metrics.features import FamilyEncoderFeatures

N_FEATURES = 64
DEPTH_BINS = 10
N_TIME = 250  # time samples that a gather is reduced to: 125 Hz, twice what OpenFWI's 15 Hz wavelet holds
COARSE = 10  # cells of the coarse map on a side
EDGE_M_S = 60.0  # a difference of vertical neighbours that counts as an edge in full


class JudgeTraining(NamedTuple):
    """How a judge is trained.

    Attributes:
        n_steps: Optimiser steps.
        batch_size: Samples a step.
        learning_rate: Peak rate of AdamW; rises over a tenth of the steps and falls to zero along a cosine.
        noise: Standard deviation of noise that is added to the normalised samples, so that the judge goes by what it
            sees and not by a hiss that nobody sees.
        max_epochs: Fewer steps where these would go more often through the samples, which it would learn by heart.
        seed: Of the starting weights, the order of the samples and the noise.
    """

    n_steps: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    noise: float = 0.0
    max_epochs: int = 30
    seed: int = 20250101


VELOCITY_TRAINING = JudgeTraining(n_steps=1000)
"""30 CPU-s. On the validation maps of FlatVel-A its features explain .89 of the summaries (400 steps: .83)."""
SEISMIC_TRAINING = JudgeTraining(n_steps=500, batch_size=32, noise=0.03)
"""30 CPU-s. The noise raised what the features explain of the validation pairs' coarse maps from .877 to .883
(at 600 steps)."""


class VelocityJudge(nn.Module):
    """Normalised maps `(batch, 1, 70, 70)` to `(batch, 64)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_block(1, 16, (3, 3), (2, 2)), *_block(16, 32, (3, 3), (2, 2)), *_block(32, 64, (3, 3), (2, 2)),
            nn.Conv2d(64, 16, 1), nn.Flatten(), nn.Linear(16 * 9 * 9, N_FEATURES),
        )  # fmt: skip

    def forward(self, samples: Tensor) -> Tensor:
        """Return the features."""
        return cast(Tensor, self.layers(samples))


class SeismicJudge(nn.Module):
    """Log-normalised gathers `(batch, 5, time, 70)` to `(batch, 64)`; time is brought to 250 samples first."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_block(5, 24, (7, 5), (4, 2)), *_block(24, 32, (5, 3), (2, 2)), *_block(32, 64, (5, 3), (2, 2)),
            *_block(64, 64, (3, 3), (2, 2)), nn.AdaptiveAvgPool2d((8, 5)), nn.Flatten(),
            nn.Linear(64 * 8 * 5, N_FEATURES),
        )  # fmt: skip

    def forward(self, samples: Tensor) -> Tensor:
        """Return the features."""
        return cast(Tensor, self.layers(at_judges_rate(samples)))


def at_judges_rate(gathers: Tensor) -> Tensor:
    """Gathers `(batch, shot, time, receiver)` with time brought to `N_TIME` samples; no copy where it has them."""
    n_time = gathers.shape[2]
    if n_time == N_TIME:
        return gathers
    if n_time % N_TIME == 0:
        return gathers[:, :, :: n_time // N_TIME]
    return F.interpolate(gathers, size=(N_TIME, gathers.shape[3]), mode="bilinear", align_corners=True)


def velocity_summaries(velocity_m_s: Tensor) -> Tensor:
    """What matters to a wave in maps `(batch, 70, 70)`, m/s, by ten bins of depth: `(batch, 50)`.

    The mean slowness (s/km); the reflection strength, the mean |d ln v / dz|; the share of edges among the vertical
    steps; the squared strength, which a sharp edge scores and a smeared one does not; the mean |d ln v / dx|.
    """
    log_v = velocity_m_s.clamp_min(100.0).log()
    down = (log_v[:, 1:] - log_v[:, :-1]).abs()
    edge = ((velocity_m_s[:, 1:] - velocity_m_s[:, :-1]).abs() / EDGE_M_S).clamp(max=1.0)
    sideways = (log_v[:, :, 1:] - log_v[:, :, :-1]).abs()
    fields = (1000.0 / velocity_m_s.clamp_min(100.0), down, edge, down.square(), sideways)
    return torch.cat([F.adaptive_avg_pool2d(field[:, None], (DEPTH_BINS, 1)).flatten(1) for field in fields], dim=1)


def coarse_maps(velocity: Tensor) -> Tensor:
    """What a gather's judge learns to tell: maps `(batch, 70, 70)` averaged to `(batch, 100)`."""
    return F.adaptive_avg_pool2d(velocity[:, None], COARSE).flatten(1)


@torch.inference_mode(False)  # Lightning evaluates in inference mode, whose tensors cannot be trained
def train_judge(
    architecture: type[nn.Module], samples: Tensor, targets: Tensor, training: JudgeTraining, name: str
) -> FamilyEncoderFeatures:
    """Train an encoder of this file, with a linear head, to regress targets, and freeze it.

    Args:
        architecture: `VelocityJudge` or `SeismicJudge`.
        samples: Normalised training samples `(n, ...)`, on the CPU.
        targets: `(n, d)`; standardised here.
        training: How.
        name: What captions call it.

    Returns:
        The frozen features, standardised over the training samples, so that each has the same say.
    """
    generator = torch.Generator().manual_seed(training.seed)
    with torch.random.fork_rng(devices=[]):  # torch draws weights, which are then drawn anew, from the global stream
        encoder, head = architecture(), nn.Linear(N_FEATURES, targets.shape[1])
    _start_weights(nn.ModuleList([encoder, head]), generator)
    spread = targets.std(0)
    spread = torch.where(spread > 1e-6 * spread.max(), spread, 1.0)
    wanted = (targets - targets.mean(0)) / spread
    encoder.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # twice as fast on a CPU
    weights = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=1e-2)
    size = min(training.batch_size, len(samples))
    n_steps = min(training.n_steps, training.max_epochs * (len(samples) // size))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=n_steps, pct_start=0.1, cycle_momentum=False
    )
    order = torch.zeros(0, dtype=torch.int64)
    with torch.enable_grad():
        for _ in range(n_steps):
            if len(order) < size:
                order = torch.randperm(len(samples), generator=generator)
            rows, order = order[:size], order[size:]
            noisy = samples[rows]
            if training.noise:
                noisy = noisy + training.noise * torch.randn(noisy.shape, generator=generator)
            loss: Any = F.smooth_l1_loss(head(F.gelu(encoder(noisy))), wanted[rows], beta=0.5)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
    return FamilyEncoderFeatures(StandardisedFeatures.fit(encoder, samples), N_FEATURES, name)


class StandardisedFeatures(nn.Module):
    """An encoder whose features have mean zero and unit spread over the training samples.

    Args:
        encoder: Samples to features.
        n_features: How many.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, encoder: nn.Module, n_features: int = N_FEATURES) -> None:
        super().__init__()
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))

    @classmethod
    @torch.no_grad()
    def fit(cls, encoder: nn.Module, samples: Tensor) -> "StandardisedFeatures":
        """Take mean and spread from training samples."""
        encoder.eval()
        features = torch.cat([encoder(block) for block in torch.split(samples, 128)])
        made = cls(encoder, features.shape[1])
        made.mean.copy_(features.mean(0))
        made.spread.copy_(features.std(0).clamp_min(1e-6))
        return made

    def forward(self, samples: Tensor) -> Tensor:
        """Return standardised features `(batch, n_features)`."""
        return cast(Tensor, (self.encoder(samples) - self.mean) / self.spread)


def recipe_digest(architecture: type[nn.Module], samples: Tensor, targets: Tensor, training: JudgeTraining) -> str:
    """First twelve digits of the SHA-256 of all that a judge depends on: samples, targets, settings, layers."""
    with torch.device("meta"):
        layers = str(architecture())
    sha = hashlib.sha256(repr((training, layers, tuple(samples.shape))).encode())
    for block in (*torch.split(samples, 64), targets):
        sha.update(block.contiguous().numpy().data)
    return sha.hexdigest()[:12]


def _block(n_in: int, n_out: int, kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[nn.Module, ...]:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return (
        nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(n_out),
        nn.GELU(),
    )


@torch.no_grad()
def _start_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights from a generator of our own: a measurement must not shift the global random numbers."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            size = layer.weight[0].numel()
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * (2.0 / size) ** 0.5)
            if layer.bias is not None:
                layer.bias.zero_()
