"""The wave-speed autoencoder: a grid of 32^3 nodes to a latent code z of 3 to 6 numbers, and back (Sections 2.3, 5.1).

Both forms give codes in 0..1, by a sigmoid where the paper's code scales by the smallest and largest code seen: the
code's range is then known before training ends, and no wave speed lies outside it.

- `components`, the default: residual perceptrons between z and coefficients of principal components.
- `convolutional`, the paper's: three convolutions of stride 2 each way, batch norm in between.

Noise on the code in training (`code_noise`) makes neighbouring codes mean neighbouring wave speeds. That is what an
optimiser over z needs, and on the paper's random fields it makes unseen wave speeds better besides.

Beyond the paper, an autoencoder remembers what helps a search afterwards: how the codes of training wave speeds are
spread, and the family's clipped components, in which a tomography goes on where the code ends.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.clipped_components import ClippedComponents
from lightning_modules.harpa.principal_components import PrincipalComponents
from lightning_modules.harpa.tangents import carried_forward, perceptron

GRID_SHAPE = (32, 32, 32)
N_CLIPPED = 22
AutoencoderKind = Literal["components", "convolutional"]


class WaveSpeedAutoencoder(nn.Module):
    """Wave speeds to latent codes and back.

    Args:
        n_latent: Length of the code.
        kind: `components` or `convolutional`.
        width: `components`: units of the residual blocks; `convolutional`: channels of the finest level.
        depth: `components`: residual blocks each way.
        n_components: `components`: principal components.
        code_noise: Standard deviation of the noise on the code in training, in units of the code's range.
        speed_range_km_s: Slowest and fastest wave speed; decoded ones stay within.

    Attributes:
        clipped: The family's clipped components, empty before they are fitted.
        code_mean: `(n_latent,)`, of the codes of training wave speeds; the middle of the range before `remember`.
        code_sd: `(n_latent,)`, their standard deviation; a quarter of the range before `remember`.

    Raises:
        ModuleError: If a setting is impossible.
    """

    code_mean: Tensor
    code_sd: Tensor

    def __init__(
        self,
        n_latent: int = 6,
        kind: AutoencoderKind = "components",
        width: int = 192,
        depth: int = 2,
        n_components: int = 64,
        code_noise: float = 0.025,
        speed_range_km_s: tuple[float, float] = (5.0, 25.0),
    ) -> None:
        super().__init__()
        for name, value in {"latent_dim": n_latent, "autoencoder_width": width, "autoencoder_depth": depth}.items():
            if value < 1:
                raise ModuleError(f"{name}: got {value}; give a whole number of at least 1.")
        if kind not in ("components", "convolutional"):
            raise ModuleError(f"autoencoder: got {kind!r}; give 'components' or 'convolutional'.")
        if not 0.0 <= code_noise < 1.0:
            raise ModuleError(f"code_noise: got {code_noise}; give a number of at least 0 and below 1.")
        slowest, fastest = speed_range_km_s
        if not 0.0 < slowest < fastest:
            raise ModuleError(f"speed_range_km_s: got {tuple(speed_range_km_s)}; give two rising numbers above 0.")
        self.n_latent, self.code_noise = n_latent, code_noise
        self.slowest_km_s, self.fastest_km_s = slowest, fastest
        self.components = PrincipalComponents(GRID_SHAPE, n_components) if kind == "components" else None
        if self.components is not None:
            self.encoder: nn.Module = perceptron(n_components, width, depth, n_latent)
            self.decoder: nn.Module = perceptron(n_latent, width, depth, n_components)
        else:
            self.encoder, self.decoder = _convolutions(width, n_latent), _transposed_convolutions(width, n_latent)
        self.clipped = ClippedComponents(GRID_SHAPE, N_CLIPPED, slowest, fastest)
        self.register_buffer("code_mean", torch.full((n_latent,), 0.5))
        self.register_buffer("code_sd", torch.full((n_latent,), 0.25))

    @torch.no_grad()
    def remember(self, features: Tensor) -> None:
        """Note how codes are spread, from the features of many wave speeds."""
        was_training = self.training
        self.eval()
        codes = self.code(features)
        self.train(was_training)
        self.code_mean.copy_(codes.mean(dim=0))
        self.code_sd.copy_(codes.std(dim=0))

    # -- what is trained lies between a wave speed's features and its code

    def features(self, wave_speed_km_s: Tensor) -> Tensor:
        """What the encoder sees of wave speeds `(batch, 32, 32, 32)`: coefficients, or the grid scaled to 0..1."""
        if self.components is not None:
            return self.components.coefficients(wave_speed_km_s)
        return ((wave_speed_km_s - self.slowest_km_s) / (self.fastest_km_s - self.slowest_km_s)).unsqueeze(1)

    def code(self, features: Tensor, noise: Tensor | None = None) -> Tensor:
        """Latent codes `(batch, n_latent)` in 0..1, and in training with noise.

        Args:
            features: As `features` gives them.
            noise: Standard normal `(batch, n_latent)`, for training; its size is `code_noise`.
        """
        code = torch.sigmoid(self.encoder(features))
        return code if noise is None else code + self.code_noise * noise

    def features_of(self, latent: Tensor) -> Tensor:
        """Features of latent codes `(batch, n_latent)`."""
        features: Tensor = self.decoder(2.0 * latent - 1.0)
        return features

    def features_and_tangents(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of latent codes `(..., n_latent)` and their derivatives `(..., n_latent, n_components)`."""
        assert isinstance(self.decoder, nn.Sequential)
        tangents = 2.0 * torch.eye(self.n_latent, dtype=latent.dtype, device=latent.device)
        return carried_forward(self.decoder, 2.0 * latent - 1.0, tangents)

    def mean_square_error(self, features: Tensor, truth: Tensor) -> Tensor:
        """Mean square difference over a grid's nodes `(batch,)`, km^2/s^2, between two wave speeds' features.

        With components it leaves out what none of them can express, a constant, and the decoder's final clipping.
        """
        if self.components is not None:
            return self.components.mean_square(features - truth)
        scale = self.fastest_km_s - self.slowest_km_s
        return scale**2 * (features - truth).square().flatten(1).mean(dim=1)

    def speeds(self, features: Tensor) -> Tensor:
        """Wave speeds `(batch, 32, 32, 32)` km/s of features."""
        if self.components is not None:
            speeds = self.components.grids(features)
        else:
            speeds = self.slowest_km_s + (self.fastest_km_s - self.slowest_km_s) * features.squeeze(1)
        return speeds.clamp(self.slowest_km_s, self.fastest_km_s)

    # -- the autoencoder as others use it, for any leading shape

    def encode(self, wave_speed_km_s: Tensor) -> Tensor:
        """Latent codes `(..., n_latent)` of wave speeds `(..., 32, 32, 32)` km/s."""
        batch = wave_speed_km_s.reshape(-1, *GRID_SHAPE)
        return self.code(self.features(batch)).reshape(*wave_speed_km_s.shape[:-3], self.n_latent)

    def decode(self, latent: Tensor) -> Tensor:
        """Wave speeds `(..., 32, 32, 32)` km/s of latent codes `(..., n_latent)`."""
        batch = latent.reshape(-1, self.n_latent)
        return self.speeds(self.features_of(batch)).reshape(*latent.shape[:-1], *GRID_SHAPE)

    def forward(self, wave_speed_km_s: Tensor) -> Tensor:
        """Wave speeds `(..., 32, 32, 32)` as the latent code remembers them."""
        return self.decode(self.encode(wave_speed_km_s))


def _convolutions(width: int, n_latent: int) -> nn.Sequential:
    """32^3 -> 16^3 -> 8^3 -> 4^3 -> code, as in Section 5.1."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv3d(n_in, n_out, 3, stride=2, padding=1), nn.BatchNorm3d(n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 4**3, n_latent), nn.BatchNorm1d(n_latent))


def _transposed_convolutions(width: int, n_latent: int) -> nn.Sequential:
    """The mirror image, ending in a sigmoid."""
    layers: list[nn.Module] = [nn.Linear(n_latent, 4 * width * 4**3), nn.Unflatten(1, (4 * width, 4, 4, 4))]
    for n_in, n_out in ((4 * width, 2 * width), (2 * width, width), (width, 1)):
        layers += [nn.BatchNorm3d(n_in), nn.ReLU()]
        layers += [nn.ConvTranspose3d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)]
    return nn.Sequential(*layers, nn.Sigmoid())
