"""The autoencoder's reconstructions are judged at the end of its fit, and the training does not notice."""

from types import SimpleNamespace

import pytest
import torch

from callbacks.reconstruction_frechet import ReconstructionFrechet


class _Data:
    class normalization:  # noqa: N801 - stands for an attribute
        @staticmethod
        def normalize_velocity(x):
            return x

    def physical_maps(self, part):
        generator = torch.Generator().manual_seed(len(part))
        return torch.randn(120, 70, 70, generator=generator).numpy()


class _Module(torch.nn.Module):
    device = torch.device("cpu")

    def __init__(self, factor):
        super().__init__()
        self.networks = SimpleNamespace(encode=self.encode, decode_velocity=lambda z: factor * z)
        self.modes = []

    def encode(self, maps):
        self.modes.append(self.training)
        return maps


def _trainer(logged, leader=True):
    logger = SimpleNamespace(log_metrics=lambda metrics, step: logged.append((metrics, step)))
    return SimpleNamespace(datamodule=_Data(), is_global_zero=leader, loggers=[logger], global_step=7)


def test_a_perfect_autoencoder_scores_the_floor_and_a_poor_one_more():
    ratios = []
    for factor in (1.0, 0.3):
        logged, judge, module = [], ReconstructionFrechet(8, 5), _Module(factor)
        state = torch.get_rng_state()
        judge.on_fit_end(_trainer(logged), module)
        assert torch.equal(torch.get_rng_state(), state)
        assert logged == [(judge.metrics, 7)]
        assert module.training
        assert module.modes == [False]
        ratios.append(judge.metrics["velocity/reconstruction_frechet_ratio"])
    assert ratios[0] == pytest.approx(1, abs=1e-6)
    assert ratios[1] > 2
    assert judge.features["velocity/reconstruction_frechet"].startswith("PCA-8 (")


def test_other_processes_do_nothing():
    logged, judge = [], ReconstructionFrechet()
    judge.on_fit_end(_trainer(logged, leader=False), _Module(1.0))
    assert not judge.metrics
    assert not logged
