"""Files of other programs are recognised by their columns, and picks are streamed as a whole file reads."""

import numpy as np
import pytest

from datamodules.errors import DataError
from experiments.association.files.formats import StationNames, pick_columns, station_columns
from experiments.association.files.pick_stream import PickStream, utc_start
from experiments.association.files.picks import read_picks
from experiments.association.files.stations import read_stations
from tests.conftest import SHARED_DATA

REAL = SHARED_DATA / "picks" / "central_italy_2016"
IDS = ("NC.AAA", "NC.BBB", "NC.CCC")
PROGRAMS = {
    "SeisBench": (
        "trace_id,start_time,end_time,peak_time,peak_value,phase\n"
        "NC.AAA.,x,x,2019-07-04T17:00:01.500000Z,.9,P\nNC.BBB.00,x,x,2019-07-04T17:00:02.250000Z,.4,S\n"
    ),
    "SeisBench's data frame, PyOcto": (
        "station,time,probability,phase\nNC.AAA.,1562259601.5,.9,P\nNC.BBB.,1562259602.25,.4,S\n"
    ),
    "PhaseNet": (
        "file_name,begin_time,station_id,phase_index,phase_time,phase_score,phase_type\n"
        "a,2019-07-04T17:00:00.000,NC.AAA..HH,150,2019-07-04T17:00:01.500,.9,P\n"
        "b,2019-07-04T17:00:00.000,NC.BBB..HH,225,2019-07-04T17:00:02.250,.4,S\n"
    ),
    "GaMMA": (
        "id,timestamp,type,prob,amp\nNC.AAA..BH,2019-07-04T17:00:01.500,p,.9,1e-6\n"
        "NC.BBB..BH,2019-07-04T17:00:02.250,s,.4,1e-6\n"
    ),
    "PyOcto": "station,phase,time\nAAA,P,1562259601.5\nBBB,S,1562259602.25\n",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_picks_of_other_programs_are_recognised(tmp_path, program):
    path = tmp_path / "picks.csv"
    path.write_text(PROGRAMS[program])
    stream = PickStream(path, IDS)
    (block,) = stream.blocks()
    np.testing.assert_array_equal(block.station, [0, 1])
    np.testing.assert_array_equal(block.phase, [0, 1])
    assert [utc_start(stream.facts.clock).timestamp() + t for t in block.time_s] == [1562259601.5, 1562259602.25]
    if "phase,time\n" not in PROGRAMS[program]:
        np.testing.assert_allclose(stream.scores(), [0.9, 0.4])


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id,latitude,longitude,elevation", "a,42.0,13.0,500"),
        ("id,longitude,latitude,elevation(m),x(km),y(km),z(km)", "a,13.0,42.0,500,1,2,-.5"),
        ("station_id,longitude,latitude,elevation_m", "a,13.0,42.0,500"),
        ("id,latitude,longitude,elevation,x,y,z", "a,42.0,13.0,500,1,2,-.5"),
    ],
)
def test_stations_in_degrees_are_recognised(tmp_path, header, row):
    path = tmp_path / "stations.csv"
    path.write_text(f"{header}\n{row}\n{row.replace('a,', 'b,').replace('13.0', '13.1')}\n")
    stations = read_stations(path, recognise=True)
    assert stations.ids == ("a", "b")
    assert stations.projection is not None
    np.testing.assert_allclose(stations.positions_km[:, 2], -0.5)
    assert np.diff(stations.positions_km[:, 0])[0] == pytest.approx(8.28, abs=0.01)


@pytest.mark.parametrize("names", ["x(km),y(km),z(km)", "x,y,z"])
def test_stations_in_kilometres_are_recognised(tmp_path, names):
    path = tmp_path / "stations.csv"
    path.write_text(f"id,{names}\na,1,2,-.5\nb,3,4,0\n")
    stations = read_stations(path, recognise=True)
    assert stations.projection is None
    np.testing.assert_array_equal(stations.positions_km[0], [1, 2, -0.5])


def test_columns_that_nobody_writes_are_left_as_they_are():
    assert pick_columns(["who", "when"]) == ("our own", {})
    assert station_columns(["who", "where"]) == ("our own", {})


def test_names_of_stations_agree_by_network_code_and_location():
    names = StationNames(["IV.A.00", "IV.A.10", "IV.B", "XX.C", "YY.C", "D"])
    assert names.find("IV.A.10.HHZ") == 1
    assert names.find("IV.B..HHZ") == names.find("B") == 2
    assert names.find("YY.C.") == 4
    assert names.find("ZZ.D.00") == 5
    assert names.find("ZZ.B") is None
    for name in ("IV.A", "C"):
        with pytest.raises(DataError, match="may be any of"):
            names.find(name)


def test_blocks_of_any_size_give_the_whole_file(tmp_path):
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 1e4, 57)).round(3)
    path = tmp_path / "picks.csv"
    rows = [f"{IDS[rng.integers(3)]},{1.5e9 + t:.3f},{'PS'[rng.integers(2)]}" for t in times]
    path.write_text("station_id,phase_time,phase_type\n" + "\n".join(rows) + "\n")
    whole = read_picks(path, IDS)
    stream = PickStream(path, IDS)
    assert stream.facts.sorted
    assert stream.order() is None
    for block_rows in (1, 7, 100):
        blocks = list(stream.blocks(block_rows))
        np.testing.assert_array_equal(np.concatenate([b.station for b in blocks]), whole.station)
        np.testing.assert_array_equal(np.concatenate([b.phase for b in blocks]), whole.phase)
        np.testing.assert_allclose(np.concatenate([b.time_s for b in blocks]), whole.time_s, atol=1e-6)


def test_rows_in_disorder_and_of_unknown_stations_find_their_way_back(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text(
        "station_id,phase_time,phase_type\nNC.AAA,2020-01-01T00:00:05,P\nXX.YYY,2020-01-01T00:00:01,P\n"
        "NC.BBB,2020-01-01T00:00:03,S\n"
    )
    with pytest.raises(DataError, match=r"row 2 \(line 3\): station 'XX.YYY'"):
        PickStream(path, IDS)
    stream = PickStream(path, IDS, skip_unknown=True)
    assert not stream.facts.sorted
    assert stream.facts.n_unknown == 1
    assert stream.facts.unknown == ("XX.YYY",)
    (block,) = stream.blocks()
    np.testing.assert_array_equal(block.station, [1, 0])
    np.testing.assert_array_equal(stream.order(), [2, 0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("NC.AAA,2020-01-01T00:00:05,Q", "phase_type is 'Q'"),
        ("NC.AAA,late,P", "is no time"),
        ("NC.AAA,2020-01-01T00:00:05", "there are 2 cells"),
        ("NC.AAA,12.5,P", "mixed time formats"),
    ],
)
def test_mistakes_are_told_by_the_row_of_the_file(tmp_path, monkeypatch, row, message):
    monkeypatch.setattr("experiments.association.files.pick_stream.BLOCK_ROWS", 2)
    path = tmp_path / "picks.csv"
    good = "NC.AAA,2020-01-01T00:00:01,P\n"
    path.write_text("station_id,phase_time,phase_type\n" + good * 4 + row + "\n")
    with pytest.raises(DataError, match=message) as caught:
        PickStream(path, IDS)
    assert "row 5 (line 6)" in str(caught.value)


def test_no_file_and_no_columns_are_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        PickStream(tmp_path / "none.csv", IDS)
    path = tmp_path / "picks.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="a file of picks wants the columns"):
        PickStream(path, IDS)
    path.write_text("station_id,phase_time,phase_type\n")
    with pytest.raises(DataError, match="there are no picks"):
        PickStream(path, IDS)


@pytest.mark.skipif(not REAL.exists(), reason="the real picks are not there")
def test_the_real_day_streams_as_it_reads():
    stations = read_stations(REAL / "stations.csv", recognise=True)
    stream = PickStream(REAL / "picks.csv", stations.ids)
    assert stream.facts.counts.sum(axis=0).tolist() == [54_994, 60_446]
    blocks = list(stream.blocks(50_000))
    assert sum(len(block) for block in blocks) == 115_440
    assert all((np.diff(block.time_s) >= 0).all() for block in blocks)
