"""InversionNet: a gather of five shots in, a velocity map out.

Wu and Lin 2019 (InversionNet, IEEE Trans. Comput. Imaging 6), in the form of OpenFWI's benchmark (Deng et al. 2022,
appendix): convolutions over time alone until time and distance are about as long, square ones down to a single cell,
transposed ones up to 80 x 80, of which the middle 70 x 70 are the map. Every convolution is followed by a batch
norm and a leaky ReLU, the last by tanh. 24.41 M parameters at full width and 1,000 time samples.

Deviations, none of which touches the published size or, with the default settings at 1,000 samples, the function: a
gather that keeps every k-th time sample goes through as many time-only stages fewer, so that what follows sees the
extent it was made for; small amplitudes may be amplified first (`input_gain`), for short trainings; and the batch norm
is that of the global batch (`synchronised_norm`).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.inversion.synchronised_norm import SynchronisedBatchNorm2d

N_SHOTS, N_RECEIVERS = 5, 70
WIDTHS = (32, 64, 128, 256, 512)
"""Channels from the finest to the coarsest scale, as published."""
LONGEST_SQUARE_TIME = 64
"""Time samples that are left for the square convolutions: 63 of 1,000 as published."""
ZERO_LEVEL = -0.09
"""Where amplitude zero comes to lie in OpenFWI's normalisation: between -0.088 and -0.093 in all ten families."""
_CROP = 5
_SLOPE = 0.2


def halved(length: int) -> int:
    """Length after a convolution with stride 2 and an odd kernel, padded by half of it."""
    return -(-length // 2)


def n_time_stages(n_time: int) -> int:
    """Number of stages that halve time alone: 4 for 1,000 samples as published, 3 for 500, 2 for 250, at least 1."""
    stages, n_time = 1, halved(n_time)
    while n_time > LONGEST_SQUARE_TIME:
        stages, n_time = stages + 1, halved(n_time)
    return stages


class InversionNet(nn.Module):
    """Map log-normalised gathers to normalised velocity maps.

    Args:
        n_time: Time samples of a gather.
        width: Factor on all of the published channel numbers.
        keep_every: Of the time samples the network sees every so-manieth, the first included: a 15 Hz wavelet bears
            8 ms, and what is not looked at costs nothing.
        input_gain: Gain at amplitude zero of an inverse hyperbolic sine through which the gathers go first, so that
            reflections weigh more beside the direct wave and are learned sooner; 0 for none, as published.

    Raises:
        ModuleError: If `n_time`, `width` or `keep_every` is not positive, or `input_gain` is negative.
    """

    def __init__(self, n_time: int = 1000, width: float = 1.0, keep_every: int = 1, input_gain: float = 0.0) -> None:
        super().__init__()
        if n_time < 1:
            raise ModuleError(f"n_time: got {n_time}; give the number of time samples of a gather, at least 1.")
        if not 0.0 < width <= 16.0:
            raise ModuleError(f"width: got {width}; give a factor above 0, where 1 is the published network.")
        if not 1 <= keep_every <= n_time:
            raise ModuleError(f"keep_every: got {keep_every}; give a whole number of 1 to n_time = {n_time}.")
        if not 0.0 <= input_gain < float("inf"):
            raise ModuleError(f"input_gain: got {input_gain}; give a number of at least 0, where 0 is no gain.")
        self.n_time, self.keep_every, self.input_gain = n_time, keep_every, input_gain
        n_time = -(-n_time // keep_every)
        w1, w2, w3, w4, w5 = (max(1, round(width * channels)) for channels in WIDTHS)
        stages = n_time_stages(n_time)
        time_widths = [w1] if stages == 1 else [w1, *[w2] * (stages - 2), w3]
        layers: list[nn.Module] = [*_convolution(N_SHOTS, w1, (7, 1), (2, 1))]
        for width_in, width_out in pairwise(time_widths):
            layers += [*_convolution(width_in, width_out, (3, 1), (2, 1)), *_convolution(width_out, width_out, (3, 1))]
        for width_in, width_out in pairwise((time_widths[-1], w3, w4, w4)):
            layers += [*_convolution(width_in, width_out, (3, 3), (2, 2)), *_convolution(width_out, width_out)]
        time_left, distance_left = n_time, N_RECEIVERS
        for _ in range(stages):
            time_left = halved(time_left)
        for _ in range(3):
            time_left, distance_left = halved(time_left), halved(distance_left)
        layers += _convolution(w4, w5, (time_left, distance_left), padding=(0, 0))
        self.encoder = nn.Sequential(*layers)
        layers = [*_transposed(w5, w5, 5, 1, 0), *_convolution(w5, w5)]
        for width_in, width_out in pairwise((w5, w4, w3, w2, w1)):
            layers += [*_transposed(width_in, width_out, 4, 2, 1), *_convolution(width_out, width_out)]
        layers += [nn.Conv2d(w1, 1, 3, padding=1), SynchronisedBatchNorm2d(1), nn.Tanh()]
        self.decoder = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # known to torch, not to its types

    def forward(self, seismic: Tensor) -> Tensor:
        """Invert gathers.

        Args:
            seismic: Log-normalised to about -1 to 1, `(batch, 5, n_time, 70)`.

        Returns:
            Velocity in -1..1, `(batch, 1, 70, 70)`.

        Raises:
            ModuleError: If the gathers have another shape than the network was built for.
        """
        if seismic.shape[1:] != (N_SHOTS, self.n_time, N_RECEIVERS):
            raise ModuleError(
                f"n_time: got gathers {tuple(seismic.shape[1:])} of (shot, time, receiver), the network was built for "
                f"({N_SHOTS}, {self.n_time}, {N_RECEIVERS}); give data.time_stride and model.n_time that fit."
            )
        # Channels last: half of the time on a CPU, where small convolutions and norms are bound by memory.
        seismic = seismic[:, :, :: self.keep_every].contiguous(memory_format=torch.channels_last)
        if self.input_gain:
            seismic = torch.asinh(self.input_gain * (seismic - ZERO_LEVEL))
        maps: Tensor = self.decoder(self.encoder(seismic))
        return maps[..., _CROP:-_CROP, _CROP:-_CROP].contiguous()


def _convolution(
    width_in: int,
    width_out: int,
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] | None = None,
) -> list[nn.Module]:
    if padding is None:
        padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(width_in, width_out, kernel, stride, padding)
    return [convolution, SynchronisedBatchNorm2d(width_out), nn.LeakyReLU(_SLOPE, inplace=True)]


def _transposed(width_in: int, width_out: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(width_in, width_out, kernel, stride, padding)
    return [convolution, SynchronisedBatchNorm2d(width_out), nn.LeakyReLU(_SLOPE, inplace=True)]
