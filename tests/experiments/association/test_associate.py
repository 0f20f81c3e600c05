"""What can not be associated is refused in one sentence; what is merely empty is an ordinary result."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.association.associate import associate
from experiments.association.problem import Picks, Problem
from experiments.errors import SettingsError
from tests.experiments.association.solvers.scenes import homogeneous, scene, stations


def with_picks(problem: Problem, kept: np.ndarray) -> Problem:
    picks = Picks(problem.picks.station[kept], problem.picks.phase[kept], problem.picks.time_s[kept])
    return replace(problem, picks=picks)


def test_no_picks_one_station_few_picks_and_broken_promises_are_refused() -> None:
    problem, _, _ = scene(3, 8, 0)
    with pytest.raises(SettingsError, match="no picks"):
        associate(with_picks(problem, np.zeros(len(problem.picks), bool)))
    with pytest.raises(SettingsError, match="10 picks for 12 unknowns"):
        associate(replace(with_picks(problem, np.arange(len(problem.picks)) < 10), may_be_incomplete=True))
    with pytest.raises(SettingsError, match="promised to be complete, but station S"):
        associate(with_picks(problem, np.arange(len(problem.picks)) > 0))
    one = stations(1, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="1 station"):
        associate(replace(problem, stations=one, travel_times=homogeneous(one)))
    with pytest.raises(SettingsError, match="travel times are those of 9 stations"):
        associate(replace(problem, travel_times=homogeneous(stations(9, np.random.default_rng(0)))))
    with pytest.raises(SettingsError, match="solver is 'newton'"):
        associate(problem, solver="newton")


def test_times_that_are_not_numbers_and_phases_without_a_speed_are_refused() -> None:
    problem, _, _ = scene(3, 8, 1)
    time_s = problem.picks.time_s.copy()
    time_s[5] = np.nan
    with pytest.raises(SettingsError, match="time of pick 5 is nan"):
        associate(replace(problem, picks=replace(problem.picks, time_s=time_s)))
    with pytest.raises(SettingsError, match="phase S but no travel times"):
        associate(replace(problem, picks=replace(problem.picks, phase=np.ones(len(problem.picks), np.int64))))


def test_no_events_are_an_ordinary_result() -> None:
    problem, _, _ = scene(3, 8, 2)
    for nothing in (associate(replace(problem, n_events=0, may_be_incomplete=True)), associate(noise())):
        assert len(nothing.events) == 0
        assert (nothing.event_of_pick == -1).all()
        assert np.isnan(nothing.residuals_s).all()
        assert nothing.position_errors_km.shape == (0, 3)


def noise() -> Problem:
    """Picks that are nobody's."""
    problem, _, _ = scene(3, 8, 3, p_missing=1.0, n_spurious=30, tell_events=False)
    return problem
