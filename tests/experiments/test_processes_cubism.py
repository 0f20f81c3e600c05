"""Cubism on two ranks: they give what one gives."""

import pytest

from tests.processes import Runs

CASES = {
    "cubism": ("cubism", "--shared.model.batch_statistics", "joint"),
    "cubism-per-volcano": ("cubism", "--shared.model.batch_statistics", "per_volcano"),
    "dann": ("dann",),
    "dm-ada": ("dm-ada",),
}

pytestmark = pytest.mark.slow(minutes=0.4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made = Runs("cubism", tmp_path_factory.mktemp("processes"))
    made.finish("whole", "--transfer.trainer.max_epochs", "8")
    return made


def test_two_ranks_run_it_all_and_skip_it_the_second_time(runs):
    said = runs.finish("ddp", "--devices", "2", "--transfer.trainer.max_epochs", "8")
    assert said.count("stage transfer: anew") == said.count("stage evaluate: anew") == 1, "one rank decides"
    one, two = runs.metrics("whole"), runs.metrics("ddp")
    assert one.keys() == two.keys()
    assert two["target/n"] == one["target/n"]
    # Sums in another order, over some hundred steps.
    ours, theirs = (runs.history(name, "transfer", "ratio/estimate") for name in ("whole", "ddp"))
    assert len(ours) == len(theirs)
    assert theirs[:5] == pytest.approx(ours[:5], abs=0.02)
    again = runs.finish("ddp", "--devices", "2", "--transfer.trainer.max_epochs", "8")
    assert again.count("skip (finished before)") == 2


@pytest.mark.parametrize("case", CASES)
def test_a_method_learns_on_two_ranks_what_it_learns_on_one(runs, case):
    """The same global batches from the same weights, with pre-training over: the first steps' losses, to rounding."""
    losses = {}
    method, *switches = CASES[case]
    for devices in ("1", "2"):
        name = f"{case}-{devices}"
        options = ["--method", method, *switches, "--devices", devices, "--shared.model.pretrain_epochs", "0"]
        options += ["--transfer.trainer.max_epochs", "2", "--transfer.trainer.limit_train_batches", "3"]
        runs.finish(name, "--stage", "transfer", *options, command="fit")
        logged = ("train/loss", "train/classification")
        losses[devices] = [runs.history(name, "transfer", metric)[0] for metric in logged]
    assert losses["2"] == pytest.approx(losses["1"], rel=1e-5)
