"""SOAP: against Adam where its bases are trivial, on an ill-conditioned problem, and resumed."""

import pytest
import torch
from torch import nn

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.soap import SOAP


def test_without_bases_it_is_adam():
    torch.manual_seed(0)
    start = torch.randn(4, 3)
    first, second = (nn.Parameter(start.clone()) for _ in range(2))
    soap = SOAP([first], lr=0.1, betas=(0.9, 0.99), largest_basis=1)
    adam = torch.optim.Adam([second], lr=0.1, betas=(0.9, 0.99))
    target = torch.randn(4, 3)
    for step in range(12):
        for parameter in (first, second):
            parameter.grad = 2.0 * (parameter.detach() - target)
        soap.step()
        if step:  # its first step only starts the averages
            adam.step()
    torch.testing.assert_close(first, second)


def test_the_bases_stay_orthogonal_and_diagonalise():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(6, 5))
    optimiser = SOAP([weight], lr=1e-3, refresh_every=1)
    mixing = torch.randn(6, 6)
    for _ in range(300):
        weight.grad = mixing @ torch.randn(6, 5)
        optimiser.step()
    state = optimiser.state[weight]
    for side, size in ((0, 6), (1, 5)):
        basis = state[f"basis_{side}"]
        torch.testing.assert_close(basis.T @ basis, torch.eye(size), atol=1e-5, rtol=0)
    rotated = state["basis_0"].T @ mixing @ mixing.T @ state["basis_0"]
    off_diagonal = rotated - rotated.diag().diag()
    assert off_diagonal.norm() < 0.5 * rotated.norm()


def test_it_solves_a_skewed_least_squares_problem_in_fewer_steps_than_adam():
    def loss_after(optimiser_of) -> float:
        torch.manual_seed(0)
        inputs = torch.randn(200, 10) @ (torch.randn(10, 10) * torch.logspace(0, -3, 10))
        target = inputs @ torch.randn(10, 4)
        layer = nn.Linear(10, 4, bias=False)
        optimiser = optimiser_of(layer.parameters())
        for _ in range(300):
            optimiser.zero_grad()
            loss = (layer(inputs) - target).square().mean()
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    soap = loss_after(lambda parameters: SOAP(parameters, lr=0.05))
    adam = loss_after(lambda parameters: torch.optim.Adam(parameters, lr=0.05, betas=(0.95, 0.95)))
    assert soap < adam


def test_a_resumed_run_takes_the_same_steps(tmp_path):
    def run(optimiser: SOAP, weight: nn.Parameter, steps: range) -> None:
        for step in steps:
            weight.grad = torch.randn(5, 4, generator=torch.Generator().manual_seed(step))
            optimiser.step()

    weight = nn.Parameter(torch.ones(5, 4))
    optimiser = SOAP([weight])
    run(optimiser, weight, range(7))
    torch.save((weight.data, optimiser.state_dict()), tmp_path / "state.pt")
    run(optimiser, weight, range(7, 25))
    stored, state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = nn.Parameter(stored)
    again = SOAP([resumed])
    again.load_state_dict(state)
    run(again, resumed, range(7, 25))
    assert torch.equal(resumed, weight)


def test_impossible_settings_are_refused():
    weight = [nn.Parameter(torch.ones(2))]
    for wrong, message in (
        ({"lr": 0.0}, "learning_rate"),
        ({"betas": (1.0, 0.9)}, "adam_betas"),
        ({"refresh_every": 0}, "refresh_every"),
    ):
        with pytest.raises(ModuleError, match=message):
            SOAP(weight, **wrong)
