"""Reading records from one file, and what is said where that cannot be."""

import h5py
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.waveform_files import check_traces, read_records
from tests.datamodules.fake_volcanoes import events, write_hdf5


@pytest.mark.parametrize("name", ["data", "seismic", "deep/inside"])
def test_an_hdf5_data_set_may_have_any_name(tmp_path, name):
    table = events(3, 0)
    found = read_records(write_hdf5(tmp_path / "lp.hdf5", table, name))
    np.testing.assert_array_equal(np.stack(found.waveforms), table)
    assert found.sampling_rate_hz is None
    assert found.note == ""


def test_an_hdf5_attribute_tells_the_rate(tmp_path):
    assert read_records(write_hdf5(tmp_path / "lp.h5", events(2, 0), sampling_rate_hz=50)).sampling_rate_hz == 50.0


def test_of_several_data_sets_the_one_with_records_is_taken_and_said(tmp_path):
    with h5py.File(tmp_path / "vt.hdf5", "w") as file:
        file["labels"] = np.arange(4)
        file["names"] = np.array([b"a", b"b"])
        file["records"] = events(4, 1)
    found = read_records(tmp_path / "vt.hdf5")
    assert len(found.waveforms) == 4
    assert "data set records of" in found.note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no data set"),
        ({"labels": np.arange(4)}, r"labels \(4,\)"),
        ({"a": np.zeros((4, 900, 3))}, r"a \(4, 900, 3\)"),
        ({"a": np.zeros((4, 900)), "b": np.zeros((4, 900))}, "several data sets of records, a, b"),
    ],
)
def test_hdf5_without_one_table_of_records(tmp_path, content, message):
    path = tmp_path / "lp.hdf5"
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    with pytest.raises(DataError, match=message) as error:
        read_records(path)
    assert str(path) in str(error.value)


def test_npz_npy_and_csv_hold_one_record(tmp_path):
    record = events(1, 0)[0]
    np.savez(tmp_path / "a.npz", waveform=record, sampling_rate_hz=50.0)
    np.savez(tmp_path / "b.npz", anything=record)
    np.save(tmp_path / "c.npy", record[:, None])
    np.savetxt(tmp_path / "d.csv", record, header="amplitude", comments="")
    np.savetxt(tmp_path / "e.csv", np.c_[np.arange(len(record)) / 40, record], delimiter=",")
    rates = {"a.npz": 50.0, "b.npz": None, "c.npy": None, "d.csv": None, "e.csv": 40.0}
    for name, rate_hz in rates.items():
        found = read_records(tmp_path / name)
        np.testing.assert_allclose(found.waveforms[0], record, rtol=1e-6)
        assert found.sampling_rate_hz == rate_hz, name


def test_files_that_hold_no_record(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.zeros(99), b=np.zeros(99))
    np.save(tmp_path / "flat.npy", np.zeros((2, 99)))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "wide.csv").write_text("1,2,3\n4,5,6\n")
    (tmp_path / "late.csv").write_text("0,1\n1,1\n9,1\n")
    (tmp_path / "text.csv").write_text("amplitude\nhigh\n")
    (tmp_path / "broken.hdf5").write_bytes(b"no hdf5")
    (tmp_path / "event.mseed").write_bytes(b"")
    messages = {
        "two.npz": "a, b", "flat.npy": r"shape \(2, 99\)", "empty.csv": "empty", "wide.csv": "3 columns",
        "late.csv": "evenly", "text.csv": "cannot be read", "broken.hdf5": "cannot be read",
        "event.mseed": "unknown ending", "absent.npy": "not there",
    }  # fmt: skip
    for name, message in messages.items():
        with pytest.raises(DataError, match=message) as error:
            read_records(tmp_path / name)
        assert name in str(error.value)


def test_bad_traces_are_named():
    good = events(1, 0)[0]
    nan = good.copy()
    nan[7] = np.nan
    found = check_traces([good, nan, np.full(900, 1.5, np.float32), good[:10]], list("abcd"))
    assert [row for row, _ in found] == [1, 2, 3]
    assert "NaN" in found[0][1]
    assert "constant" in found[1][1]
    assert "10 samples" in found[2][1]
