"""How closely are two sets of latents related, and is the relation linear?

UB-Diff rests on one co-latent for both modalities, which the paper defends with a "near-linear relationship" of their
latent spaces and does not measure. Here: the mean canonical correlation, and the share of the variance (R2) that the
best linear map and a small network explain. All are fitted on one set of pairs and judged on another; what must be
chosen (the ridge, when to stop) is chosen on a fifth of the fitting pairs.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # relative to the mean variance of a latent
MLP_WIDTH = 128
MLP_EPOCHS = 200
MLP_PATIENCE = 30
MLP_BATCH = 64


class Alignment(NamedTuple):
    """Relation of latents y to latents x, on held-out pairs.

    Attributes:
        cca: Mean canonical correlation, 0..1.
        linear_r2: Variance of y that the best linear map from x explains; 1 is all, 0 none, below 0 worse than none.
        mlp_r2: The same of a network with one hidden layer, which is added to that linear map.
    """

    cca: float
    linear_r2: float
    mlp_r2: float


def latent_alignment(
    x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor, n_components: int | None = None, seed: int = 0
) -> Alignment:
    """Measure how y `(n, d_y)` depends on x `(n, d_x)`.

    Args:
        x: Latents of one modality, one row a pair.
        y: Latents of the other, in the same order.
        x_held_out: The same of other pairs.
        y_held_out: The same of other pairs.
        n_components: Canonical correlations that are averaged, largest first; all by default.
        seed: Of the parting of the pairs and of the network.

    Raises:
        ValueError: If x and y differ in length, or there are too few pairs.
    """
    for a, b, which in ((x, y, "fitting"), (x_held_out, y_held_out, "held-out")):
        if len(a) != len(b) or len(a) < 10:
            raise ValueError(
                f"latent_alignment got {len(a)} and {len(b)} {which} latents: give as many of both, at least 10."
            )
    return Alignment(
        mean_canonical_correlation(x, y, x_held_out, y_held_out, n_components, seed),
        linear_r2(x, y, x_held_out, y_held_out, seed),
        mlp_r2(x, y, x_held_out, y_held_out, seed),
    )


@torch.no_grad()
def mean_canonical_correlation(
    x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor, n_components: int | None = None, seed: int = 0
) -> float:
    """Mean correlation of the held-out pairs along the canonical directions of the fitting pairs."""
    x, y, x_held_out, y_held_out = (z.double() for z in (x, y, x_held_out, y_held_out))
    fit, check = _part(len(x), seed)
    scores = []
    for ridge in RIDGES:
        directions = canonical_directions(x[fit], y[fit], ridge)
        scores.append(_correlations(x[check], y[check], *directions)[:n_components].mean())
    ridge = RIDGES[int(torch.stack(scores).argmax())]
    directions = canonical_directions(x, y, ridge)
    return float(_correlations(x_held_out, y_held_out, *directions)[:n_components].mean())


def canonical_directions(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Canonical directions `(d_x, k)` and `(d_y, k)`, largest correlation first (Hotelling 1936; ridge: Vinod 1976)."""
    x, y = x - x.mean(0), y - y.mean(0)
    whiten_x, whiten_y = (_inverse_root(z.T @ z / (len(z) - 1), ridge) for z in (x, y))
    left, _, right = torch.linalg.svd(whiten_x @ (x.T @ y / (len(x) - 1)) @ whiten_y, full_matrices=False)
    return whiten_x @ left, whiten_y @ right.T


@torch.no_grad()
def linear_r2(x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor, seed: int = 0) -> float:
    """R2 on the held-out pairs of the ridge regression of y on x."""
    x, y, x_held_out, y_held_out = (z.double() for z in (x, y, x_held_out, y_held_out))
    weight, bias = _best_ridge(x, y, seed)
    return r2(x_held_out @ weight + bias, y_held_out)


@torch.inference_mode(False)  # Lightning evaluates in inference mode, whose tensors cannot be trained on
def mlp_r2(x: Tensor, y: Tensor, x_held_out: Tensor, y_held_out: Tensor, seed: int = 0) -> float:
    """R2 on the held-out pairs of the linear map plus a network of one hidden layer, trained on what is left over.

    The network starts at zero and is stopped where the checking pairs are best: where there is nothing but a linear
    relation, it stays near it, and the difference of the two R2 is what is not linear.
    """
    x, y = x.clone(), y.clone()  # made in inference mode, perhaps
    generator = torch.Generator().manual_seed(seed)
    fit, check = _part(len(x), seed)
    weight, bias = (z.float() for z in _best_ridge(x.double(), y.double(), seed, rows=fit))
    scale_x, scale_y = _standardiser(x[fit].float()), _standardiser(y[fit].float())
    inputs = (x.float() - scale_x[0]) / scale_x[1]
    targets = (y.float() - x.float() @ weight - bias) / scale_y[1]
    network = _network(x.shape[1], y.shape[1], seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    best, best_state, since = float("inf"), copy.deepcopy(network.state_dict()), 0
    with torch.enable_grad():
        for _ in range(MLP_EPOCHS):
            for rows in _batches(fit, generator):
                loss = (network(inputs[rows]) - targets[rows]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                checked = float(((network(inputs[check]) - targets[check]) * scale_y[1]).square().mean())
            since = 0 if checked < best else since + 1
            if checked < best:
                best, best_state = checked, copy.deepcopy(network.state_dict())
            if since >= MLP_PATIENCE:
                break
    network.load_state_dict(best_state)
    with torch.no_grad():
        inputs = (x_held_out.float() - scale_x[0]) / scale_x[1]
        back = x_held_out.float() @ weight + bias + network(inputs) * scale_y[1]
    return r2(back, y_held_out)


def r2(prediction: Tensor, target: Tensor) -> float:
    """1 - sum |prediction - target|^2 / sum |target - its mean|^2, over all columns together."""
    wide = target.double()
    return float(1.0 - (prediction.double() - wide).square().sum() / (wide - wide.mean(0)).square().sum())


def _part(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to fit and rows, a fifth, to check the choice on."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return order[n // 5 :], order[: n // 5]


def _inverse_root(covariance: Tensor, ridge: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp_min(0.0) + ridge * values.mean().clamp_min(torch.finfo(values.dtype).tiny)
    root: Tensor = (vectors * values.rsqrt()) @ vectors.T
    return root


def _correlations(x: Tensor, y: Tensor, x_directions: Tensor, y_directions: Tensor) -> Tensor:
    a, b = (x - x.mean(0)) @ x_directions, (y - y.mean(0)) @ y_directions
    size = a.square().sum(0).sqrt() * b.square().sum(0).sqrt()
    correlations: Tensor = (a * b).sum(0) / size.clamp_min(torch.finfo(a.dtype).tiny)
    return correlations


def _ridge_regression(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    products = x.T @ x
    size = ridge * products.diagonal().mean().clamp_min(torch.finfo(x.dtype).tiny)
    weight = torch.linalg.solve(products + size * torch.eye(len(products), dtype=x.dtype, device=x.device), x.T @ y)
    return weight, mean_y - mean_x @ weight


def _best_ridge(x: Tensor, y: Tensor, seed: int, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weight `(d_x, d_y)` and bias with the ridge that the checking pairs choose, fitted on `rows` (all by default)."""
    fit, check = _part(len(x), seed)
    scores = []
    for ridge in RIDGES:
        weight, bias = _ridge_regression(x[fit], y[fit], ridge)
        scores.append(r2(x[check] @ weight + bias, y[check]))
    best = RIDGES[max(range(len(RIDGES)), key=scores.__getitem__)]
    return _ridge_regression(x if rows is None else x[rows], y if rows is None else y[rows], best)


def _standardiser(x: Tensor) -> tuple[Tensor, Tensor]:
    deviation = x.std(0)
    return x.mean(0), torch.where(deviation > 1e-6 * deviation.max(), deviation, 1.0)


def _network(n_in: int, n_out: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):  # a measurement must not shift the random numbers of a training around it
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(n_in, MLP_WIDTH), nn.GELU(), nn.Linear(MLP_WIDTH, n_out))
    for weight in network[2].parameters():
        nn.init.zeros_(weight)
    return network


def _batches(rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.split(rows[torch.randperm(len(rows), generator=generator)], MLP_BATCH)
