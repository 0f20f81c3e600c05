"""Each of the four signatures passes, is raised, and is unknown where it should be."""

import pytest

from experiments.failure_signatures import failure_signatures

GOOD = {
    "velocity/frechet_ratio": 1.1,
    "seismic/frechet_ratio": 1.3,
    "physics/residual_relative_l2": 0.3,
    "seismic/residual_relative_l2": 0.25,
    "inversion/generated/mae": 0.05,
    "inversion/real/mae": 0.06,
    "inversion/generated_maps_exact_simulator/mae": 0.04,
}


def _states(metrics, reference=None):
    return [signature.state for signature in failure_signatures(metrics, reference)]


def test_a_good_run_passes():
    assert _states(GOOD, {"velocity/frechet_ratio": 1.4, "seismic/frechet_ratio": 1.5}) == ["passed"] * 4


def test_without_figures_nothing_is_claimed():
    signatures = failure_signatures({})
    assert [signature.state for signature in signatures] == ["unknown"] * 4
    assert "physics/residual_relative_l2" in signatures[1].evidence
    assert "--variant without_two_step" in signatures[2].evidence
    assert _states({**GOOD, "physics/residual_relative_l2": float("nan")})[1] == "unknown"


@pytest.mark.parametrize(
    ("change", "which"),
    [
        ({"seismic/frechet_ratio": 9.0}, 0),
        ({"velocity/frechet_ratio": 9.0}, 0),
        ({"velocity/family_encoder/frechet_ratio": 1.2, "seismic/family_encoder/frechet_ratio": 13.0}, 0),
        ({"physics/residual_relative_l2": 0.9}, 1),
        ({"inversion/generated/mae": 0.07}, 3),
    ],
)
def test_each_sign_is_raised_alone(change, which):
    wanted = ["passed", "passed", "unknown", "passed"]
    wanted[which] = "raised"
    assert _states({**GOOD, **change}) == wanted


def test_both_modalities_at_their_floor_are_not_lopsided():
    assert _states({**GOOD, "velocity/frechet_ratio": 0.6, "seismic/frechet_ratio": 1.4})[0] == "passed"


def test_the_family_encoder_goes_first():
    metrics = {**GOOD, "seismic/frechet_ratio": 9.0}
    metrics |= {"velocity/family_encoder/frechet_ratio": 1.2, "seismic/family_encoder/frechet_ratio": 1.3}
    signature = failure_signatures(metrics)[0]
    assert signature.state == "passed"
    assert "family encoder" in signature.evidence


@pytest.mark.parametrize("modality", ["velocity", "seismic"])
def test_training_without_two_steps_may_win(modality):
    reference = {"velocity/frechet_ratio": 1.2, "seismic/frechet_ratio": 1.4}
    assert _states(GOOD, reference)[2] == "passed"
    assert _states(GOOD, {**reference, f"{modality}/frechet_ratio": 0.9})[2] == "raised"
    assert _states(GOOD, {f"{modality}/frechet_ratio": 1.2})[2] == "passed"
    assert _states(GOOD, {"unrelated": 1.0})[2] == "unknown"


def test_the_advice_follows_the_evidence():
    decoder = failure_signatures({**GOOD, "physics/residual_relative_l2": 0.9, "seismic/residual_relative_l2": 0.8})[1]
    diffusion = failure_signatures({**GOOD, "physics/residual_relative_l2": 0.9})[1]
    assert "train it longer" in decoder.advice
    assert "diffusion" in diffusion.advice
    maps = failure_signatures(
        {**GOOD, "inversion/generated/mae": 0.1, "inversion/generated_maps_exact_simulator/mae": 0.09}
    )[3]
    assert "maps themselves" in maps.advice
