"""Latent alignment of mixtures whose answers are known."""

import pytest
import torch

from lightning_modules.metrics.alignment import (
    canonical_directions,
    latent_alignment,
    linear_r2,
    mean_canonical_correlation,
    mlp_r2,
    r2,
)


def _normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _split(*tensors):
    n = 4 * len(tensors[0]) // 5
    return *(x[:n] for x in tensors), *(x[n:] for x in tensors)


def test_cca_of_a_known_mixture():
    # Each pair of hidden variables is correlated by rho; any invertible mixing on either side leaves that alone.
    rho = torch.tensor([0.95, 0.8, 0.5, 0.1]).double()
    hidden, other = _normal(6000, 4, 0), _normal(6000, 4, 1)
    x = hidden @ _normal(4, 4, 2)
    y = (rho * hidden + (1 - rho**2).sqrt() * other) @ _normal(4, 4, 3)
    assert mean_canonical_correlation(*_split(x, y)) == pytest.approx(float(rho.mean()), abs=0.03)
    assert mean_canonical_correlation(*_split(x, y), n_components=1) == pytest.approx(0.95, abs=0.02)


def test_cca_directions_against_scikit_learn():
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    hidden = _normal(300, 3, 0)
    x = hidden @ _normal(3, 5, 1) + 0.5 * _normal(300, 5, 2)
    y = hidden @ _normal(3, 4, 3) + 0.5 * _normal(300, 4, 4)
    theirs_x, theirs_y = decomposition.CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x.numpy(), y.numpy())
    directions = canonical_directions(x, y, 1e-12)
    ours_x, ours_y = x @ directions[0], y @ directions[1]
    for k in range(3):
        ours = torch.corrcoef(torch.stack([ours_x[:, k], ours_y[:, k]]))[0, 1]
        theirs = torch.corrcoef(torch.stack([torch.from_numpy(theirs_x[:, k]), torch.from_numpy(theirs_y[:, k])]))[0, 1]
        assert float(ours) == pytest.approx(float(theirs), abs=1e-5)


def test_unrelated_latents_are_unrelated_even_in_many_dimensions():
    # The fitting pairs alone would give correlations near 1: only held-out pairs tell.
    result = latent_alignment(*_split(_normal(250, 60, 0), _normal(250, 60, 1)))
    assert abs(result.cca) < 0.1
    assert result.linear_r2 < 0.05
    assert result.mlp_r2 < 0.05


def test_a_linear_relation_is_linear():
    x = _normal(600, 6, 0)
    noise = 0.1 * _normal(600, 3, 2)
    result = latent_alignment(*_split(x, x @ _normal(6, 3, 1) + 4 + noise))
    assert result.linear_r2 > 0.99
    assert result.mlp_r2 == pytest.approx(result.linear_r2, abs=0.005)
    assert result.cca > 0.98


def test_a_relation_far_from_linear_is_found_by_the_network_alone():
    x = _normal(2500, 2, 0)
    y = torch.stack([x[:, 0] ** 2 - 1, torch.cos(3 * x[:, 1])], dim=1)
    result = latent_alignment(*_split(x, y))
    assert result.linear_r2 < 0.05
    assert result.cca < 0.2
    assert result.mlp_r2 > 0.8


def test_linear_r2_against_least_squares():
    x, noise = _normal(500, 5, 0), _normal(500, 2, 1)
    y = x @ _normal(5, 2, 2) + noise
    x_fit, y_fit, x_test, y_test = _split(x, y)
    design = torch.cat([x_fit, torch.ones(len(x_fit), 1).double()], dim=1)
    solution = torch.linalg.lstsq(design, y_fit).solution
    wanted = r2(x_test @ solution[:-1] + solution[-1], y_test)
    assert linear_r2(x_fit, y_fit, x_test, y_test) == pytest.approx(wanted, abs=1e-3)


def test_constant_latents_do_no_harm():
    x = torch.cat([_normal(100, 2, 0), torch.full((100, 2), 0.3).double()], dim=1).float()
    result = latent_alignment(*_split(x, x.flip(1)))
    assert result.linear_r2 == pytest.approx(1, abs=1e-3)
    assert all(torch.isfinite(torch.tensor(result)))


def test_measuring_leaves_the_global_random_numbers_alone():
    x = _normal(60, 3, 0)
    state = torch.get_rng_state()
    first = mlp_r2(*_split(x, x**2))
    assert torch.equal(torch.get_rng_state(), state)
    assert mlp_r2(*_split(x, x**2)) == first


def test_lengths_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="got 20 and 19 fitting latents"):
        latent_alignment(*(torch.zeros(n, 2) for n in (20, 19, 20, 20)))
