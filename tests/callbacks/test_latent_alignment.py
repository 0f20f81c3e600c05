"""Latents whose relation is known: linear, and none at all; in Lightning's inference mode, as in a run."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from callbacks.latent_alignment import LatentAlignment, joint_embedding
from callbacks.latent_figures import latents

N_TRAIN, N_TEST, Z = 160, 60, 6


def _normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class _Data:
    """Maps whose first cells are z; gathers that are linear in z, or noise."""

    class normalization:  # noqa: N801 - stands for an attribute
        @staticmethod
        def normalize_velocity(x):
            return x

        normalize_seismic = normalize_velocity

    def __init__(self, related, n_test=N_TEST):
        self.related, self.n = related, {"train": N_TRAIN, "test": n_test}

    def physical_pairs(self, part, limit):
        n = min(limit, self.n[part])
        maps = _normal(n, 70, 70, seed=len(part))
        z = maps[:, 0, :Z] if self.related else _normal(n, Z, seed=99)
        gathers = (z @ _normal(Z, 5 * 8 * 70, seed=5)).view(n, 5, 8, 70)
        return SimpleNamespace(velocity_m_s=maps.numpy(), seismic=gathers.numpy())


def _networks():
    to_velocity, to_seismic = torch.nn.Linear(Z, Z), torch.nn.Linear(Z, Z)
    for k, layer in enumerate((to_velocity, to_seismic)):
        layer.weight.data = _normal(Z, Z, seed=10 + k)
    return SimpleNamespace(
        encode=lambda maps: maps[:, 0, 0, :Z], to_velocity_latent=to_velocity, to_seismic_latent=to_seismic
    )


def _judge(related=True, networks=None, n_test=N_TEST):
    module = SimpleNamespace(device=torch.device("cpu"), networks=networks or _networks())
    judge = LatentAlignment(max_drawn=20)
    with torch.inference_mode():
        judge.on_test_end(SimpleNamespace(datamodule=_Data(related, n_test)), module)
    return judge


@pytest.fixture(scope="module")
def linear():
    return _judge()


def test_a_linear_relation_is_measured_as_linear(linear):
    m = linear.metrics
    assert m["latent/cca"] == pytest.approx(1, abs=1e-3)
    assert m["latent/gather/cca"] == pytest.approx(1, abs=1e-3)
    for name in ("linear_r2", "mlp_r2", "inverse_linear_r2", "inverse_mlp_r2"):
        assert m[f"latent/gather/{name}"] == pytest.approx(1, abs=1e-2)
    assert m["latent/n_pairs"] == N_TEST
    assert 0.2 < m["latent/partner_rank"] < 0.8, "two random turns of one latent are no partners"
    assert linear.features["latent/gather"].startswith("PCA-6 (")


def test_gathers_that_have_nothing_to_do_with_their_map_are_found_out():
    m = _judge(related=False).metrics
    assert abs(m["latent/gather/cca"]) < 0.3
    assert m["latent/gather/linear_r2"] < 0.1
    assert m["latent/gather/mlp_r2"] < 0.1
    assert m["latent/cca"] == pytest.approx(1, abs=1e-3), "built in, whatever the gathers are"


def test_a_baseline_is_asked_for_its_own_latents():
    networks = SimpleNamespace(
        encode=lambda maps: maps[:, 0, 0, :Z], encode_seismic=lambda gathers: gathers[:, 0, 0, :Z]
    )
    assert _judge(True, networks).metrics["latent/cca"] == pytest.approx(1, abs=1e-2)
    assert abs(_judge(False, networks).metrics["latent/cca"]) < 0.3


def test_too_few_pairs_say_nothing():
    judge = _judge(n_test=4)
    assert judge.metrics == {}
    assert len(judge.embedding) == 0
    assert "too few" in latents(judge.embedding, judge.metrics).texts[0].get_text()


def test_the_embedding_keeps_partners_that_are_partners():
    pytest.importorskip("sklearn")
    x = _normal(25, 5, seed=0)
    made = joint_embedding(x, x + 0.01 * _normal(25, 5, seed=1))
    assert made.shape == (50, 2)
    between = np.linalg.norm(made[:25] - made[25:], axis=1)
    assert np.median(between) < 0.3 * np.median(np.linalg.norm(made[:25] - np.roll(made[:25], 1, axis=0), axis=1))


def test_the_figure_shows_every_point_and_number(linear):
    figure = latents(linear.embedding, linear.metrics, "PCA-6 (abc)")
    points, bars = figure.axes
    assert sum(len(each.get_offsets()) for each in points.collections) == 40
    assert len(bars.patches) == 6
    assert "PCA-6 (abc)" in bars.get_title()
