"""Partners' ranks, and the synthetic pair that is far from linear."""

import pytest
import torch

from lightning_modules.metrics.alignment import latent_alignment
from lightning_modules.metrics.far_from_linear import spiral_pairs
from lightning_modules.metrics.partners import partner_ranks


def _normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_ranks_against_counting_one_by_one():
    x, y = _normal(40, 3, 0), _normal(40, 3, 1)
    ranks = partner_ranks(x, y)
    for i in range(40):
        distances = [float((x[i].double() - y[j].double()).norm()) for j in range(40)]
        assert float(ranks[i]) == sum(d < distances[i] for d in distances) / 39


def test_partners_in_one_place_are_nearest_and_strangers_are_nowhere():
    x = _normal(300, 8, 0)
    assert float(partner_ranks(x, x + 1e-3).max()) == 0
    assert float(partner_ranks(x, _normal(300, 8, 1)).mean()) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="give the same shape"):
        partner_ranks(x, x[:, :3])


def test_the_spiral_is_one_to_one_and_far_from_linear():
    x, y = spiral_pairs(1000, 12, 10)
    assert x.shape == (1000, 12)
    assert y.shape == (1000, 10)
    assert torch.equal(spiral_pairs(1000, 12, 10)[1], y)
    # One to one: what lies together on the spiral lies together in the hidden variables.
    near = torch.cdist(y, y).fill_diagonal_(9.0).argmin(1)
    assert float((x - x[near]).norm(dim=1).median()) < 0.4 * float((x - x.roll(1, 0)).norm(dim=1).median())
    result = latent_alignment(x[:800], y[:800], x[800:], y[800:], n_components=3)
    assert result.linear_r2 < 0.1
    assert result.cca < 0.4
    assert result.mlp_r2 > 0.85
    with pytest.raises(ValueError, match="at least 3 and 6"):
        spiral_pairs(10, 2, 6)
