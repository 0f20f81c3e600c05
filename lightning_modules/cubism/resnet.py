"""ResNet-18 (He et al. 2016) under torchvision's names of the weights, so that the official file loads.

Own code: torchvision has no CPU build here and is not depended on. A width below 64 makes a narrow one. Batch
normalisation takes its statistics over all processes, from all rows or from each volcano's apart (`volcano_norm`).
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.cubism.volcano_norm import JointBatchNorm2d, Origin, PerVolcanoBatchNorm2d

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
Norm = type[JointBatchNorm2d] | type[PerVolcanoBatchNorm2d]


class Downsample(nn.Sequential):
    """The way around a block that changes the number of channels or pixels."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, norm: Norm) -> None:
        super().__init__(nn.Conv2d(n_inputs, n_outputs, 1, stride, bias=False), norm(n_outputs))

    def forward(self, x: Tensor, origin: Origin | None = None) -> Tensor:
        """Return `(batch, n_outputs, rows / stride, columns / stride)`."""
        convolution, norm = self
        normalised: Tensor = norm(convolution(x), origin)
        return normalised


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, n_inputs: int, n_outputs: int, stride: int, norm: Norm = JointBatchNorm2d) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_inputs, n_outputs, 3, stride, 1, bias=False)
        self.bn1 = norm(n_outputs)
        self.conv2 = nn.Conv2d(n_outputs, n_outputs, 3, 1, 1, bias=False)
        self.bn2 = norm(n_outputs)
        changes = stride != 1 or n_inputs != n_outputs
        self.downsample = Downsample(n_inputs, n_outputs, stride, norm) if changes else None

    def forward(self, x: Tensor, origin: Origin | None = None) -> Tensor:
        """Return `(batch, n_outputs, rows / stride, columns / stride)`."""
        around = x if self.downsample is None else self.downsample(x, origin)
        inside = torch.relu(self.bn1(self.conv1(x), origin))
        return torch.relu(around + self.bn2(self.conv2(inside), origin))


class ResNet18(nn.Module):
    """The backbone, without the layer that names ImageNet's classes.

    Args:
        width: Channels of the first stage (official: 64), doubled three times.
        n_channels: Of the first convolution: 1, or 3 as the official weights have it; an image of one channel is then
            repeated and standardised as ImageNet's photographs are.
        per_volcano: Whether each volcano's rows are normalised by statistics of their own.
    """

    channel_mean: Tensor
    channel_deviation: Tensor

    def __init__(self, width: int = 64, n_channels: int = 1, per_volcano: bool = False) -> None:
        super().__init__()
        norm: Norm = PerVolcanoBatchNorm2d if per_volcano else JointBatchNorm2d
        self.n_channels, self.n_features = n_channels, 8 * width
        self.conv1 = nn.Conv2d(n_channels, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            first, second = BasicBlock(before, after, 1 if number == 1 else 2, norm), BasicBlock(after, after, 1, norm)
            self.add_module(f"layer{number}", nn.ModuleList([first, second]))
        self.register_buffer("channel_mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("channel_deviation", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor, origin: Origin | None = None) -> Tensor:
        """Return features `(batch, 8 * width)` of images `(batch, 1, size, size)` in [0, 1].

        Args:
            image: Rows in the order of `origin`.
            origin: Where they come from; only a network with `per_volcano` asks. None: all from the target.
        """
        if self.n_channels == 3:
            image = (image.expand(-1, 3, -1, -1) - self.channel_mean) / self.channel_deviation
        image = image.contiguous(memory_format=torch.channels_last)  # a fifth less time on a CPU
        x: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(image), origin)))
        for number in range(1, 5):
            for block in cast(nn.ModuleList, self.get_submodule(f"layer{number}")):
                x = block(x, origin)
        return x.mean(dim=(2, 3))
