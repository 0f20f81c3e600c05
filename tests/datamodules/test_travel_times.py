"""The data modules of wave speeds and travel times: draws, splits, ranks, and what they say of themselves."""

import numpy as np
import pytest
import torch

from datamodules import travel_times, wave_speeds
from datamodules.errors import DataError
from datamodules.simulate.eikonal import refined
from datamodules.simulate.eikonal import travel_times as solved_times
from datamodules.simulate.wave_speeds import SPACING_KM
from datamodules.travel_times import TravelTimeDataModule
from datamodules.wave_speeds import WaveSpeedDataModule

MANY = {"wave_speed": "grf", "n_wave_speeds": 3, "n_validation": 2, "n_test": 1, "truth_refinement": 1}
SMALL = {"n_stations": 3, "points_per_epoch": 192, "batch_size": 64, "evaluation_points": 50}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def known(cache):
    return TravelTimeDataModule(cache_root=cache, truth_refinement=1, **SMALL)


@pytest.fixture
def many(cache):
    return TravelTimeDataModule(cache_root=cache, points_per_wave_speed=48, points_together=8, **MANY, **SMALL)


def _at(data, epoch=0, rank=0, world_size=1, monkeypatch=None):
    """The training batches of an epoch, as one of several processes meets them."""
    monkeypatch.setattr(type(data), "_ranks", (rank, world_size))
    monkeypatch.setattr(type(data), "_epoch", lambda _: epoch)
    return list(data.train_dataloader())


@pytest.mark.parametrize("name", ["known", "many"])
def test_batches_hold_times_of_their_points(name, request):
    data = request.getfixturevalue(name)
    speeds, stations = data.wave_speeds_km_s, data.station_positions_km
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            assert batch.position_km.dtype == batch.time_s.dtype == torch.float32
            assert batch.wave_speed_index.dtype == torch.int64
            position, times_s = batch.position_km.numpy(), batch.time_s.numpy()
            assert times_s.shape == (len(position), 3)
            distance_km = np.linalg.norm(position[:, None] - stations, axis=-1)
            assert (times_s > distance_km / 25 - 0.05).all()
            assert (times_s < distance_km / 5 + 0.05).all()
            for index in np.unique(batch.wave_speed_index):
                mine = batch.wave_speed_index.numpy() == index
                truth = data.true_travel_times(index)(position[mine])
                np.testing.assert_allclose(times_s[mine], truth, atol=1e-4)  # both of the same refinement here
    assert len(speeds) == (1 if name == "known" else 6)


def test_points_are_timed_on_the_refined_grid(cache):
    """At the nodes of the refined grid, which are between the given ones, times are the solver's own."""
    data = TravelTimeDataModule(cache_root=cache, **{**SMALL, "n_stations": 1}, truth_refinement=2)
    grid = refined(data.wave_speeds_km_s[0].astype(np.float64), 2)
    solved = solved_times(grid, SPACING_KM / 2, data.station_positions_km)[0]
    nodes = np.random.default_rng(0).integers(0, 63, (50, 3))
    found = data.true_travel_times(0)(nodes * SPACING_KM / 2)[:, 0]
    np.testing.assert_allclose(found, solved[tuple(nodes.T)], atol=1e-5)


@pytest.mark.parametrize("name", ["known", "many"])
def test_draws_depend_on_seed_and_epoch_alone_and_ranks_share_a_batch(name, request, monkeypatch):
    data = request.getfixturevalue(name)
    first, again, later = (_at(data, epoch, monkeypatch=monkeypatch) for epoch in (0, 0, 1))
    assert len(first) == 3
    for one, same, other in zip(first, again, later, strict=True):
        assert (one.position_km == same.position_km).all()
        assert (one.position_km != other.position_km).any()
    assert (first[0].position_km != first[1].position_km).any()
    halves = [_at(data, 0, rank, 2, monkeypatch) for rank in (0, 1)]
    for whole, *parts in zip(first, *halves, strict=True):
        rows = {tuple(row) for part in parts for row in part.position_km.tolist()}
        assert [len(part.position_km) for part in parts] == [32, 32]
        assert rows == {tuple(row) for row in whole.position_km.tolist()}


def test_points_of_one_wave_speed_come_together(many):
    for batch in many.train_dataloader():
        runs = batch.wave_speed_index.reshape(-1, 8)
        assert (runs == runs[:, :1]).all()


def test_evaluation_points_are_fixed_and_counted_once(known, cache):
    other = TravelTimeDataModule(cache_root=cache, truth_refinement=1, seed=7, **SMALL)
    for one, same in zip(known.val_dataloader(), other.val_dataloader(), strict=True):
        assert (one.position_km == same.position_km).all()
    sizes = [len(batch.position_km) for batch in known.test_dataloader()]
    assert sum(sizes) == 50
    (validation,), (test,) = known.val_dataloader(), known.test_dataloader()
    assert (validation.position_km != test.position_km).any()


def test_splits_are_disjoint_and_the_same_in_both_modules(many, cache):
    parts = {split: many.wave_speed_indices(split) for split in ("train", "val", "test")}
    assert sorted(np.concatenate(list(parts.values()))) == list(range(6))
    assert (many.test_indices == parts["test"]).all()
    more = WaveSpeedDataModule(cache_root=cache, **{**_without(MANY, "truth_refinement"), "n_wave_speeds": 9})
    assert (more.wave_speeds_km_s[:6] == many.wave_speeds_km_s).all()
    for split, loader in (("val", many.val_dataloader()), ("test", many.test_dataloader())):
        found = torch.cat([batch.wave_speed_index for batch in loader]).unique().tolist()
        assert found == parts[split].tolist() == more.wave_speed_indices(split).tolist()
    drawn = torch.cat([batch.wave_speed_index for batch in many.train_dataloader()])
    assert set(drawn.tolist()) <= set(parts["train"].tolist())


def test_wave_speeds_come_in_batches(cache):
    data = WaveSpeedDataModule(cache_root=cache, n_wave_speeds=9, n_validation=2, n_test=1, batch_size=4)
    batches = list(data.train_dataloader())
    assert [batch.wave_speed_km_s.shape for batch in batches] == [(4, 1, 32, 32, 32)] * 2
    for batch in (*batches, *data.val_dataloader(), *data.test_dataloader()):
        assert (batch.wave_speed_km_s[:, 0].numpy() == data.wave_speeds_km_s[batch.index.numpy()]).all()
    assert [batch.index.tolist() for batch in data.test_dataloader()] == [[0]]
    bare = WaveSpeedDataModule(
        cache_root=cache, n_wave_speeds=9, n_validation=2, n_test=1, batch_size=4, with_wave_speed=False
    )
    assert [batch.index.tolist() for batch in bare.train_dataloader()] == [batch.index.tolist() for batch in batches]
    assert next(iter(bare.train_dataloader())).wave_speed_km_s.shape == (4, 0)


def test_nothing_is_computed_before_it_is_asked_for(tmp_path):
    TravelTimeDataModule(cache_root=str(tmp_path))
    WaveSpeedDataModule(cache_root=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_sources_say_what_the_data_are(known, many, tmp_path):
    assert (known.source.kind, many.source.kind) == ("synthetic", "synthetic")
    assert "stand-in" in known.source.sentence
    assert "1 to 3 of 20" in many.source.sentence
    assert many.source.provenance["wave_speed"] == "grf"
    np.save(tmp_path / "overthrust_32.npy", np.random.default_rng(0).uniform(1, 2, (32, 32, 32)))
    real = TravelTimeDataModule(data_root=str(tmp_path), cache_root=str(tmp_path))
    assert real.source.kind == "real"
    assert real.input_hashes() != known.input_hashes()
    assert "3 stations" in known.verify()
    assert list(many.input_hashes()) == ["grf"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wave_speed": "marmousi"}, "choose overthrust, grf or gaussian"),
        ({"n_stations": 0}, "n_stations is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"n_test": 0}, "n_test is 0"),
        ({"points_per_epoch": 10}, "less than one batch"),
        ({"points_per_wave_speed": 3}, "points_together"),
        ({"max_fields": 30}, "must not decrease"),
    ],
)
def test_arguments_out_of_range_are_named(change, message):
    with pytest.raises(DataError, match=message):
        TravelTimeDataModule(**change)


def test_a_batch_that_cannot_be_shared_is_refused(many, known, monkeypatch):
    monkeypatch.setattr(travel_times.TravelTimeDataModule, "_ranks", (0, 3))
    with pytest.raises(DataError, match="multiple of 24"):
        many.setup("fit")
    with pytest.raises(DataError, match="multiple of 3"):
        known.setup("fit")
    monkeypatch.setattr(wave_speeds.WaveSpeedDataModule, "_ranks", (0, 3))
    with pytest.raises(DataError, match="multiple of 3"):
        WaveSpeedDataModule(batch_size=4).setup("fit")


def _without(values, name):
    return {key: value for key, value in values.items() if key != name}
