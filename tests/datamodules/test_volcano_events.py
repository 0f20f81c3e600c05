"""A volcano by its name: folders, lists, the Chilean file, twins; and what is said of bad ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from datamodules import volcano_twins
from datamodules.errors import DataError
from datamodules.simulate.volcano_events import volcano_event
from datamodules.simulate.volcano_parameters import DECEPTION, LLAIMA
from datamodules.volcano_chile import FILE_NAME
from datamodules.volcano_events import load_volcano, read_waveforms, write_twins
from datamodules.volcano_records import unpadded_length
from tests.datamodules.fake_volcanoes import events, write_hdf5, write_volcano

CHILE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "volcano" / FILE_NAME


@pytest.fixture
def small_twins(monkeypatch):
    twins = {p.name: replace(p, n_lp=4, n_vt=3) for p in (LLAIMA, DECEPTION)}
    monkeypatch.setattr(volcano_twins, "TWINS", twins)


# ---- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_of_hdf5_files(tmp_path):
    found = load_volcano(str(write_volcano(tmp_path / "Etna", rate_hz=80.0)))
    assert (found.name, found.kind, found.sampling_rate_hz, found.counts()) == ("Etna", "real", 80.0, (12, 6))
    assert len(set(found.ids)) == 18
    np.testing.assert_array_equal(found.waveforms[13], events(6, 1, rate_hz=80.0)[1])
    assert "12 LP, 6 VT" in found.sentence


def test_llaima_as_published_with_other_classes_left_out(tmp_path):
    folder = write_volcano(tmp_path / "Seimic Events")
    (folder / "volcano.yaml").unlink()
    write_hdf5(folder / "tc.hdf5", events(2, 0))
    (folder / "TR").mkdir()
    found = load_volcano("Llaima", tmp_path)
    assert found.counts() == (12, 6)
    assert found.sampling_rate_hz == 100.0
    assert "left out: TR, tc.hdf5" in found.sentence


def test_a_folder_of_files_and_a_list_of_files_are_the_same(tmp_path):
    for label, name in enumerate(("LP", "VT")):
        (tmp_path / "a" / name).mkdir(parents=True)
        for i, record in enumerate(events(2, label)):
            np.savez(tmp_path / "a" / name / f"{i}.npz", waveform=record, sampling_rate_hz=100.0)
    (tmp_path / "a" / "unlabelled").mkdir()
    np.savez(tmp_path / "a" / "unlabelled" / "x.npz", waveform=events(1, 0, seed=9)[0], sampling_rate_hz=100.0)
    one = load_volcano(str(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "files")
    rows = ["LP/0.npz,LP,q1", "LP/1.npz,lp,q1", "VT/0.npz,VT,", "VT/1.npz,VT,", "unlabelled/x.npz,,", "VT/0.npz,TR,"]
    (tmp_path / "b" / "events.csv").write_text("file,label,group\n" + "\n".join(f"files/{row}" for row in rows))
    other = load_volcano(str(tmp_path / "b"))
    assert one.labels.tolist() == other.labels.tolist() == [0, 0, 1, 1, -1]
    assert one.content == other.content
    assert other.groups[0] == other.groups[1] == "q1"
    assert other.groups[2] != other.groups[3]
    assert "left out: events of class TR" in other.sentence


def test_the_rate_must_be_known_and_one(tmp_path):
    folder = write_volcano(tmp_path / "Etna")
    (folder / "volcano.yaml").unlink()
    with pytest.raises(DataError, match=r"sampling rate of .* is not known"):
        load_volcano(str(folder))
    assert load_volcano(str(folder), sampling_rate_hz=20.0).sampling_rate_hz == 20.0
    write_hdf5(folder / "vt.hdf5", events(6, 1), sampling_rate_hz=50.0)
    with pytest.raises(DataError, match=r"100 Hz by the argument but 50 Hz by vt\.hdf5"):
        load_volcano(str(folder), sampling_rate_hz=100.0)


def test_llaima_at_another_rate_is_refused(tmp_path):
    write_volcano(tmp_path / "Llaima", rate_hz=50.0)
    with pytest.raises(DataError, match=r"50 Hz by volcano\.yaml but 100 Hz by the publication"):
        load_volcano("Llaima", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sampling_rate_hz: fast", "wanted a positive number"),
        ("sampling_rate_hz: -1", "wanted a positive number"),
        ("rate: 50", "nothing else"),
        ("kind: fake", "real or synthetic"),
        ("a: [", "cannot be read"),
    ],
)
def test_settings_of_a_folder(tmp_path, text, message):
    (write_volcano(tmp_path / "Etna") / "volcano.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_volcano(str(tmp_path / "Etna"))


def test_bad_traces_are_refused_or_left_out(tmp_path):
    folder = write_volcano(tmp_path / "Etna")
    table = events(6, 1)
    table[2, 5], table[4] = np.nan, 1.0
    write_hdf5(folder / "vt.hdf5", table)
    with pytest.raises(DataError, match=r"vt\.hdf5: vt:2 holds NaN or infinity \(row 14.*1 more"):
        load_volcano(str(folder))
    found = load_volcano(str(folder), bad_traces="leave_out")
    assert found.counts() == (12, 4)
    assert "2 bad records left out" in found.sentence


def test_an_empty_class_is_said(tmp_path):
    folder = write_volcano(tmp_path / "Etna")
    write_hdf5(folder / "vt.hdf5", events(0, 1))
    assert "empty: vt.hdf5" in load_volcano(str(folder)).sentence


def test_what_is_no_volcano(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "events.csv").write_text("path,class\n")
    for name, message in {"nowhere": "no events of 'nowhere'", str(tmp_path / "empty"): "no events of"}.items():
        with pytest.raises(DataError, match=message):
            load_volcano(name, tmp_path)
    with pytest.raises(DataError, match="file and label are wanted"):
        load_volcano(str(tmp_path / "list"))
    with pytest.raises(DataError, match=r"make data-volcano"):
        load_volcano("Deception", tmp_path)
    with pytest.raises(DataError, match=FILE_NAME):
        load_volcano("NVCh", None)


# ---- unlabelled records ------------------------------------------------------------------------------------------


def test_records_of_a_catalogue(tmp_path):
    np.savez(tmp_path / "a.npz", waveform=events(1, 0)[0], sampling_rate_hz=50.0)
    write_hdf5(tmp_path / "more" / "b.hdf5", events(2, 1), sampling_rate_hz=100.0)
    ids, waveforms, rates_hz = read_waveforms(tmp_path)
    assert ids == ["a.npz", "more/b.hdf5:0", "more/b.hdf5:1"]
    assert rates_hz == [50.0, 100.0, 100.0]
    assert len(waveforms) == 3
    np.save(tmp_path / "c.npy", events(1, 0)[0])
    with pytest.raises(DataError, match=r"sampling rate of c\.npy is not known"):
        read_waveforms(tmp_path)
    assert read_waveforms(tmp_path / "c.npy", 75.0)[2] == [75.0]
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no record"):
        read_waveforms(tmp_path / "none")


# ---- twins -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_twins")
def test_twins_have_the_published_format(tmp_path):
    import h5py

    write_twins(tmp_path, seed=3, progress=False)
    with h5py.File(tmp_path / "Llaima" / "lp.hdf5") as file:
        table = file["waveforms"][()]
    assert table.shape == (4, 6000, 1)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table.min(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(table.max(axis=1), 2.0, atol=1e-6)
    with h5py.File(tmp_path / "Deception" / "vt.hdf5") as file:
        assert file["waveforms"].shape == (3, 3000, 1)
        assert file["waveforms"].attrs["sampling_rate_hz"] == 50.0
    found = load_volcano("Deception", tmp_path)
    assert found.kind == "synthetic"
    assert "synthetic twin of Deception (seed 3)" in found.sentence
    assert 45 <= found.durations_s().min() <= found.durations_s().max() <= 60


@pytest.mark.usefixtures("small_twins")
def test_twins_are_made_once_and_by_seed(tmp_path):
    first = load_volcano("Llaima", None, tmp_path, 0)
    stamp = (Path(first.paths[0])).stat().st_mtime_ns
    again = load_volcano("Llaima", None, tmp_path, 0)
    assert again.sha256 == first.sha256
    assert Path(again.paths[0]).stat().st_mtime_ns == stamp
    assert load_volcano("Llaima", None, tmp_path, 1).sha256 != first.sha256


def test_a_thinned_twin_says_so_and_is_the_beginning_of_the_whole(tmp_path):
    found = load_volcano("Deception", None, tmp_path, 0, synthetic_share=0.04)
    assert found.counts() == (10, 6)
    assert "thinned to 10 of 262 LP and 6 of 77 VT" in found.sentence
    np.testing.assert_array_equal(found.waveforms[2][:2000], volcano_event(DECEPTION, 0, 2, 0)[:2000])


@pytest.mark.usefixtures("small_twins")
def test_writing_twins_replaces_twins_and_nothing_else(tmp_path):
    write_twins(tmp_path, seed=0, progress=False, names=["Llaima"])
    before = load_volcano("Llaima", tmp_path).sha256
    write_twins(tmp_path, seed=1, progress=False, names=["Llaima"])
    assert load_volcano("Llaima", tmp_path).sha256 != before
    (tmp_path / "Llaima" / "volcano.yaml").write_text(yaml.safe_dump({"sampling_rate_hz": 100}))
    with pytest.raises(DataError, match="no synthetic twin"):
        write_twins(tmp_path, progress=False, names=["Llaima"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Llaima"]


@pytest.mark.usefixtures("small_twins")
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(volcano_twins, "volcano_event", fail)
    with pytest.raises(KeyboardInterrupt):
        write_twins(tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


# ---- Chile, and small things -------------------------------------------------------------------------------------


@pytest.mark.skipif(not CHILE.is_file(), reason="../shared/data/volcano is not on this machine")
def test_the_chilean_volcanoes():
    for name, n in {"NVCh": 16, "CAU": 14}.items():
        found = load_volcano(name, CHILE.parent)
        assert len(found) == n
        assert found.counts() == (n // 2, n // 2)
        assert len(set(found.groups)) == 4
        assert load_volcano(name, CHILE.parents[1]).content == found.content
        for group in set(found.groups):
            assert len({y for y, g in zip(found.labels.tolist(), found.groups, strict=True) if g == group}) == 1


def test_a_constant_tail_is_padding():
    record = np.r_[np.arange(100.0), np.full(50, 7.0)].astype(np.float32)
    assert unpadded_length(record) == 100
    assert unpadded_length(record[:105]) == 105  # five equal samples can be chance
    assert unpadded_length(np.full(40, 3.0, np.float32)) == 0
