"""Training sets for inversion: which pairs, in which order, and what is said when samples.npz does not fit."""

import pickle

import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.inversion import InversionDataModule
from datamodules.sample_file import GeneratedPairs, map_member, sample_facts
from tests.datamodules.fake_openfwi import fake_maps, fake_simulate
from tests.datamodules.ranks import on_rank

pytestmark = pytest.mark.usefixtures("fake_operator")
N = 10
ALL = ("real", "generated", "generated_and_real", "generated_maps_exact_simulator")


@pytest.fixture
def samples(tmp_path):
    """Ten generated pairs whose gathers are not those that the operator gives, at 4 ms."""
    maps = fake_maps(N, seed=100) + 300
    maps[0, 5, 5] = 9000  # outside the operator's range
    path = tmp_path / "samples.npz"
    seismic = fake_simulate(maps)[:, :, ::4] + 1
    np.savez(path, velocity_m_s=maps, seismic=seismic, time_step_s=np.float64(0.004), seed=np.int64(0))
    return path


def make(tmp_path, **options) -> InversionDataModule:
    settings = {
        "data_root": str(tmp_path / "data"), "cache_root": str(tmp_path / "cache"), "n_pairs": 12,
        "n_validation_maps": 3, "n_validation_pairs": 2, "n_test_pairs": 4, "batch_size": 4, "time_stride": 4,
        "samples": str(tmp_path / "samples.npz"),
    }  # fmt: skip
    data = InversionDataModule(**{**settings, **options})
    return data


def seen(data: InversionDataModule):
    data.prepare_data()
    data.setup("fit")
    return list(data.train_dataloader())


def test_members_are_mapped_and_not_read(samples):
    with np.load(samples) as expected:
        for name in ("velocity_m_s", "seismic"):
            member = map_member(samples, name)
            assert isinstance(member, np.memmap)
            np.testing.assert_array_equal(member, expected[name])
    pairs = GeneratedPairs(samples, 6)
    first = pairs.__getitems__([4, 2])
    assert len(pairs) == 6
    assert len(pickle.dumps(pairs)) < 1000
    torch.testing.assert_close(pickle.loads(pickle.dumps(pairs))[4].seismic, first.seismic[:1])
    np.testing.assert_array_equal(pairs.maps(), map_member(samples, "velocity_m_s")[:6])


def test_real_pairs_are_those_that_the_generator_had(tmp_path, maps_only):
    data = make(tmp_path, samples=None)
    batches = seen(data)
    own = data.physical_pairs("train")
    assert sorted(torch.cat([b.index for b in batches]).tolist()) == list(range(12))
    for batch in batches:
        np.testing.assert_array_equal(batch.velocity[:, 0], own.velocity_m_s[batch.index])
        np.testing.assert_array_equal(batch.seismic, own.seismic[batch.index])


def test_generated_pairs_come_with_their_own_gathers_or_with_exact_ones(tmp_path, maps_only, samples):
    with np.load(samples) as file:
        maps, gathers = file["velocity_m_s"], file["seismic"]
    for batch in seen(make(tmp_path, training_set="generated")):
        np.testing.assert_array_equal(batch.velocity[:, 0], maps[batch.index])
        np.testing.assert_array_equal(batch.seismic, gathers[batch.index])
    clipped = maps.clip(1000, 5900)
    exact = fake_simulate(clipped)[:, :, ::4]
    indices = []
    for batch in seen(make(tmp_path, training_set="generated_maps_exact_simulator", n_generated=8)):
        np.testing.assert_array_equal(batch.velocity[:, 0], clipped[batch.index])
        np.testing.assert_array_equal(batch.seismic, exact[batch.index])
        indices += batch.index.tolist()
    assert sorted(indices) == list(range(8))


def test_both_stand_in_every_batch_by_their_share(tmp_path, maps_only, samples):
    data = make(tmp_path, training_set="generated_and_real", real_share=0.25)
    batches = seen(data)
    assert len(batches) == (12 + N) // 4
    with np.load(samples) as file:
        maps, gathers = file["velocity_m_s"], file["seismic"]
    own = data.physical_pairs("train")
    for batch in batches:
        assert (batch.index < 12).sum() == 1
        for i, index in enumerate(batch.index.tolist()):
            pair = (
                (own.velocity_m_s[index], own.seismic[index]) if index < 12 else (maps[index - 12], gathers[index - 12])
            )
            np.testing.assert_array_equal(batch.velocity[i, 0], pair[0])
            np.testing.assert_array_equal(batch.seismic[i], pair[1])


def test_after_the_mixed_epochs_all_pairs_are_real(tmp_path, maps_only, samples):
    data = make(tmp_path, training_set="generated_and_real", samples_per_epoch=8, mixed_epochs=1)
    data.prepare_data()
    for epoch, n_real in enumerate((4, 8)):
        on_rank(data, 0, 1, epoch)
        assert sum(int((batch.index < 12).sum()) for batch in data.train_dataloader()) == n_real


def test_all_sets_give_epochs_of_the_same_length(tmp_path, maps_only, samples):
    for training_set in ALL:
        data = make(tmp_path, training_set=training_set, samples_per_epoch=24)
        on_rank(data, 0, 1, epoch=1)
        batches = seen(data)
        assert [len(batch.velocity) for batch in batches] == [4] * 6
        normal = data.on_after_batch_transfer(batches[0], 0)
        torch.testing.assert_close(normal.velocity, data.normalization.normalize_velocity(batches[0].velocity))


def test_validation_and_test_are_real_for_every_set(tmp_path, maps_only, samples):
    kept = {}
    for training_set in ALL:
        data = make(tmp_path, training_set=training_set)
        data.prepare_data()
        kept[training_set] = [
            torch.cat([b.velocity for b in loader]) for loader in (data.val_dataloader(), data.test_dataloader())
        ]
        for one, real in zip(kept[training_set], kept["real"], strict=True):
            torch.testing.assert_close(one, real, rtol=0, atol=0)


def test_what_was_used_is_said_and_hashed(tmp_path, maps_only, samples):
    sha256 = sample_facts(samples).sha256
    for training_set in ALL:
        data = make(tmp_path, training_set=training_set)
        data.prepare_data()
        assert (data.input_hashes().get("generated pairs") == sha256) == (training_set != "real")
        source = data.source
        assert source.kind == "simulated"
        assert source.provenance["training_set"] == training_set
        assert ("12 real" in source.sentence) == ("real" in training_set)
        assert ("10 generated" in source.sentence) == (training_set != "real")
    assert "generated maps" in data.verify()


def test_it_can_be_made_before_the_samples_exist(tmp_path, maps_only):
    data = make(tmp_path, training_set="generated")
    with pytest.raises(DataError, match=r"samples: there is no file .*samples.npz: generate pairs first"):
        data.prepare_data()
    with pytest.raises(DataError, match="samples is not set: training_set 'generated' needs"):
        make(tmp_path, training_set="generated", samples=None).prepare_data()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training_set": "all"}, "training_set is 'all': choose one of real, generated"),
        ({"n_generated": 0}, "n_generated is 0"),
        ({"samples_per_epoch": 0}, "samples_per_epoch is 0"),
        ({"training_set": "generated_and_real", "real_share": 1.0}, "real_share is 1.0: of 4 samples"),
    ],
)
def test_impossible_arguments_are_refused(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        make(tmp_path, **options)


def test_samples_that_do_not_fit_are_refused_in_one_sentence(tmp_path, maps_only, samples):
    with pytest.raises(DataError, match=r"n_generated is 11 but .* holds 10 pairs"):
        make(tmp_path, training_set="generated", n_generated=11).prepare_data()
    with pytest.raises(DataError, match=r"250 samples of 0.004 s, but time_stride 2 wants 500 of 0.002 s"):
        make(tmp_path, training_set="generated", time_stride=2).prepare_data()
    good = dict(np.load(samples))
    for change, message in (
        ({"seismic": np.full_like(good["seismic"], np.nan)}, "seismic of pair 0 in .* holds NaN"),
        ({"velocity_m_s": good["velocity_m_s"][:3]}, r"holds arrays .*, not \(n, 70, 70\)"),
        ({"velocity_m_s": good["velocity_m_s"].astype(float)}, "is not a float32 array"),
    ):
        np.savez(samples, **{**good, **change})
        with pytest.raises(DataError, match=message):
            make(tmp_path, training_set="generated").prepare_data()
    np.savez_compressed(samples, **good)
    with pytest.raises(DataError, match="is compressed"):
        make(tmp_path, training_set="generated").prepare_data()
    samples.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cannot be read .*: generate the pairs again"):
        make(tmp_path, training_set="generated").prepare_data()
