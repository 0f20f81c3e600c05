"""Reading picks, stations, models and grids: what comes in, and one sentence for what is wrong with it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError
from experiments.association.files.grids import grid_of, read_grid, read_times_table
from experiments.association.files.picks import read_picks
from experiments.association.files.stations import read_stations
from experiments.association.files.velocity_model import read_velocity_model
from tests.conftest import SHARED_DATA

REAL = SHARED_DATA / "picks" / "central_italy_2016"
IDS = ("A", "B", "C")
PICKS = "station_id,phase_time,phase_type,phase_score\n"
STATIONS = "station_id,x_km,y_km,z_km\n"


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "picks.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _refusal(function, *arguments, **options) -> str:
    with pytest.raises(DataError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_seconds_may_be_negative_and_keep_their_digits(file):
    picks = read_picks(file(PICKS + "A,-1.25,P,.5\nB,0.000001,S,1\nC,7,p,0\n"), IDS)
    np.testing.assert_array_equal(picks.station, [0, 1, 2])
    np.testing.assert_array_equal(picks.phase, [0, 1, 0])
    np.testing.assert_array_equal(picks.time_s, [-1.25, 1e-6, 7])
    assert [picks.clock.text(time) for time in picks.time_s] == ["-1.250000", "0.000001", "7.000000"]


def test_unix_seconds_lose_no_microsecond(file):
    picks = read_picks(file(PICKS + "A,1476403200.123456,P,1\nB,1476403200.123457,P,1\n"), IDS)
    assert picks.time_s.max() < 1
    assert [picks.clock.text(t) for t in picks.time_s] == ["1476403200.123456", "1476403200.123457"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2016-10-14T23:59:59.999999", "2016-10-15T00:00:00.000001"),
        ("2016-10-14 23:59:59.999999", "2016-10-15 00:00:00.000001"),
        ("2016-10-14T23:59:59.999999Z", "2016-10-15T00:00:00.000001Z"),
        ("2016-10-14T23:59:59.999999+02:00", "2016-10-15T00:00:00.000001+02:00"),
    ],
)
def test_dates_come_out_as_they_came_in_to_the_microsecond(file, first, second):
    picks = read_picks(file(PICKS + f"A,{first},P,1\nB,{second},P,1\n"), IDS)
    assert [picks.clock.text(time) for time in picks.time_s] == [first, second]
    assert picks.time_s[1] - picks.time_s[0] == pytest.approx(2e-6, abs=1e-12)
    assert picks.clock.seconds(second) == picks.time_s[1]


def test_a_different_time_zone_is_the_same_clock(file):
    picks = read_picks(file(PICKS + "A,2016-10-14T12:00:00+02:00,P,1\nB,2016-10-14T10:00:01Z,P,1\n"), IDS)
    assert picks.time_s[1] - picks.time_s[0] == 1
    assert picks.clock.text(1) == "2016-10-14T12:00:01.000000+02:00"


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ("A,1,P,1\nX,2,P,1\n", r"row 2 \(line 3\): station 'X' is not among the 3 stations"),
        ("A,1,P,1\nB,nan,P,1\n", r"row 2 \(line 3\): phase_time is 'nan', a finite time"),
        ("A,nan,P,1\nB,1,P,1\n", r"row 1 \(line 2\): phase_time is 'nan', a finite time"),
        ("A,1,P,1\nB,,P,1\n", r"row 2 \(line 3\): phase_time is '', which is no time"),
        ("A,2016-10-14T00:00:00,P,1\nB,NaN,P,1\n", r"row 2 .*'NaN', which is no time"),
        ("A,1,P,1\nB,2016-10-14T00:00:00,P,1\n", r"row 2 \(line 3\): mixed time formats.*seconds"),
        ("A,2016-10-14T00:00:00,P,1\nB,12.5,P,1\n", r"row 2 \(line 3\): mixed time formats.*ISO-8601"),
        ("A,2016-10-14T00:00:00,P,1\nB,2016-10-14T00:00:01Z,P,1\n", r"row 2 .*mixed.*time zone"),
        ("A,1,P,1\nB,2,Pn,1\n", r"row 2 \(line 3\): phase_type is 'Pn', P or S"),
        ("A,1,P,1\nB,2,P,high\n", r"row 2 .*phase_score is 'high'"),
        ("A,1,P,1\nB,2,P\n", r"row 2 \(line 3\): there are 3 cells .* 4 columns"),
        ("A,1,P,1\nB,2,P,1\nA,1,P,.5\n", r"row 3 \(line 4\): the pick stands in row 1 already"),
        ("A,2,P,1\nB,1,P,1\nA,3,P,1\n", r"row 2 \(line 3\): picks are not sorted by time"),
        ("A,1,P,1\n\n\nX,2,P,1\n", r"row 2 \(line 5\): station 'X'"),
        ("", "there are no picks"),
    ],
)
def test_picks_that_cannot_be_used(file, rows, wanted):
    path = file(PICKS + rows)
    message = _refusal(read_picks, path, IDS)
    assert message.startswith(str(path))
    assert re.search(wanted, message), message


def test_an_empty_and_a_missing_file(file, tmp_path):
    assert "the file is empty" in _refusal(read_picks, file(""), IDS)
    assert "no such file" in _refusal(read_picks, tmp_path / "none.csv", IDS)
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    assert "UTF-8" in _refusal(read_picks, tmp_path / "binary.csv", IDS)


def test_picks_may_stand_station_by_station_or_in_any_order_when_told(file):
    by_station = PICKS + "B,1,P,1\nB,5,P,1\nA,2,P,1\nA,3,P,1\n"
    assert len(read_picks(file(by_station), IDS)) == 4
    by_channel = PICKS + "B,1,P,1\nB,5,P,1\nB,3,S,1\nB,4,S,1\nA,2,P,1\n"
    assert len(read_picks(file(by_channel), IDS)) == 5
    wild = file(PICKS + "B,5,P,1\nB,1,P,1\nA,2,P,1\n")
    assert "not sorted" in _refusal(read_picks, wild, IDS)
    np.testing.assert_array_equal(read_picks(wild, IDS, any_order=True).time_s, [5, 1, 2])


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("id,timestamp,type,prob", ["GaMMA", "'id' as station_id", "'timestamp' as phase_time", "phase_type=type"]),
        ("station,phase,time", ["PyOcto", "'time' as phase_time", "--pick_columns station_id=station"]),
        ("trace_id,start_time,peak_time,end_time,peak_value,phase", ["SeisBench", "'peak_time' as phase_time"]),
        ("station_id,Phase Time,phase_type", ["phase_time='Phase Time'"]),
        ("station_id;phase_time;phase_type", ["separated by semicolons"]),
        ("foo,bar", ["rename them"]),
        ("station_id,phase_type", ["phase_time"]),
    ],
)
def test_columns_of_other_programs_get_an_offer(file, header, wanted):
    message = _refusal(read_picks, file(header + "\n"), IDS)
    for text in wanted:
        assert text in message, message


def test_the_offer_can_be_taken(file):
    path = file("id,timestamp,type,prob\nA,1.5,P,.9\nB,2.5,S,.8\n")
    columns = {"station_id": "id", "phase_time": "timestamp", "phase_type": "type", "phase_score": "prob"}
    picks = read_picks(path, IDS, columns)
    np.testing.assert_array_equal(picks.time_s, [1.5, 2.5])
    assert picks.table.header == ["station_id", "phase_time", "phase_type", "phase_score"]
    assert "no column 'when'" in _refusal(read_picks, path, IDS, {"phase_time": "when"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (STATIONS + "A,0,0,0\nB,1,1,0\nA,2,2,0\n", r"row 3 \(line 4\): station A stands in row 1 already"),
        (STATIONS + "A,0,0,0\n", "there is one station, A"),
        (STATIONS, "there are no stations"),
        (STATIONS + "A,0,0,0\nB,nan,1,0\n", r"row 2 \(line 3\): x_km is 'nan'"),
        (STATIONS + "A,0,0,0\n,1,1,0\n", r"row 2 \(line 3\): station_id is empty"),
        ("station_id,latitude,longitude,elevation_m\nA,0,0,0\nB,91,0,0\n", r"row 2 .*latitude is 91"),
        ("station_id,latitude,longitude,elevation_m\nA,0,0,0\nB,1,0,0\nC,40,0,0\n", r"row 3 .*flat Earth"),
        ("id,x(km),y(km),z(km)\nA,0,0,0\n", r"GaMMA.*'x\(km\)' as x_km"),
        ("id,x,y,z\nA,0,0,0\n", "PyOcto.*'z' as z_km"),
        ("station,lat,lon,elevation\nA,0,0,0\n", "'lat' as latitude.*elevation_m=elevation"),
        ("station_id,x_km,y_km,z_km,latitude,longitude\nA,0,0,0,1,1\n", "have both"),
        ("", "the file is empty"),
    ],
)
def test_stations_that_cannot_be_used(file, text, wanted):
    message = _refusal(read_stations, file(text, "stations.csv"))
    assert re.search(wanted, message), message


def test_stations_in_degrees_stand_in_local_kilometres_below_sea_level(file):
    path = file("station_id,latitude,longitude,elevation_m\nA,42.8,13.1,1000\nB,42.9,13.2,-50\n", "stations.csv")
    stations = read_stations(path)
    assert stations.projection is not None
    np.testing.assert_allclose(stations.positions_km[:, 2], [-1.0, 0.05])
    np.testing.assert_allclose(stations.positions_km[:, :2].mean(axis=0), 0, atol=0.02)
    moved = read_stations(path, centre=(42.8, 13.1))
    np.testing.assert_allclose(moved.positions_km[0, :2], 0, atol=1e-9)
    lengths = [np.linalg.norm(np.diff(each.positions_km, axis=0)) for each in (stations, moved)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)  # north turns a little with the centre, lengths stay


def test_models_are_nodes_sorted_by_depth(file):
    model = read_velocity_model(file("depth_km,vp_km_s,vs_km_s\n0,5,3\n10,6,3.5\n10,7,4\n", "m.csv"))
    np.testing.assert_array_equal(model.depths_km, [0, 10, 10])
    assert model.s_speeds_km_s is not None
    assert read_velocity_model(file("depth_km,vp_km_s\n0,5\n", "m.csv")).s_speeds_km_s is None
    for text, wanted in (
        ("depth_km,vp_km_s\n5,5\n0,6\n", "row 2 .*above the row before"),
        ("depth_km,vp_km_s\n0,5000\n", "looks like m/s"),
        ("depth_km,vp_km_s\n0,-1\n", "above 0"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,6\n", "not slower"),
        ("depth,vp\n0,5\n", "'depth' as depth_km"),
        ("depth_km,vp_km_s\n", "no nodes"),
    ):
        assert re.search(wanted, _refusal(read_velocity_model, file(text, "m.csv")))


def test_grids_and_tables(tmp_path):
    path = tmp_path / "speed.npy"
    speed = np.full((3, 4, 5), 6.0)
    np.save(path, speed)
    np.testing.assert_array_equal(read_grid(path, "--wave_speed"), speed)
    grid = grid_of(path, speed.shape, 2.0, (1, 2, 3))
    np.testing.assert_array_equal(grid.bounds_km, [[1, 2, 3], [5, 8, 11]])
    assert "give --spacing_km" in _refusal(grid_of, path, speed.shape, None, None)
    path.with_suffix(".json").write_text(json.dumps({"shape": [3, 4, 5], "spacing_km": 0.5, "origin_km": [1, 1, 1]}))
    np.testing.assert_array_equal(grid_of(path, speed.shape, None, None).bounds_km, [[1, 1, 1], [2, 2.5, 3]])
    assert "wrong" in _refusal(grid_of, path, (3, 3, 3), None, None)
    path.with_suffix(".json").write_text("[]")
    assert "not the description" in _refusal(grid_of, path, speed.shape, None, None)

    def refused(array, function=read_grid, *arguments):
        np.save(path, array)
        return _refusal(function, path, "--wave_speed", *arguments)

    assert "m/s" in refused(speed * 1000)
    assert "node (1, 2, 3)" in refused(np.where(np.arange(60).reshape(3, 4, 5) == 33, -1.0, speed))
    assert "not a finite number" in refused(np.where(np.arange(60).reshape(3, 4, 5) == 33, np.nan, speed))
    assert "its shape is (3, 4)" in refused(speed[..., 0])
    assert "numpy.save" in refused(np.array(["a"]))
    assert "numpy.save" in refused(np.array([{}], dtype=object))
    times = np.ones((2, 3, 4, 5), np.float32)
    assert "of 2 stations, and the file of stations has 3" in refused(times, read_times_table, 3)
    assert "station 1 to node (0, 0, 0) is -1 s" in refused(times * [[[[1.0]]], [[[-1.0]]]], read_times_table, 2)
    path.write_text("no array")
    assert "numpy.save" in _refusal(read_grid, path, "--wave_speed")
    assert "no such file" in _refusal(read_grid, tmp_path / "none.npy", "--wave_speed")


def test_a_point_a_little_outside_is_moved_to_the_face(tmp_path):
    grid = grid_of(tmp_path / "x.npy", (11, 11, 11), 10.0, None)
    points = np.array([[-0.1, 50, 100.1], [50, 50, 0]])
    np.testing.assert_array_equal(grid.moved_to_faces(points, ["a", "b"], "mend"), [[0, 50, 100], [50, 50, 0]])
    message = _refusal(grid.moved_to_faces, points - [[0.01, 0, 0], [0, 0, 0]], ["a", "b"], "mend")
    assert message.startswith("a: x is -0.11 km, outside the grid, which runs from 0 to 100 km")


def test_a_real_day_of_picks():
    if not REAL.is_dir():
        pytest.skip("real picks (../shared/data/picks) are not on this machine")
    stations = read_stations(REAL / "stations.csv")
    picks = read_picks(REAL / "picks.csv", stations.ids)
    model = read_velocity_model(REAL / "velocity_1d.csv")
    assert (len(stations.ids), len(np.unique(picks.station)), len(picks)) == (60, 56, 115_440)
    assert (picks.phase == 0).sum() == 54_994
    assert len(model.depths_km) == 10
    texts = picks.table.column("phase_time")
    assert all(picks.clock.text(t) == text + "000" for t, text in zip(picks.time_s[::997], texts[::997], strict=True))
