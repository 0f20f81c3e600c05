"""kill -9 at random moments, three times in each stage of each paper: the end is that of a run left in peace."""

import random
import time

import numpy as np
import pytest

from tests.processes import Runs, equal_metrics

KILLS = 3
OPTIONS = {
    "ubdiff": [f"--{s}.trainer.max_epochs=8" for s in ("autoencoder", "paired", "diffusion")],
    "harpa": ["--wave_speed", "grf", *(f"--{s}.trainer.max_epochs=8" for s in ("autoencoder", "field", "refine"))],
    "cubism": ["--transfer.trainer.max_epochs", "8"],
}

MINUTES = {"ubdiff": 4.5, "harpa": 2, "cubism": 1}


@pytest.mark.parametrize("paper", [pytest.param(p, marks=pytest.mark.slow(minutes=MINUTES[p])) for p in OPTIONS])
def test_three_kills_in_each_stage_change_nothing(paper, tmp_path):
    runs = Runs(paper, tmp_path, *OPTIONS[paper])
    runs.finish("whole")
    stages, moments = runs.stages("whole"), random.Random(0)
    lasted_s = {stage: float(runs.record("whole", stage)["metrics"][f"{stage}/seconds"]) for stage in stages}
    killed = dict.fromkeys(stages, 0)
    for stage in stages:
        while killed[stage] < KILLS:
            process = runs.start("killed")
            line = process.hears(f"stage {stage}: ")
            assert line, "".join(process.said)
            if ": skip" in line:  # it ended before the kill before this one
                process.kill()
                break
            time.sleep(moments.uniform(0.0, 0.5) * lasted_s[stage])
            if not process.kill():
                break
            killed[stage] += 1
    assert all(killed.values()), killed
    runs.finish("killed")
    assert runs.digests("killed") == runs.digests("whole")
    whole, again = runs.metrics("whole"), runs.metrics("killed")
    assert equal_metrics(whole, again), {k: (v, again.get(k)) for k, v in whole.items() if again.get(k) != v}
    for path in runs.folder("whole").glob("*.npz"):
        with np.load(path) as one, np.load(runs.folder("killed") / path.name) as two:
            assert all(np.array_equal(one[name], two[name], equal_nan=True) for name in one.files)
    assert not list(runs.folder("killed").rglob("*.partial")), "what a kill left half-written must be gone at the end"
