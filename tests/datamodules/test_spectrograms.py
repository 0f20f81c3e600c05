"""The data module of two volcanoes: no target label in training, splits, batches, caches, and bad input."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules import spectrogram_cache
from datamodules.errors import DataError
from datamodules.spectrogram_source import rank_auc
from datamodules.spectrograms import LabelledBatch, SpectrogramDataModule, TransferBatch
from datamodules.volcano_chile import FILE_NAME
from datamodules.waveform_preprocessing import Preprocessing
from tests.datamodules.fake_volcanoes import events, write_hdf5, write_volcano

CHILE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "volcano" / FILE_NAME


@pytest.fixture
def two(tmp_path):
    """Two small volcanoes of a user's own."""
    write_volcano(tmp_path / "data" / "Etna", 24, 12)
    write_volcano(tmp_path / "data" / "Fogo", 20, 10, seed=1, rate_hz=50.0)
    return tmp_path


def _module(root, **settings):
    defaults = {
        "source": "Etna", "target": "Fogo", "data_root": str(root / "data"), "cache_root": str(root / "cache"),
        "batch_size": 8, "size": 16,
    }  # fmt: skip
    return SpectrogramDataModule(**{**defaults, **settings})


def _training(module):
    return [torch.cat([part.flatten() for part in batch]) for batch in module.train_dataloader()]


# ---- labels of the target ------------------------------------------------------------------------------------------


def test_random_target_labels_give_identical_training_and_validation(two):
    honest = _module(two)
    random = _module(two)
    labels = random._data.events["target"].labels
    labels[:] = np.random.default_rng(0).permutation(labels)
    assert not np.array_equal(labels, honest.events("target").label)
    for one, other in zip(_training(honest), _training(random), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(honest.val_dataloader(), random.val_dataloader(), strict=True):
        for a, b in zip(one, other, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert torch.equal(honest.source_class_frequencies, random.source_class_frequencies)
    assert torch.equal(honest.training_images("target"), random.training_images("target"))
    assert torch.equal(honest.image_mean, random.image_mean)


def test_target_labels_appear_in_the_test_loaders_alone(two):
    module = _module(two)
    assert TransferBatch._fields == ("source_image", "source_label", "target_image")
    for batch in (*module.val_dataloader()[1], *module.predict_dataloader()):
        assert (batch.label == -1).all()
    found = torch.cat([batch.label for batch in module.test_dataloader()[0]])
    np.testing.assert_array_equal(found.numpy(), module.events("target").label)


# ---- batches -------------------------------------------------------------------------------------------------------


def test_training_batches(two):
    module = _module(two)
    batches = list(module.train_dataloader())
    assert len(batches) == 33 // 8
    for batch in batches:
        assert batch.source_image.shape == batch.target_image.shape == (8, 1, 16, 16)
        assert batch.source_image.dtype == torch.float32
        assert batch.source_label.dtype == torch.int64
        assert 0 <= batch.source_image.min() <= batch.source_image.max() <= 1
    balanced = _module(two, class_balanced=True)
    assert all((batch.source_label == 1).sum() == 4 for batch in balanced.train_dataloader())
    workers = _module(two, num_workers=1)
    for one, other in zip(batches, workers.train_dataloader(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_hold_the_images_and_labels_of_their_rows(two):
    module = _module(two)
    images, table = module.images("source"), module.events("source")
    for batch in module.test_dataloader()[1]:
        np.testing.assert_array_equal(batch.image.numpy(), images[batch.index.numpy()])
        np.testing.assert_array_equal(batch.label.numpy(), table.label[batch.index.numpy()])
    maker = Preprocessing.from_dict(module.preprocessing)
    np.testing.assert_array_equal(images[5], maker.image(*module.waveform("source", 5)))


def test_every_event_is_evaluated_once(two):
    module = _module(two)
    loaders: list[DataLoader[LabelledBatch]] = [*module.test_dataloader(), module.predict_dataloader()]
    for loader, n in zip(loaders, (30, 36, 30), strict=True):
        assert torch.cat([batch.index for batch in loader]).sort().values.tolist() == list(range(n))


def test_validation_events_are_not_trained_on(two):
    module = _module(two)
    training, validation = module.split_rows()
    assert sorted([*training, *validation]) == list(range(36))
    assert len(validation) == 2 + 1
    shown = torch.cat([batch.index for batch in module.val_dataloader()[0]]).tolist()
    assert shown == validation.tolist()
    assert len(module.training_images("source")) == 33
    np.testing.assert_allclose(module.source_class_frequencies.numpy(), [22 / 33, 11 / 33])
    both = torch.cat([module.training_images("source"), module.training_images("target")])
    torch.testing.assert_close(module.image_mean, both.mean(dim=0))


def test_folds_cover_the_source_once(two):
    folds = [_module(two, validation_fold=fold, n_folds=3).split_rows()[1] for fold in range(3)]
    assert sorted(np.concatenate(folds).tolist()) == list(range(36))
    labels = _module(two).events("source").label
    assert [np.bincount(labels[fold]).tolist() for fold in folds] == [[8, 4]] * 3


def test_copies_of_an_event_stay_on_one_side(two):
    table = events(24, 0)
    table[12:] = table[:12]
    write_hdf5(two / "data" / "Etna" / "lp.hdf5", table)
    for seed in range(5):
        training, validation = _module(two, seed=seed, validation_fraction=0.2).split_rows()
        content = np.array(_module(two)._data.events["source"].content)
        assert not set(content[training]) & set(content[validation])


# ---- caches and provenance -----------------------------------------------------------------------------------------


def test_images_are_made_once(two, monkeypatch):
    first = np.array(_module(two).images("source"))

    def fail(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(Preprocessing, "image", fail)
    np.testing.assert_array_equal(_module(two).images("source"), first)
    with pytest.raises(AssertionError, match="made again"):
        _module(two, floor_db=40.0).images("source")


def test_two_workers_make_the_same_images(two, monkeypatch):
    monkeypatch.setattr(spectrogram_cache.os, "cpu_count", lambda: 2)
    one = np.array(_module(two).images("target"))
    monkeypatch.setattr(spectrogram_cache.os, "cpu_count", lambda: 1)
    np.testing.assert_array_equal(_module(two, cache_root=str(two / "other")).images("target"), one)


@pytest.mark.slow
def test_imf_std_in_two_processes(two, monkeypatch):
    monkeypatch.setattr(spectrogram_cache, "_POOL_FROM", 1)
    monkeypatch.setattr(spectrogram_cache.os, "cpu_count", lambda: 2)
    module = _module(two, standardization="imf")
    waveform, rate_hz = module.waveform("target", 3)
    np.testing.assert_array_equal(module.images("target")[3], module.image_maker.image(waveform, rate_hz))


def test_a_run_says_what_its_data_are(two):
    module = _module(two)
    source = module.source
    assert source.kind == "real"
    assert "24 LP, 12 VT at 100 Hz" in source.sentence
    assert "20 LP, 10 VT at 50 Hz" in source.sentence
    assert source.provenance["preprocessing_floor_db"] == "60.0"
    assert source.provenance["source_training_events"] == 33
    hashes = module.input_hashes()
    assert set(hashes) == {"source Etna", "target Fogo", "preprocessing"}
    write_hdf5(two / "data" / "Fogo" / "vt.hdf5", events(10, 1, seed=2))
    changed = _module(two).input_hashes()
    assert {name for name in hashes if hashes[name] != changed[name]} == {"target Fogo"}
    assert "images 16 x 16" in module.verify()


def test_one_synthetic_volcano_makes_a_synthetic_pair(two):
    (two / "data" / "Fogo" / "volcano.yaml").write_text("sampling_rate_hz: 50\nkind: synthetic\n")
    assert _module(two).source.kind == "synthetic"


def test_the_area_under_the_curve():
    labels = np.array([0, 0, 1, 1])
    assert rank_auc(np.array([1.0, 2, 3, 4]), labels) == 1.0
    assert rank_auc(np.array([4.0, 3, 2, 1]), labels) == 0.0
    assert rank_auc(np.array([1.0, 1, 1, 1]), labels) == 0.5


def test_lengths_that_tell_the_class_are_announced(two):
    table = events(12, 1)
    table[:, 800:] = 0.0
    write_hdf5(two / "data" / "Etna" / "vt.hdf5", table)
    assert _module(two).source.provenance["record_length_auc"] == 0.0
    assert "tells the class" in _module(two).verify()
    with pytest.warns(UserWarning, match="length of Etna's records tells their class"):
        _module(two, padding="zero").prepare_data()


@pytest.mark.skipif(not CHILE.is_file(), reason="../shared/data/volcano is not on this machine")
def test_the_chilean_pair(tmp_path):
    module = SpectrogramDataModule(
        "NVCh", "CAU", data_root=str(CHILE.parent), cache_root=str(tmp_path), batch_size=4, size=16
    )
    assert "too few to rank" in module.source.sentence
    training, validation = module.split_rows()
    groups = np.array(module.events("source").group)
    assert not set(groups[training]) & set(groups[validation])
    assert (len(training), len(validation)) == (14, 2)
    assert len(list(module.train_dataloader())) == 3


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 1}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"validation_fold": 5}, "validation_fold"),
        ({"floor_db": -1.0}, "floor_db"),
        ({"synthetic_share": 0.0}, "synthetic_share"),
        ({"order": "mine"}, "order"),
    ],
)
def test_impossible_arguments(settings, message):
    with pytest.raises(DataError, match=message):
        SpectrogramDataModule(**settings)


def test_a_source_needs_both_classes_and_labels(two):
    write_hdf5(two / "data" / "Etna" / "vt.hdf5", events(0, 1))
    with pytest.raises(DataError, match="source Etna has no VT event"):
        _module(two).prepare_data()
    _module(two, source="Fogo", target="Etna").prepare_data()  # a target may lack a class


def test_a_target_may_be_without_labels(two):
    folder = two / "data" / "Fogo"
    (folder / "lp.hdf5").rename(folder / "unlabelled.hdf5")
    (folder / "vt.hdf5").unlink()
    module = _module(two)
    assert (module.events("target").label == -1).all()
    assert len(list(module.train_dataloader())) == 4


def test_events_in_both_volcanoes(two):
    table = events(20, 0, seed=1, rate_hz=50.0)
    table[7] = events(24, 0)[3]
    write_hdf5(two / "data" / "Fogo" / "lp.hdf5", table)
    (two / "data" / "Fogo" / "volcano.yaml").write_text("sampling_rate_hz: 100")
    with pytest.raises(DataError, match=r"1 events of the target Fogo .* first lp:7 \(there lp:3\)"):
        _module(two).prepare_data()
    with pytest.raises(DataError, match="both Etna"):
        _module(two, target="Etna").prepare_data()


def test_a_record_that_the_preprocessing_refuses_is_named(two):
    (two / "data" / "Fogo" / "volcano.yaml").write_text("sampling_rate_hz: 20")
    with pytest.raises(DataError, match=r"Fogo, event lp:0 .*lp\.hdf5\): the sampling rate is 20 Hz"):
        _module(two).prepare_data()


def test_an_uneven_share_of_the_batch_is_refused(two, monkeypatch):
    module = _module(two, batch_size=9)
    module.setup("fit")
    monkeypatch.setattr(SpectrogramDataModule, "_ranks", property(lambda self: (0, 2)))
    with pytest.raises(DataError, match="choose a multiple of 2"):
        module.setup("fit")
