"""Where pairs come from: the three sources, the cache's key, provenance, and what a user can do wrong."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.simulate import velocity_maps, wave_equation
from tests.datamodules.fake_openfwi import fake_simulate, write_family
from tests.datamodules.fake_openfwi import make_data_module as make

REAL_DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "openfwi"
pytestmark = pytest.mark.usefixtures("fake_operator")


def test_real_pairs_are_read_as_they_are(tmp_path, with_gathers):
    data = make(tmp_path)
    data.prepare_data()
    assert data.source.kind == "real"
    assert not list((tmp_path / "cache").rglob("*.npy")), "nothing is simulated"
    pairs = data.physical_pairs("test", full_rate=True)
    assert pairs.seismic.shape == (4, 5, 1000, 70)
    np.testing.assert_array_equal(pairs.seismic, fake_simulate(pairs.velocity_m_s))
    batch = next(iter(data.train_dataloader()))
    np.testing.assert_array_equal(batch.seismic, fake_simulate(batch.velocity[:, 0].numpy())[:, :, ::4])


def test_gathers_are_simulated_once_from_real_maps(tmp_path, maps_only, monkeypatch):
    counted = []

    def simulate(velocity_m_s, *, workers=1):
        counted.extend(velocity_m_s)
        return fake_simulate(velocity_m_s)

    monkeypatch.setattr(wave_equation, "simulate_gathers", simulate)
    data = make(tmp_path)
    data.prepare_data()
    assert data.source.kind == "simulated"
    assert len(counted) == 12 + 2 + 4, "only the pairs that are used"
    make(tmp_path, time_stride=1, batch_size=3, n_maps=20).prepare_data()
    assert len(counted) == 18
    make(tmp_path, n_pairs=30).prepare_data()
    assert len(counted) == 18 + 18, "more pairs begin with those there were"
    folders = list((tmp_path / "cache" / "openfwi").glob("FlatVel-A-*"))
    assert len(folders) == 1
    layout = sorted(path.relative_to(folders[0]).as_posix() for path in folders[0].rglob("*.npy"))
    assert layout == sorted(
        f"{part}/{kind}/{kind}1.npy" for part in ("train", "validation", "test") for kind in ("data", "model")
    )
    pairs = data.physical_pairs("train")
    np.testing.assert_array_equal(pairs.seismic, fake_simulate(pairs.velocity_m_s)[:, :, ::4])
    assert not (maps_only / "data").exists(), "nothing is written beside the data"


def test_the_cache_is_keyed_by_what_it_is_made_from(tmp_path, maps_only, monkeypatch):
    folder = make(tmp_path)._data.gather_folder
    assert make(tmp_path, n_pairs=20, time_stride=1, n_maps=25)._data.gather_folder == folder
    assert make(tmp_path, pair_seed=1)._data.gather_folder != folder
    monkeypatch.setattr("datamodules.openfwi_source.operator_hash", lambda: "another operator")
    assert make(tmp_path)._data.gather_folder != folder
    monkeypatch.undo()
    maps = np.load(maps_only / "model" / "model3.npy")
    np.save(maps_only / "model" / "model3.npy", maps + 1)
    assert make(tmp_path)._data.gather_folder != folder


def test_synthetic_maps_where_no_folder_is_named(tmp_path):
    data = make(tmp_path, data_root=None, n_synthetic_maps=520, n_pairs=5)
    data.prepare_data()
    assert data.source.kind == "synthetic"
    assert data.source.provenance["licence"].startswith("none")
    again = make(tmp_path, data_root=None, n_synthetic_maps=520, cache_root=str(tmp_path / "other"))
    maps = data.physical_maps("train")
    np.testing.assert_array_equal(maps, again.physical_maps("train"))
    assert len(maps) == 500 - 3
    assert maps.min() >= 1500
    assert maps.max() <= 4500
    assert make(tmp_path, data_root=None, synthetic_seed=1).input_hashes() != data.input_hashes()
    pairs = data.physical_pairs("train")
    np.testing.assert_array_equal(pairs.seismic, fake_simulate(pairs.velocity_m_s)[:, :, ::4])


def test_other_families_need_files(tmp_path):
    assert set(velocity_maps.SYNTHETIC_FAMILIES) == {"FlatVel-A", "CurveVel-A"}
    data = make(tmp_path, data_root=None, dataset="Style-B")
    with pytest.raises(DataError, match=r"Style-B needs real files .*model1.npy .. model/model134.npy.*https://.*DIR"):
        data.prepare_data()


def test_a_named_folder_without_files_is_an_error_and_never_synthetic(tmp_path):
    with pytest.raises(DataError, match=r"is not a folder"):
        make(tmp_path).prepare_data()
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=r"holds no FlatVel-A maps"):
        make(tmp_path).prepare_data()
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_gathers_of_the_training_part_alone_are_not_used(tmp_path):
    write_family(tmp_path / "data", "FlatVel-A", 10, seismic=[0, 1])
    data = make(tmp_path)
    assert data.source.kind == "simulated"
    assert "2 seismic files are not used" in data.source.sentence


def test_provenance_is_plain_and_complete(tmp_path, maps_only):
    provenance = make(tmp_path).source.provenance
    assert all(isinstance(value, (str, int, float)) for value in provenance.values())
    assert provenance["licence"] == "CC BY-NC-SA 4.0"
    counts = {key: provenance[key] for key in ("maps", "train_maps", "train_pairs", "test_maps", "test_pairs")}
    assert counts == {"maps": 50, "train_maps": 37, "train_pairs": 12, "test_maps": 10, "test_pairs": 4}


def test_input_hashes_cover_what_is_used_and_no_more(tmp_path, with_gathers):
    pairs, maps = make(tmp_path).input_hashes(), make(tmp_path, content="velocity").input_hashes()
    assert set(maps) == {f"model/model{k}.npy" for k in range(1, 11)}
    assert set(maps) < set(pairs)
    assert {name for name in pairs if name.startswith("data/")}
    gathers = np.load(with_gathers / "data" / "data9.npy")
    np.save(with_gathers / "data" / "data9.npy", gathers + 1)
    assert make(tmp_path).input_hashes() != pairs
    assert make(tmp_path, content="velocity").input_hashes() == maps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "FlatVal-A"}, r"'FlatVal-A' is not .*: did you mean FlatVel-A\?"),
        ({"n_maps": 0}, r"n_maps is 0: it must be a whole number of at least 1"),
        ({"n_pairs": -3}, r"n_pairs is -3"),
        ({"time_stride": 0}, r"time_stride is 0"),
        ({"time_stride": 2.5}, r"time_stride is 2.5: it must be a whole number"),
        ({"time_stride": 600}, r"time_stride is 600: a gather has 1000 samples"),
        ({"n_maps": 5}, r"n_pairs is 12 but n_maps is 5: pairs are among the maps"),
        ({"num_workers": -1}, r"num_workers is -1"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        make(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_pairs": 38}, r"n_pairs is 38 but the train part has only 37 maps .*: set n_pairs to 37 or less"),
        ({"n_test_pairs": 11}, r"n_test_pairs is 11 but the test part has only 10"),
        ({"n_validation_pairs": 4}, r"n_validation_pairs is 4 but the validation part has only 3"),
        ({"n_maps": 38}, r"n_maps is 38 but the train part has only 37"),
        ({"n_test_maps": 11}, r"n_test_maps is 11 but the test part has only 10"),
        ({"n_validation_maps": 40}, r"n_validation_maps is 40 but 40 training maps"),
    ],
)
def test_more_than_there_is(tmp_path, maps_only, options, message):
    with pytest.raises(DataError, match=message):
        make(tmp_path, **options).prepare_data()
    assert not list((tmp_path / "cache").rglob("*.npy*"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda maps: maps / 1000, r"model4.npy holds values 1.5.*look like km/s or are normalised .* m/s are wanted"),
        (lambda maps: np.where(maps == maps[2].max(), np.nan, maps), r"model4.npy holds NaN .* sample 2"),
        (lambda maps: maps * 2, r"model4.npy holds velocities .* outside 1000..5900"),
    ],
)
def test_bad_velocities(tmp_path, maps_only, spoil, message):
    path = maps_only / "model" / "model4.npy"
    np.save(path, spoil(np.load(path)).astype(np.float32))
    with pytest.raises(DataError, match=message):
        make(tmp_path).prepare_data()


def test_bad_seismic(tmp_path, with_gathers):
    path = with_gathers / "data" / "data1.npy"
    gathers = np.load(path)
    np.save(path, gathers / 60)
    with pytest.raises(DataError, match=r"data1.npy holds values .* look normalised already: raw amplitudes"):
        make(tmp_path, n_pairs=37).prepare_data()
    gathers[3, 2, 500, 7] = np.nan
    np.save(path, gathers)
    with pytest.raises(DataError, match=r"data1.npy holds NaN or infinity, first in sample 3"):
        make(tmp_path, n_pairs=37).prepare_data()
    make(tmp_path, content="velocity").prepare_data()


def test_loading_before_preparing_says_so(tmp_path, maps_only):
    with pytest.raises(DataError, match=r"does not hold 12 gathers yet: call prepare_data"):
        make(tmp_path).train_dataloader()


def test_a_file_that_vanishes_after_verification(tmp_path, maps_only):
    data = make(tmp_path, content="velocity")
    data.prepare_data()
    loader = data.train_dataloader()
    (maps_only / "model" / "model1.npy").unlink()
    with pytest.raises(DataError, match=r"model1.npy can no longer be read"):
        list(loader)


def test_verify_says_what_was_found(tmp_path, maps_only):
    text = make(tmp_path).verify()
    assert "50 maps in 10 files" in text
    assert "train       37 maps, 37 of them used, 12 pairs" in text
    assert "all finite" in text
    assert "(all of OpenFWI's FlatVel-A: -26.95 .. 52.77)" in text
    write_family(tmp_path / "data", "FlatVel-A", 10, seismic=True)
    bad = maps_only / "data" / "data10.npy"
    np.save(bad, np.load(bad) * np.nan)
    with pytest.raises(DataError, match=r"data10.npy holds NaN"):
        make(tmp_path, n_test_pairs=1, n_pairs=1).verify()


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real OpenFWI maps (../shared/data/openfwi) are not here")
@pytest.mark.parametrize(("name", "n_maps"), [("FlatVel-A", 5000), ("CurveVel-A", 5000), ("FlatFault-A", 500)])
def test_real_maps(tmp_path, name, n_maps):
    data = make(tmp_path, dataset=name, data_root=str(REAL_DATA))
    data.prepare_data()
    assert data.source.kind == "simulated"
    provenance = data.source.provenance
    assert provenance["maps"] == n_maps
    assert provenance["test_maps"] == n_maps // 5
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    assert batch.velocity.abs().max() <= 1.0


def test_the_cache_holds_what_the_exact_operator_gives(tmp_path, maps_only, monkeypatch):
    monkeypatch.undo()  # the real operator
    data = make(tmp_path, n_pairs=1, n_validation_pairs=1, n_test_pairs=1)
    data.prepare_data()
    pairs = data.physical_pairs("test", full_rate=True)
    np.testing.assert_array_equal(pairs.seismic, wave_equation.simulate_gathers(pairs.velocity_m_s))
    assert 5 < pairs.seismic.max() < 60, "raw amplitudes as in OpenFWI"
