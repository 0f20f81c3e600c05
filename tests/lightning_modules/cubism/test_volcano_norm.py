"""Batch normalisation of two volcanoes: against torch and a naive second implementation, gradients, averages."""

import pytest
import torch
from torch import nn

from lightning_modules.cubism.pretrained import load_pretrained
from lightning_modules.cubism.resnet import ResNet18
from lightning_modules.cubism.volcano_norm import JointBatchNorm2d, Origin, PerVolcanoBatchNorm2d
from tests.lightning_modules.cubism.test_resnet import official_file

PARTS = torch.tensor([0.8, 0.3, 1.0, 0.0], dtype=torch.float64)


def layer(n_channels: int = 3) -> PerVolcanoBatchNorm2d:
    """A layer in double precision whose weights and averages are not those it begins with."""
    torch.manual_seed(1)
    made = PerVolcanoBatchNorm2d(n_channels).double()
    for value in (*made.parameters(), *made.buffers()):
        if value.is_floating_point():
            value.data.uniform_(0.5, 1.5)
    return made


def rows(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale, shift = torch.rand(2, n, 3, 1, 1, generator=generator, dtype=torch.float64)
    return torch.randn(n, 3, 4, 2, generator=generator, dtype=torch.float64) * (1 + scale) + 5 * shift


def naive(made: PerVolcanoBatchNorm2d, x: torch.Tensor, origin: Origin) -> torch.Tensor:
    """Row by row and channel by channel, in words of the definition."""
    of_volcano = {"source": x[: origin.n_source], "target": x[origin.n_source : origin.n_source + origin.n_target]}
    averages = {
        "source": (made.running_mean, made.running_var),
        "target": (made.target_running_mean, made.target_running_var),
    }
    result = torch.empty_like(x)
    mixed = [] if origin.source_part is None else origin.source_part.tolist()
    for row, part in enumerate([1.0] * origin.n_source + [0.0] * origin.n_target + mixed):
        for channel in range(x.shape[1]):
            mean = variance = 0.0
            for volcano, share in (("source", part), ("target", 1.0 - part)):
                if share == 0.0:
                    continue
                if made.training:
                    values = of_volcano[volcano][:, channel].flatten()
                    its_mean = sum(values.tolist()) / len(values)
                    its_variance = sum((value - its_mean) ** 2 for value in values.tolist()) / len(values)
                else:
                    its_mean, its_variance = (float(each[channel]) for each in averages[volcano])
                mean, variance = mean + share * its_mean, variance + share * its_variance
            standardised = (x[row, channel] - mean) / (variance + made.eps) ** 0.5
            result[row, channel] = made.weight[channel] * standardised + made.bias[channel]
    return result


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("origin", [Origin(5, 4, PARTS), Origin(5, 4), Origin(6, 0), Origin(0, 6)])
def test_rows_are_normalised_as_the_definition_says(origin, training):
    made = layer().train(training)
    x = rows(origin.n_source + origin.n_target + (0 if origin.source_part is None else len(origin.source_part)))
    torch.testing.assert_close(made(x, origin), naive(made, x, origin))


@pytest.mark.parametrize("mixed", [None, PARTS])
def test_running_averages_are_those_of_two_ordinary_layers(mixed):
    made, ordinary = layer(), {"source": nn.BatchNorm2d(3).double(), "target": nn.BatchNorm2d(3).double()}
    for name, running in (("source", "running_"), ("target", "target_running_")):
        for kind in ("mean", "var"):
            getattr(ordinary[name], f"running_{kind}").copy_(getattr(made, f"{running}{kind}"))
    for step in range(3):
        x = rows(9 + (0 if mixed is None else len(mixed)), step)
        made(x, Origin(5, 4, mixed))
        ordinary["source"](x[:5])
        ordinary["target"](x[5:9])
    torch.testing.assert_close(made.running_mean, ordinary["source"].running_mean)
    torch.testing.assert_close(made.running_var, ordinary["source"].running_var)
    torch.testing.assert_close(made.target_running_mean, ordinary["target"].running_mean)
    torch.testing.assert_close(made.target_running_var, ordinary["target"].running_var)


def test_one_volcano_s_rows_leave_the_other_s_averages_alone():
    made = layer()
    before = {name: value.clone() for name, value in made.named_buffers()}
    made(rows(4), Origin.all_of("target", 4))
    assert torch.equal(made.running_mean, before["running_mean"])
    assert torch.equal(made.running_var, before["running_var"])
    assert not torch.equal(made.target_running_mean, before["target_running_mean"])
    made.eval()
    x = rows(4, 1)
    assert not torch.allclose(made(x, Origin.all_of("source", 4)), made(x, Origin.all_of("target", 4)))
    assert torch.equal(made(x), made(x, Origin.all_of("target", 4)))


def test_gradients_through_the_statistics_of_both_ends():
    made = layer()

    def forward(x: torch.Tensor, part: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        made.weight = nn.Parameter(weight) if not weight.requires_grad else made.weight
        return made(x, Origin(3, 2, part))

    x, part = rows(5 + len(PARTS)).requires_grad_(), PARTS.clone().requires_grad_()
    assert torch.autograd.gradcheck(forward, (x, part, made.weight))
    mixed = made(x, Origin(3, 2, PARTS))[5:]
    [gradient] = torch.autograd.grad(mixed[0].square().sum(), x)
    assert gradient[0].abs().max() > 0, "a mixture moves its source end"
    assert gradient[3].abs().max() > 0, "and its target end"
    assert gradient[6].abs().max() == 0, "but no other mixture"


def test_volcanoes_with_the_same_statistics_are_read_as_one_batch():
    """With each target row a copy of a source row, nothing tells per volcano from joint."""
    one, joint = layer(), JointBatchNorm2d(3).double()
    joint.load_state_dict({name: one.state_dict()[name] for name in joint.state_dict()})
    x = rows(5)
    both = torch.cat([x, x])
    torch.testing.assert_close(one(both, Origin(5, 5)), joint(both))


def test_wrong_origins_are_refused():
    with pytest.raises(ValueError, match=r"is of 2 \+ 2 \+ 4 rows, not 9"):
        layer()(rows(9), Origin(2, 2, PARTS))
    for training in (True, False):
        with pytest.raises(ValueError, match="give rows of both"):
            layer().train(training)(rows(6), Origin(2, 0, PARTS))


def test_a_network_tells_volcanoes_apart_where_it_is_asked_to():
    torch.manual_seed(0)
    images, shifted = torch.rand(6, 1, 32, 32), 0.2 + 0.3 * torch.rand(6, 1, 32, 32)
    features = {}
    for per_volcano in (False, True):
        torch.manual_seed(0)
        network = ResNet18(4, 1, per_volcano)
        network(torch.cat([images, shifted]), Origin(6, 6))
        network.eval()
        features[per_volcano] = [network(images, Origin.all_of(volcano, 6)) for volcano in ("source", "target")]
    assert torch.equal(*features[False])
    assert not torch.allclose(*features[True])


def test_official_weights_give_both_volcanoes_the_same_averages(tmp_path):
    path, official = official_file(tmp_path)
    network = ResNet18(4, 3, per_volcano=True)
    load_pretrained(network, str(path), None)
    image = torch.rand(4, 1, 32, 32)
    network.eval()
    wanted = official.eval()(image)
    for volcano in ("source", "target"):
        torch.testing.assert_close(network(image, Origin.all_of(volcano, 4)), wanted)
    network.bn1.target_running_mean.add_(1.0)
    assert not torch.allclose(network.bn1.target_running_mean, network.bn1.running_mean), "not one and the same"
