"""The oracle scores and stays apart; the validator chooses an epoch without labels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.target_oracle import HeldOutSource, TargetOracle
from callbacks.validator_choice import SCORE, ValidatorChoice

LABELS = {"target": np.array([0, 0, 1, -1]), "source": np.array([1, 0])}
PERFECT = torch.eye(2)[[0, 0, 1, 0]]
ALL_LP = torch.eye(2)[[0, 0, 0, 0]]


def trainer(epoch: int, score: float | None = None):
    data = SimpleNamespace(events=lambda domain: SimpleNamespace(label=LABELS[domain]), class_names=("LP", "VT"))
    metrics = {} if score is None else {SCORE: torch.tensor(score)}
    return SimpleNamespace(
        datamodule=data, world_size=1, current_epoch=epoch, sanity_checking=False, callback_metrics=metrics
    )


def validate(callback, epoch, probability, score=None, loader=1, pretrain_epochs=0):
    module, now = SimpleNamespace(hparams={"pretrain_epochs": pretrain_epochs}), trainer(epoch, score)
    callback.on_validation_epoch_start(now, module)
    n = len(LABELS["target" if loader else "source"])
    for i in reversed(range(n)):  # in no particular order
        batch = SimpleNamespace(index=torch.tensor([i]))
        callback.on_validation_batch_end(now, module, probability[[i]], batch, i, loader)
        callback.on_validation_batch_end(now, module, probability[[i]], batch, i, 1 - loader)
    callback.on_validation_end(now, module)


def test_the_oracle_takes_the_best_epoch_by_labels_and_leaves_unknown_ones_out():
    oracle = TargetOracle()
    assert oracle.metrics == {}
    for epoch, (probability, score) in enumerate([(ALL_LP, 9.0), (PERFECT, 1.0), (ALL_LP, 2.0)]):
        validate(oracle, epoch, probability, score, pretrain_epochs=1)
    found = oracle.metrics
    assert (found["oracle/f1"], found["oracle/epoch"]) == (1.0, 1)
    assert found["oracle/last_f1"] == pytest.approx(0.4)
    # Epoch 0 only pre-trains; its score does not count.
    assert (found["validator/f1"], found["validator/epoch"]) == (pytest.approx(0.4), 2)
    again = TargetOracle()
    again.load_state_dict(oracle.state_dict())
    assert again.metrics == found


def test_the_source_s_held_out_events_are_scored_too():
    held_out = HeldOutSource()
    validate(held_out, 0, torch.eye(2)[[1, 0]], loader=0)
    assert held_out.metrics["held_out/accuracy"] == 1
    validate(held_out, 1, torch.eye(2)[[0, 0]], loader=0)
    assert held_out.metrics["held_out/accuracy"] == 0.5


def test_an_unlabelled_target_has_no_oracle(monkeypatch):
    monkeypatch.setitem(LABELS, "target", np.full(4, -1))
    oracle = TargetOracle()
    validate(oracle, 0, PERFECT)
    assert oracle.metrics == {}


def test_the_validator_puts_the_best_epoch_s_weights_back_also_after_a_resume():
    module, choice = nn.Linear(1, 1), ValidatorChoice(from_epoch=1)
    for epoch, score in enumerate([9.0, 1.0, 3.0, 2.0, 3.0]):
        nn.init.constant_(module.weight, epoch)
        choice.on_validation_end(trainer(epoch, score), module)
        if epoch == 3:
            state = choice.state_dict()
            choice = ValidatorChoice(from_epoch=1)
            choice.load_state_dict(state)
    choice.on_fit_end(trainer(5), module)
    assert module.weight.item() == 2
    assert choice.metrics == {"validator/chosen_epoch": 2}


def test_without_a_score_the_last_weights_stay():
    module, choice = nn.Linear(1, 1), ValidatorChoice()
    nn.init.constant_(module.weight, 5)
    choice.on_validation_end(trainer(0), module)
    choice.on_fit_end(trainer(0), module)
    assert module.weight.item() == 5
    assert choice.metrics == {}
