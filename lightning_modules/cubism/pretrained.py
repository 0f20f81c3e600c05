"""Official weights of a ResNet-18, from a file that the user names and whose contents are checked."""

import hashlib
import re
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from lightning_modules.cubism.resnet import ResNet18
from lightning_modules.errors import ModuleError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_pretrained(backbone: ResNet18, path: str, sha256: str | None) -> None:
    """Load official weights; their last layer, which names ImageNet's classes, is left out.

    A backbone of one channel gets the sum of the first convolution over its three channels, which on a grey image is
    the same thing without ImageNet's standardisation.

    Args:
        backbone: What gets the weights.
        path: File as torchvision's hub has it, such as resnet18-f37072fd.pth.
        sha256: Of the file, or its first digits; by default those that stand in the file's name, if any do.

    Raises:
        ModuleError: If the file is missing, is another one than `sha256` says, or fits no ResNet-18 of this width.
    """
    file = Path(path)
    if not file.is_file():
        raise ModuleError(f"pretrained: there is no file {path}; give the path of torchvision's ResNet-18 weights.")
    named = re.search(r"-([0-9a-f]{8,64})\.pth$", file.name)
    wanted = (sha256 or (named[1] if named else "")).lower()
    found = file_sha256(file)
    if not found.startswith(wanted):
        raise ModuleError(
            f"pretrained: {path} has the SHA-256 {found}, but {wanted} is wanted; download the file again, or give its "
            f"own as pretrained_sha256."
        )
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, OSError) as error:
        raise ModuleError(
            f"pretrained: {path} cannot be read as weights; give torchvision's ResNet-18 file."
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModuleError(f"pretrained: {path} holds no weights by name; give torchvision's ResNet-18 file.")
    weights = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    first = weights.get("conv1.weight")
    if first is not None and backbone.n_channels == 1 and first.shape[1] == 3:
        weights["conv1.weight"] = first.sum(dim=1, keepdim=True)
    own = backbone.state_dict()
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):
            weights.setdefault(name, value)  # the older official file has none
        elif "target_running_" in name and name.replace("target_", "") in weights:
            weights[name] = weights[name.replace("target_", "")].clone()  # both volcanoes begin with the same averages
    wrong = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    if wrong or len(weights) != len(own):
        what = wrong[0] if wrong else next(name for name in weights if name not in own)
        raise ModuleError(
            f"pretrained: {path} does not fit a ResNet-18 of width {backbone.n_features // 8} ({what}); the official "
            f"weights need backbone_width 64."
        )
    backbone.load_state_dict(weights)
