"""HARPA's stages on two processes: what one process gives, two give."""

import pytest

from tests.processes import Runs

STAGES = ("autoencoder", "field", "refine")
STARTS_FROM = {"field": "autoencoder", "refine": "field"}

RANDOM_FIELDS = ("--wave_speed", "grf")

pytestmark = pytest.mark.slow(minutes=0.4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made = Runs("harpa", tmp_path_factory.mktemp("processes"), "--association.data.n_trials", "1")
    made.finish("whole", *RANDOM_FIELDS)
    return made


def test_two_ranks_run_all_stages_and_skip_them_the_second_time(runs):
    said = runs.finish("ddp", *RANDOM_FIELDS, "--devices", "2")
    for stage in (*STAGES, "association"):
        assert said.count(f"stage {stage}: anew") == 1, "one rank decides"
    one, two = runs.metrics("whole"), runs.metrics("ddp")
    assert one.keys() == two.keys()
    assert one["association/confusion_factor"] == two["association/confusion_factor"], "the trials are the same"
    assert runs.finish("ddp", *RANDOM_FIELDS, "--devices", "2").count("skip (finished before)") == len(STAGES) + 1


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_learns_on_two_ranks_what_it_learns_on_one(runs, stage):
    """From the very same weights."""
    before = STARTS_FROM.get(stage)
    weights = str(runs.folder("whole") / before / "final.ckpt") if before else "null"
    options = ["--stage", stage, f"--{stage}.model.initial_weights", weights]
    options += ["--shared.model.optimizer", "adamw"]
    losses = []
    for devices in ("1", "2"):
        name = f"{stage}-{devices}"
        runs.finish(name, *RANDOM_FIELDS, "--devices", devices, *options, command="fit")
        losses.append(runs.history(name, stage, "train/loss")[0])
    # Not with SOAP, whose rotations by QR make large differences of the last digits.
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_known_speed_trains_on_two_ranks(runs):
    for devices in ("1", "2"):
        options = [
            "--wave_speed",
            "overthrust",
            "--devices",
            devices,
            "--stage",
            "field",
            "--shared.model.optimizer",
            "adamw",
        ]
        runs.finish(f"known-{devices}", *options, command="fit")
    one, two = (runs.history(f"known-{devices}", "field", "train/loss")[0] for devices in "12")
    assert two == pytest.approx(one, rel=1e-5)
