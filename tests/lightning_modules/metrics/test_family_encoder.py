"""The judge that is trained on a family: repeatable, blind to the global random numbers, and able to tell."""

import numpy as np
import pytest
import torch

from lightning_modules.metrics.family_encoder import (
    N_FEATURES,
    JudgeTraining,
    SeismicJudge,
    VelocityJudge,
    at_judges_rate,
    coarse_maps,
    recipe_digest,
    train_judge,
    velocity_summaries,
)
from lightning_modules.metrics.frechet import frechet_against_held_out

SHORT = JudgeTraining(n_steps=60, batch_size=32)


def _layered(n, seed):
    """Maps of two to five flat layers, m/s."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((n, 70, 70), np.float32)
    for each in maps:
        for k, top in enumerate(np.sort(rng.integers(0, 70, rng.integers(1, 5)))):
            each[top:] = 1500 + 500 * k + rng.uniform(0, 500)
        each[each == 0] = 1500
    return torch.from_numpy(maps)


def _normalised(maps):
    return ((maps - 3000) / 1500)[:, None]


@pytest.fixture(scope="module")
def judge():
    maps = _layered(300, 0)
    return train_judge(VelocityJudge, _normalised(maps), velocity_summaries(maps), SHORT, "judge")


def test_summaries_of_one_interface_in_closed_form():
    maps = torch.full((1, 70, 70), 2000.0)
    maps[:, 35:] = 4000.0
    slowness, strength, edges, squared, sideways = velocity_summaries(maps).view(5, 10)
    torch.testing.assert_close(slowness[:5], torch.full((5,), 0.5))
    torch.testing.assert_close(slowness[5:], torch.full((5,), 0.25))
    assert float(sideways.abs().max()) == 0
    # One step in 69, seen by the one or two bins that it lies in.
    for field, step in ((strength, np.log(2)), (edges, 1.0), (squared, np.log(2) ** 2)):
        assert float(field.max()) == pytest.approx(step / 7, rel=0.15)
        assert int((field > 0).sum()) in (1, 2)


def test_a_smeared_edge_shows_in_the_summaries():
    maps = torch.full((1, 70, 70), 2000.0)
    maps[:, 31:] = 2200.0
    smeared = maps.clone()
    smeared[:, 29:34] = torch.linspace(2000, 2200, 5)[:, None]
    sharp, soft = (velocity_summaries(each).view(5, 10).sum(1) for each in (maps, smeared))
    assert float(soft[1]) == pytest.approx(float(sharp[1]), rel=0.05)
    assert float(soft[3]) < 0.4 * float(sharp[3])


def test_same_samples_and_settings_give_the_same_judge():
    maps = _layered(40, 1)
    training = JudgeTraining(n_steps=3, batch_size=16, noise=0.01)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    made = [train_judge(VelocityJudge, _normalised(maps), velocity_summaries(maps), training, "a")]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    made.append(train_judge(VelocityJudge, _normalised(maps), velocity_summaries(maps), training, "a"))
    other = training._replace(seed=1)
    made.append(train_judge(VelocityJudge, _normalised(maps), velocity_summaries(maps), other, "a"))
    assert made[0].digest == made[1].digest != made[2].digest


def test_the_recipe_covers_samples_targets_settings_and_layers():
    samples, targets = torch.zeros(3, 1, 70, 70), torch.zeros(3, 2)
    changed = samples.clone()
    changed[2, 0, 69, 69] = 1
    recipes = [
        (VelocityJudge, samples, targets, SHORT),
        (VelocityJudge, changed, targets, SHORT),
        (VelocityJudge, samples, targets + 1, SHORT),
        (VelocityJudge, samples, targets, SHORT._replace(noise=0.1)),
        (SeismicJudge, samples, targets, SHORT),
    ]
    assert len({recipe_digest(*recipe) for recipe in recipes}) == 5
    assert recipe_digest(*recipes[0]) == recipe_digest(*recipes[0])


def test_it_trains_in_inference_mode_on_samples_made_there():
    with torch.inference_mode():
        maps = _layered(20, 2) + 1
        judge = train_judge(
            VelocityJudge, _normalised(maps), velocity_summaries(maps), JudgeTraining(2, batch_size=8), "a"
        )
        assert judge(_normalised(maps)).shape == (20, N_FEATURES)
    assert not any(weight.requires_grad for weight in judge.parameters())


def test_its_features_tell_the_family_from_mixtures_and_from_another(judge):
    real, more, other = (judge(_normalised(_layered(150, seed))) for seed in (1, 2, 3))
    mixed = 0.5 * (_layered(150, 4) + _layered(150, 6))
    held_out = torch.cat([real, more])
    same = frechet_against_held_out(other, held_out, 5).ratio
    assert same == pytest.approx(1, abs=0.5)
    assert frechet_against_held_out(judge(_normalised(mixed)), held_out, 5).ratio > 1.7 * same
    upside_down = judge(_normalised(_layered(150, 5).flip(1)))
    assert frechet_against_held_out(upside_down, held_out, 5).ratio > 20 * same


def test_features_are_standardised_over_the_training_samples(judge):
    features = judge(_normalised(_layered(300, 0)))
    torch.testing.assert_close(features.mean(0), torch.zeros(N_FEATURES), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.std(0), torch.ones(N_FEATURES), atol=1e-3, rtol=0)


@pytest.mark.parametrize("n_time", [50, 250, 1000])
def test_gathers_of_any_length_are_judged(n_time):
    gathers = torch.randn(4, 5, n_time, 70, generator=torch.Generator().manual_seed(0))
    assert SeismicJudge()(gathers).shape == (4, N_FEATURES)
    assert at_judges_rate(gathers).shape[2] == 250
    if n_time == 1000:
        assert torch.equal(at_judges_rate(gathers), gathers[:, :, ::4])


def test_coarse_maps_are_averages():
    maps = torch.arange(70.0).expand(2, 70, 70)
    torch.testing.assert_close(coarse_maps(maps)[1, :10], torch.arange(10.0) * 7 + 3)
