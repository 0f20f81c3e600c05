"""The OpenFWI data module: batches, their order on one and on several processes, resume, memory."""

import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.openfwi_dataset import OpenFWIBatch
from tests.datamodules.fake_openfwi import fake_maps
from tests.datamodules.fake_openfwi import make_data_module as make
from tests.datamodules.ranks import on_rank

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("fake_operator")


def seen(loader) -> OpenFWIBatch:
    """All batches of a loader as one."""
    batches = list(loader)
    seismic = None if batches[0].seismic is None else torch.cat([batch.seismic for batch in batches])
    return OpenFWIBatch(
        torch.cat([batch.index for batch in batches]), torch.cat([batch.velocity for batch in batches]), seismic
    )


# ---- batches -------------------------------------------------------------------------------------------------


def test_batches_are_normalised_on_transfer_and_read_the_same_twice(tmp_path, with_gathers):
    data = make(tmp_path)
    dataset = data.train_dataloader().dataset
    first, second = dataset.__getitems__([3, 1]), dataset.__getitems__([3, 1])
    normal = data.on_after_batch_transfer(first, 0)
    assert isinstance(normal, OpenFWIBatch)
    for one, two in zip(first, second, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    torch.testing.assert_close(normal.velocity, (first.velocity - 1500) / 1500 - 1)
    torch.testing.assert_close(normal.seismic, data.normalization.normalize_seismic(first.seismic))
    assert normal.velocity.shape == (2, 1, 70, 70)
    assert normal.seismic.shape == (2, 5, 250, 70)
    torch.testing.assert_close(dataset[3].velocity, first.velocity[:1])
    numbers = torch.arange(4)
    assert data.on_after_batch_transfer(numbers, 0) is numbers


@pytest.mark.parametrize(("stride", "length"), [(1, 1000), (3, 334), (4, 250), (7, 143), (500, 2)])
def test_the_time_axis_keeps_sample_zero(tmp_path, with_gathers, stride, length):
    data = make(tmp_path, time_stride=stride)
    pairs, full = data.physical_pairs("test", 2), data.physical_pairs("test", 2, full_rate=True)
    assert data.n_time_samples == length == pairs.seismic.shape[2]
    assert data.time_step_s == pytest.approx(stride * 1e-3)
    np.testing.assert_array_equal(pairs.seismic, full.seismic[:, :, ::stride])


def test_velocity_content_never_opens_seismic(tmp_path, with_gathers):
    for path in (with_gathers / "data").iterdir():
        path.write_bytes(b"")  # the slightest reading would fail
    data = make(tmp_path, content="velocity", n_maps=20)
    data.prepare_data()
    batch = seen(data.train_dataloader())
    assert batch.seismic is None
    assert sorted(batch.index.tolist()) == list(range(20))
    assert data.on_after_batch_transfer(batch, 0).seismic is None
    with pytest.raises(DataError, match=r"data1.npy is empty"):
        make(tmp_path).prepare_data()


def test_held_out_maps_are_seen_by_no_stage(tmp_path, with_gathers):
    training, held_out = set(), set()
    for content in ("velocity", "pairs"):
        data = make(tmp_path, content=content)
        for loader in (data.train_dataloader(), data.val_dataloader()):
            training |= {float(v[0, 0, 0]) + 1e5 * float(v.mean()) for batch in loader for v in batch.velocity}
        held_out |= {float(v[0, 0, 0]) + 1e5 * float(v.mean()) for v in seen(data.test_dataloader()).velocity}
    assert len(held_out) == 10
    assert not training & held_out


def test_limits_on_each_part(tmp_path, with_gathers):
    data = make(tmp_path, content="velocity", n_maps=15, n_test_maps=6)
    assert [len(seen(loader).index) for loader in (data.val_dataloader(), data.test_dataloader())] == [3, 6]
    assert len(data.train_dataloader().dataset) == 15
    pairs = make(tmp_path)
    sizes = [
        len(loader.dataset) for loader in (pairs.train_dataloader(), pairs.val_dataloader(), pairs.test_dataloader())
    ]
    assert sizes == [12, 2, 4]
    assert len(pairs.physical_maps("test", 3)) == 3


def test_worker_processes_give_the_same_batches(tmp_path, with_gathers):
    alone, helped = make(tmp_path), make(tmp_path, num_workers=2)
    for one, two in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_dataset_travels_to_workers_without_its_data(tmp_path, with_gathers):
    dataset = make(tmp_path).train_dataloader().dataset
    batch = dataset.__getitems__([0, 5, 11])  # now files are mapped
    sent = pickle.dumps(dataset)
    assert len(sent) < 20_000
    torch.testing.assert_close(pickle.loads(sent).__getitems__([0, 5, 11]), batch, rtol=0, atol=0)


def test_an_incomplete_batch_is_left_out_but_a_small_set_is_not(tmp_path, with_gathers):
    assert [len(b.index) for b in make(tmp_path, batch_size=5).train_dataloader()] == [5, 5]
    assert [len(b.index) for b in make(tmp_path, batch_size=64).train_dataloader()] == [12]


def test_loaders_leave_the_global_generator_alone(tmp_path, with_gathers):
    data = make(tmp_path)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        list(loader)
    assert torch.equal(torch.get_rng_state(), before)


# ---- several processes ---------------------------------------------------------------------------------------


def test_two_processes_take_the_batches_of_one(tmp_path, with_gathers):
    single = list(on_rank(make(tmp_path), 0, 1, epoch=3).train_dataloader())
    ranks = [list(on_rank(make(tmp_path), rank, 2, epoch=3).train_dataloader()) for rank in range(2)]
    assert len(single) == len(ranks[0]) == len(ranks[1]) == 3
    for whole, *shares in zip(single, *ranks, strict=True):
        assert sorted(whole.index.tolist()) == sorted(itertools.chain(*(share.index.tolist() for share in shares)))
    for stage in ("val_dataloader", "test_dataloader", "predict_dataloader"):
        indices = []
        for rank in range(2):
            for batch in getattr(on_rank(make(tmp_path, n_generated=9), rank, 2), stage)():
                indices += (batch if isinstance(batch, torch.Tensor) else batch.index).tolist()
        assert sorted(indices) == list(
            range({"val_dataloader": 2, "test_dataloader": 4, "predict_dataloader": 9}[stage])
        )


class Recorder(pl.LightningModule):
    """Trains nothing of interest and writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.orders, self.predicted, self.ranges = {}, [], []

    def training_step(self, batch, batch_idx):
        self.orders.setdefault(self.current_epoch, []).extend(batch.index.tolist())
        self.ranges.append((float(batch.velocity.abs().max()), float(batch.seismic.abs().max())))
        return self.layer(batch.velocity.mean().reshape(1, 1)).square().sum()

    def validation_step(self, batch, batch_idx):
        self.log("loss", batch.velocity.mean(), batch_size=len(batch.index))

    def predict_step(self, batch, batch_idx):
        self.predicted += batch.tolist()
        return batch

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # lightning 2.6 on torch 2.13
@pytest.mark.parametrize("num_workers", [0, 2])
def test_through_lightning_a_resumed_epoch_has_the_order_it_would_have_had(tmp_path, maps_only, num_workers):
    def trainer(max_epochs):
        return pl.Trainer(
            max_epochs=max_epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            default_root_dir=tmp_path, log_every_n_steps=1,
        )  # fmt: skip

    whole = Recorder()
    trainer(3).fit(whole, make(tmp_path, num_workers=num_workers))
    assert set(whole.orders) == {0, 1, 2}
    assert whole.orders[0] != whole.orders[1]
    assert max(max(pair) for pair in whole.ranges) <= 1.0, "normalised"

    first = trainer(1)
    first.fit(Recorder(), make(tmp_path))
    first.save_checkpoint(tmp_path / "a.ckpt")
    resumed = Recorder()
    trainer(3).fit(resumed, make(tmp_path, num_workers=num_workers), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert resumed.orders == {epoch: whole.orders[epoch] for epoch in (1, 2)}

    trainer(1).predict(whole, make(tmp_path, n_generated=10), return_predictions=False)
    assert whole.predicted == list(range(10))


# ---- memory and real data ------------------------------------------------------------------------------------


def test_anonymous_memory_of_a_whole_family(tmp_path):
    """30,000 maps (588 MB) and 42 GB of (sparse) gathers cost almost no anonymous memory."""
    base = tmp_path / "data" / "FlatVel-A"
    (base / "model").mkdir(parents=True)
    (base / "data").mkdir()
    np.save(base / "model" / "model1.npy", fake_maps(500)[:, None])
    with (base / "data" / "data1.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (500, 5, 1000, 70)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * 500 * 5 * 1000 * 70)
    for k in range(2, 61):
        (base / "model" / f"model{k}.npy").hardlink_to(base / "model" / "model1.npy")
        (base / "data" / f"data{k}.npy").hardlink_to(base / "data" / "data1.npy")
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import torch
from datamodules.openfwi import OpenFWIDataModule
from datamodules.openfwi_dataset import OpenFWIDataset
def anonymous_mb():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
before = anonymous_mb()
data = OpenFWIDataModule(data_root={str(tmp_path / "data")!r}, cache_root={str(tmp_path / "cache")!r},
                         content="velocity", batch_size=256)
data.prepare_data()
peak = anonymous_mb()
for k, batch in enumerate(data.train_dataloader()):
    peak = max(peak, anonymous_mb()) if k % 10 == 0 else peak
files, rows = data._data.files, torch.arange(0, 30_000, 100).numpy()
pairs = OpenFWIDataset(files.map_stack(), rows, files.seismic_stack(), rows)
for first in range(0, 300, 10):
    pairs.__getitems__(list(range(first, first + 10)))
    peak = max(peak, anonymous_mb())
print(len(data.train_dataloader().dataset), before, peak)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    n_maps, before, peak = (float(word) for word in result.stdout.split())
    assert n_maps == 24_000 - 200
    assert peak < 2000
    assert peak - before < 200, "the maps are 588 MB, and each of the 60 seismic files 700 MB"
