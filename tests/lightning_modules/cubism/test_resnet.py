"""The backbone: torchvision's names and shapes, official files and their checks; the heads."""

import hashlib

import pytest
import torch

from lightning_modules.cubism.draws import StepDraws
from lightning_modules.cubism.heads import Head
from lightning_modules.cubism.pretrained import load_pretrained
from lightning_modules.cubism.processes import Processes
from lightning_modules.cubism.resnet import ResNet18
from lightning_modules.errors import ModuleError

# Of torchvision's resnet18: 11,689,512 weights, of which the last layer has 513,000.
OFFICIAL_WEIGHTS = 11_689_512 - 513_000


def official_names() -> set[str]:
    """Names in torchvision's file, written out from its published structure."""

    def norm(prefix: str) -> set[str]:
        return {f"{prefix}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}

    names = {"conv1.weight", *norm("bn1")}
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            for number in (1, 2):
                names |= {f"layer{layer}.{block}.conv{number}.weight", *norm(f"layer{layer}.{block}.bn{number}")}
        if layer > 1:
            names |= {f"layer{layer}.0.downsample.0.weight", *norm(f"layer{layer}.0.downsample.1")}
    return names


def official_file(folder, width: int = 4, name: str = "resnet18.pth"):
    """A file such as torchvision's, of a narrow network, with the layer of ImageNet's classes; and its network."""
    torch.manual_seed(0)
    network = ResNet18(width, 3)
    network(torch.rand(8, 1, 32, 32))  # running statistics of their own
    weights = {**network.state_dict(), "fc.weight": torch.zeros(1000, 8 * width), "fc.bias": torch.zeros(1000)}
    path = folder / name
    torch.save(weights, path)
    return path, network


def test_names_and_number_of_weights_are_torchvisions():
    network = ResNet18(64, 3)
    assert set(network.state_dict()) == official_names()
    assert sum(weight.numel() for weight in network.parameters()) == OFFICIAL_WEIGHTS
    assert network.layer2[0].conv1.weight.shape == (128, 64, 3, 3)
    assert network.layer4[0].downsample[0].weight.shape == (512, 256, 1, 1)


@pytest.mark.parametrize(("size", "n_channels"), [(32, 1), (64, 3)])
def test_features_of_spectrograms(size, n_channels):
    network = ResNet18(4, n_channels)
    features = network(torch.rand(2, 1, size, size))
    assert features.shape == (2, 32)
    assert (features >= 0).all()


def test_official_weights_load_and_speak_the_same(tmp_path):
    path, network = official_file(tmp_path)
    other = ResNet18(4, 3)
    load_pretrained(other, str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    image = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(other.eval()(image), network.eval()(image))


def test_one_channel_sums_the_three(tmp_path):
    path, network = official_file(tmp_path)
    grey = ResNet18(4, 1)
    load_pretrained(grey, str(path), None)
    image = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(grey.conv1(image), network.conv1(image.expand(-1, 3, -1, -1)))


def test_wrong_files_are_refused(tmp_path):
    path, _ = official_file(tmp_path)
    network = ResNet18(4, 3)
    with pytest.raises(ModuleError, match="there is no file"):
        load_pretrained(network, str(tmp_path / "none.pth"), None)
    with pytest.raises(ModuleError, match=r"has the SHA-256 [0-9a-f]{64}, but 00ff is wanted"):
        load_pretrained(network, str(path), "00ff")
    named, _ = official_file(tmp_path, name="resnet18-f37072fd.pth")
    with pytest.raises(ModuleError, match="but f37072fd is wanted"):
        load_pretrained(network, str(named), None)
    with pytest.raises(ModuleError, match="does not fit a ResNet-18 of width 8"):
        load_pretrained(ResNet18(8, 3), str(path), None)
    (tmp_path / "broken.pth").write_bytes(b"nonsense")
    with pytest.raises(ModuleError, match="cannot be read as weights"):
        load_pretrained(network, str(tmp_path / "broken.pth"), None)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModuleError, match="holds no weights by name"):
        load_pretrained(network, str(tmp_path / "list.pth"), None)


def test_heads_blank_features_in_training_only():
    head = Head(1000, 4, 2, 0.5)
    features = torch.ones(6, 1000)
    draws = StepDraws(0, 0, 3, Processes())
    trained = head(features, [draws, draws])
    assert not torch.equal(trained[0], trained[3])  # each block has its own draws
    head.eval()
    assert torch.equal(head(features, [draws, draws]), head(features))
    head.train()
    torch.testing.assert_close(head(features), head.output(torch.relu(head.hidden(features))))
