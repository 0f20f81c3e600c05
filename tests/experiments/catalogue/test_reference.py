"""Matching one to one, and what a comparison tells."""

from datetime import UTC, datetime

import numpy as np
import pytest

from datamodules.errors import DataError
from experiments.association.geography import LocalProjection
from experiments.catalogue.reference import compare, match, read_reference

START = datetime(2020, 1, 1, tzinfo=UTC)


def _brute_force(times, places, other_times, other_places, within_s, within_km):
    """The most pairs by trying every assignment of the second to the first."""
    allowed = [
        [abs(t - u) < within_s and np.hypot(*(p - q)[:2]) < within_km for t, p in zip(times, places, strict=True)]
        for u, q in zip(other_times, other_places, strict=True)
    ]

    def most(row, free):
        if row == len(allowed):
            return 0
        best = most(row + 1, free)
        for column in free:
            if allowed[row][column]:
                best = max(best, 1 + most(row + 1, free - {column}))
        return best

    return most(0, frozenset(range(len(times))))


@pytest.mark.parametrize("seed", range(12))
def test_as_many_pairs_as_there_can_be(seed):
    rng = np.random.default_rng(seed)
    ours, theirs = (np.c_[rng.uniform(0, 12, n), rng.uniform(0, 20, (n, 3))] for n in (7, 6))
    a, b = match(ours[:, 0], ours[:, 1:], theirs[:, 0], theirs[:, 1:])
    assert len(set(a.tolist())) == len(set(b.tolist())) == len(a)
    assert (np.abs(ours[a, 0] - theirs[b, 0]) < 3).all()
    assert (np.hypot(*(ours[a, 1:3] - theirs[b, 1:3]).T) < 10).all()
    assert len(a) == _brute_force(ours[:, 0], ours[:, 1:], theirs[:, 0], theirs[:, 1:], 3, 10)


def test_nothing_matches_nothing():
    empty, none = np.empty(0), np.empty((0, 3))
    assert len(match(empty, none, empty, none)[0]) == 0


def test_matched_missed_and_new(tmp_path):
    projection = LocalProjection(42, 13)
    path = tmp_path / "reference.csv"
    path.write_text(
        "time,latitude,longitude,depth_km,magnitude\n2020-01-01T01:00:00Z,42,13,5,2\n"
        "2020-01-01T00:30:00Z,42,13,8,\n2020-01-01T02:00:00Z,42.5,13,8,1\n"
    )
    reference = read_reference(path, START, projection)
    np.testing.assert_array_equal(reference.times_s, [1800, 3600, 7200])
    assert np.isnan(reference.magnitudes[0])
    times = np.array([10.0, 1801.0, 3000.0, 7200.0, 9000.0])
    places = np.array([[0, 0, 5], [3, -4, 6], [0, 0, 5], [0, 0, 8], [0, 0, 5]], float)
    comparison = compare(times, places, reference)
    assert comparison.ours.tolist() == [1]
    assert comparison.theirs.tolist() == [0]
    assert comparison.missed.tolist() == [1, 2]
    assert comparison.new.tolist() == [2, 3]  # those before and after the reference's span are not counted
    assert comparison.recall == pytest.approx(1 / 3)
    np.testing.assert_allclose([comparison.time_s[0], comparison.epicentral_km[0], comparison.depth_km[0]], [1, 5, -2])


def test_names_of_other_catalogues_and_mistakes(tmp_path):
    path = tmp_path / "reference.csv"
    path.write_text("time,lat,lon,depth,mag\n2020-01-01T01:00:00,42,13,5,2\n")
    assert len(read_reference(path, START, LocalProjection(42, 13))) == 1
    with pytest.raises(DataError, match="in kilometres"):
        read_reference(path, START, None)
    path.write_text("time,where\n1,2\n")
    with pytest.raises(DataError, match="wants the columns"):
        read_reference(path, START, LocalProjection(42, 13))
