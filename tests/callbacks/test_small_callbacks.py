"""Seeding, resources, progress: what each promises."""

import gc
import mmap
import random
import time
from types import SimpleNamespace

import numpy as np
import torch

from callbacks.epoch_seed import EpochSeed
from callbacks.progress import StageProgress
from callbacks.stage_resources import StageResources, peak_memory_bytes, reset_peak_memory


def _draws(seed, epoch, rank=0):
    EpochSeed(seed).on_train_epoch_start(SimpleNamespace(current_epoch=epoch, global_rank=rank), None)
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_an_epoch_draws_the_same_whatever_came_before():
    first = _draws(0, 3)
    torch.rand(7)
    assert _draws(0, 3) == first


def test_epochs_seeds_and_ranks_draw_differently_in_each_library():
    draws = [_draws(seed, epoch, rank) for seed in (0, 1) for epoch in (0, 1) for rank in (0, 1)]
    for each in zip(*draws, strict=True):
        assert len(set(each)) == 8


def test_seconds_go_on_after_a_resume():
    before = StageResources()
    before.load_state_dict({"seconds": 100.0, "cpu_seconds": 50.0})
    assert before.spent == {"seconds": 100.0, "cpu_seconds": 50.0}
    before.on_fit_start(None, None)
    sum(range(100_000))
    before.on_fit_end(None, None)
    time.sleep(0.01)  # of no account once it has ended
    after = before.state_dict()
    assert 100.0 < after["seconds"] < 101.0
    assert 50.0 < after["cpu_seconds"] < 51.0
    assert after == before.spent


def test_peak_memory_sees_an_allocation():
    # What earlier tests left must not be given back to the system in the middle of this one: it is collected now, and
    # no large piece is asked of the allocator or freed, which is when it tidies up.
    gc.collect()
    megabyte = b"1" * 1_000_000
    reset_peak_memory()
    before = peak_memory_bytes()
    with mmap.mmap(-1, 50 * len(megabyte)) as block:
        for _ in range(50):
            block.write(megabyte)
    assert peak_memory_bytes() >= before + 40 * len(megabyte)


def test_progress_lines_stay_apart_in_time_and_the_last_one_comes(capsys):
    progress = StageProgress("paired", interval_s=1e9)
    for epoch in range(3):
        trainer = SimpleNamespace(
            max_epochs=3, current_epoch=epoch, global_step=5, is_global_zero=True, callback_metrics={"train/loss": 0.5}
        )
        progress.on_train_epoch_end(trainer, None)
    assert capsys.readouterr().err == "  paired: epoch 3/3, step 5, loss 0.5\n"
