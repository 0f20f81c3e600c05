"""DANN of another package: what we give it, and what is said where it is not installed."""

import importlib.util

import pytest
import torch

from experiments import cubism_skada

MODEL = {"backbone_width": 4, "head_units": 8, "n_classes": 2, "dropout": 0.0, "rho_max": 0.05}


def test_it_is_said_that_skada_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cubism_skada.main([]) == 2
    assert "skada is not installed; `pip install 'skada[deep]'`" in capsys.readouterr().err


def test_the_settings_are_those_of_our_run(tmp_path):
    given = ["--method", "dann", "--preset", "tiny", "--seed", "3", "--cache_root", str(tmp_path)]
    chosen = cubism_skada.settings([*given, *cubism_skada.AS_SKADA])
    assert chosen["model"]["batch_statistics"] == "joint"
    assert chosen["model"]["rho_max"] == 0.05
    assert chosen["model"]["pretrain_epochs"] == 0
    assert (chosen["data"].seed, chosen["data"].batch_size, chosen["epochs"]) == (3, 32, 8)


def test_the_schedule_that_ours_gets_is_at_its_cap_from_the_second_step_on():
    from lightning_modules.cubism.schedule import ramp

    steepness = float(cubism_skada.AS_SKADA[cubism_skada.AS_SKADA.index("--shared.model.iota") + 1])
    assert ramp(0.0, steepness) == 0.0
    assert ramp(1 / 360, steepness) == pytest.approx(1.0)  # of the preset's 360 steps


def test_the_discriminator_turns_the_gradient_of_the_features_alone():
    torch.manual_seed(0)
    net = cubism_skada.network(MODEL)
    assert net(torch.rand(3, 1, 32, 32)).shape == (3, 2)
    discriminator = cubism_skada.domain_classifier(MODEL, 5)
    features = torch.rand(4, 5, requires_grad=True)
    found = discriminator(features)
    assert found.shape == (4,)
    found.sum().backward()
    straight = torch.rand(4, 5).copy_(features.detach()).requires_grad_()
    discriminator.head(straight).sigmoid().sum().backward()
    assert features.grad == pytest.approx(-0.05 * straight.grad)
