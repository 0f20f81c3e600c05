"""What all data modules share: the global batch, and loaders that draw nothing themselves."""

import pytest
import torch
from torch.utils.data import TensorDataset

from datamodules.errors import DataError
from datamodules.openfwi import OpenFWIDataModule
from datamodules.shared_batches import SharedBatchDataModule
from datamodules.spectrograms import SpectrogramDataModule
from datamodules.travel_times import TravelTimeDataModule
from datamodules.wave_speeds import WaveSpeedDataModule
from tests.datamodules.ranks import on_rank

SIZE = 23


class Numbers(SharedBatchDataModule):
    """The numbers 0 to 22."""

    def __init__(self, batch_size: int = 6) -> None:
        super().__init__()
        self.batch_size, self.num_workers, self.seed = batch_size, 0, 3

    def train_dataloader(self):
        numbers = TensorDataset(torch.arange(SIZE))
        return self._loader(numbers, batch_sampler=self._training_batches(numbers))

    def val_dataloader(self):
        numbers = TensorDataset(torch.arange(SIZE))
        return self._loader(numbers, batch_sampler=self._evaluation_batches(numbers))


def batches(loader):
    return [batch.tolist() for (batch,) in loader]


def test_batch_k_of_all_processes_is_batch_k_of_one():
    whole = batches(on_rank(Numbers(), 0, 1, epoch=4).train_dataloader())
    shared = [batches(on_rank(Numbers(), rank, 2, epoch=4).train_dataloader()) for rank in range(2)]
    assert [sorted(one + two) for one, two in zip(*shared, strict=True)] == [sorted(batch) for batch in whole]
    assert len(whole) == SIZE // 6
    assert whole != batches(on_rank(Numbers(), 0, 1, epoch=5).train_dataloader())


def test_fewer_samples_than_a_batch_make_one_batch():
    [batch] = batches(Numbers(batch_size=64).train_dataloader())
    assert sorted(batch) == list(range(SIZE))


def test_evaluation_sees_each_sample_once():
    shares = [batches(on_rank(Numbers(), rank, 2).val_dataloader()) for rank in range(2)]
    assert len(shares[0]) == len(shares[1])
    assert sorted(number for share in shares for batch in share for number in batch) == list(range(SIZE))


def test_iterating_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    batches(Numbers().train_dataloader())
    batches(Numbers().val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "made",
    [
        lambda: OpenFWIDataModule(batch_size=4),
        lambda: SpectrogramDataModule(batch_size=4),
        lambda: WaveSpeedDataModule(batch_size=4),
        lambda: TravelTimeDataModule(batch_size=4),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(made):
    on_rank(made(), 1, 2).setup("fit")
    with pytest.raises(DataError, match=r"batch_size is 4, .* by 3 processes: choose a multiple of 3"):
        on_rank(made(), 0, 3).setup("fit")


def test_runs_of_points_of_one_wave_speed_stay_together():
    data = TravelTimeDataModule("grf", batch_size=48, points_together=16)
    on_rank(data, 0, 3).setup("fit")
    with pytest.raises(DataError, match=r"by 2 processes in runs of 16 points \(points_together\): .* multiple of 32"):
        on_rank(data, 0, 2).setup("fit")
