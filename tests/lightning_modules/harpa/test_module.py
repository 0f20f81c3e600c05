"""The module in a real Trainer: both stages, exact resume, checkpoints, refusals."""

import pytest
import torch

from lightning_modules.errors import ModuleError
from lightning_modules.harpa.checkpoint import load_travel_time_field
from lightning_modules.harpa.epoch_draws import draw_epoch
from lightning_modules.harpa.module import HarpaTraveltimeModule
from tests.lightning_modules.harpa.fake_data import FakeData, StopAfterOneEpoch, quiet_trainer

# Lightning's advice about workers, log intervals and batch sizes does not concern a few random points.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

SMALL = {
    "n_stations": 3, "width": 16, "depth": 2, "w0": 6.0, "modulator_width": 8, "autoencoder_width": 16,
    "autoencoder_depth": 1, "n_components": 4, "warmup_steps": 2,
}  # fmt: skip
UNKNOWN = {**SMALL, "latent_dim": 2}


def made(**settings) -> HarpaTraveltimeModule:
    torch.manual_seed(0)
    return HarpaTraveltimeModule(**(SMALL | settings))


def trained_autoencoder(folder, **settings):
    module = made(**{**UNKNOWN, "stage": "autoencoder", **settings})
    trainer = quiet_trainer(folder, 2)
    trainer.fit(module, datamodule=FakeData("speeds", 12))
    path = folder / "autoencoder.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    return path, trainer, module


def test_a_field_of_a_known_wave_speed_learns_straight_rays(tmp_path):
    module = made()
    trainer = quiet_trainer(tmp_path, 25)
    trainer.fit(module, datamodule=FakeData())
    assert float(trainer.callback_metrics["val/rmse_s"]) < 0.5
    [tested] = trainer.test(module, datamodule=FakeData(), verbose=False)
    assert {"test/rmse_s", "test/mae_s", "test/max_s", "test/loss"} == set(tested)
    assert tested["test/mae_s"] <= tested["test/rmse_s"] <= tested["test/max_s"]
    assert tested["test/loss"] == pytest.approx(tested["test/rmse_s"] ** 2, rel=1e-4)
    trainer.save_checkpoint(tmp_path / "field.ckpt", weights_only=False)
    field = load_travel_time_field(tmp_path / "field.ckpt")
    data = FakeData()
    batch = next(iter(data.val_dataloader()))
    torch.testing.assert_close(field(batch.position_km), module(batch.position_km))
    assert field.rmse_s == pytest.approx(float(trainer.callback_metrics.get("val/rmse_s", tested["test/rmse_s"])))
    assert field.n_latent == 0
    assert field.latent_bounds is None
    assert field.wave_speed(torch.rand(2)) is None
    assert field.latent_of(torch.rand(32, 32, 32)) is None
    assert torch.cat(trainer.predict(module, datamodule=data)).shape == (96, 3)


@pytest.mark.parametrize("latent_use", ["decoded", "modulate", "concat"])
def test_both_stages_of_an_unknown_wave_speed(tmp_path, latent_use):
    path, trainer, before = trained_autoencoder(tmp_path, latent_use=latent_use)
    assert "val/wave_speed_rmse_km_s" in trainer.callback_metrics
    module = made(stage="field", **UNKNOWN, latent_use=latent_use, initial_weights=str(path))
    trainer = quiet_trainer(tmp_path, 2)
    trainer.fit(module, datamodule=FakeData(n=12))
    for name, value in before.autoencoder.state_dict().items():
        assert torch.equal(module.autoencoder.state_dict()[name], value), name
    [tested] = trainer.test(module, datamodule=FakeData(n=12), verbose=False)
    assert {"test/rmse_s", "test/wave_speed_rmse_km_s"} <= set(tested)
    trainer.save_checkpoint(tmp_path / "field.ckpt", weights_only=False)
    field = load_travel_time_field(tmp_path / "field.ckpt")
    speeds = torch.from_numpy(FakeData(n=12).wave_speeds_km_s)
    code = field.latent_of(speeds)
    assert ((code >= field.latent_bounds[0]) & (code <= field.latent_bounds[1])).all()
    squared = (field.wave_speed(code) - speeds).square().mean().sqrt()
    assert float(squared) == pytest.approx(tested["test/wave_speed_rmse_km_s"], rel=1e-4)
    points = 100.0 * torch.rand(12, 3)
    assert field(points, code).shape == (12, 3)
    evaluated = made(stage="evaluate", **UNKNOWN, latent_use=latent_use, initial_weights=str(tmp_path / "field.ckpt"))
    [again] = quiet_trainer(tmp_path).test(evaluated, datamodule=FakeData(n=12), verbose=False)
    assert again["test/rmse_s"] == tested["test/rmse_s"]


def test_refining_teaches_the_autoencoder_and_leaves_the_field(tmp_path):
    path, _, _ = trained_autoencoder(tmp_path)
    module = made(stage="field", **UNKNOWN, initial_weights=str(path))
    trainer = quiet_trainer(tmp_path, 2)
    trainer.fit(module, datamodule=FakeData(n=12))
    trainer.save_checkpoint(tmp_path / "field.ckpt", weights_only=False)
    settings = {**UNKNOWN, "stage": "refine", "initial_weights": str(tmp_path / "field.ckpt"), "code_noise": 0.0}
    measured = []
    for epochs in (1, 12):
        refined = made(**settings, times_weight=100.0, learning_rate=3e-3)
        trainer = quiet_trainer(tmp_path, epochs)
        trainer.fit(refined, datamodule=FakeData("speeds", 12, with_wave_speed=False))
        measured.append(float(trainer.callback_metrics["val/code_time_mse"]))
    assert measured[1] < measured[0]
    for name, value in module.field.state_dict().items():
        assert torch.equal(refined.field.state_dict()[name], value), name
    trainer.save_checkpoint(tmp_path / "refined.ckpt", weights_only=False)
    assert load_travel_time_field(tmp_path / "refined.ckpt").n_latent == 2


def test_chance_follows_from_seed_epoch_and_number_alone():
    first, again, later, other = (draw_epoch(*words, 20, 3, 4) for words in ((0, 1), (0, 1), (0, 2), (1, 1)))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one, two)
    for different in (later, other):
        assert not torch.equal(first.code_noise, different.code_noise)
        assert not torch.equal(first.points, different.points)
    assert first.points.min() >= 0
    assert first.points.max() <= 1
    assert draw_epoch(0, 0, 2000, 5, 0).code_noise.std() == pytest.approx(1, abs=0.02)


def test_wave_speeds_need_not_travel_with_training_batches(tmp_path):
    whole = made(stage="autoencoder", **UNKNOWN)
    quiet_trainer(tmp_path, 2).fit(whole, datamodule=FakeData("speeds", 12))
    lean = made(stage="autoencoder", **UNKNOWN)
    quiet_trainer(tmp_path, 2).fit(lean, datamodule=FakeData("speeds", 12, with_wave_speed=False))
    for name, value in whole.autoencoder.state_dict().items():
        assert torch.equal(value, lean.autoencoder.state_dict()[name]), name


def test_the_papers_networks_train(tmp_path):
    paper = {"autoencoder": "convolutional", "autoencoder_width": 2, "latent_use": "concat", "field": "siren",
             "optimizer": "adamw", "learning_rate": 1e-3, "adam_betas": (0.9, 0.999), "schedule": "constant",
             "code_noise": 0.0}  # fmt: skip
    path, trainer, _ = trained_autoencoder(tmp_path, **paper)
    module = made(**{**UNKNOWN, **paper}, initial_weights=str(path))
    trainer = quiet_trainer(tmp_path)
    trainer.fit(module, datamodule=FakeData(n=12))
    assert float(trainer.callback_metrics["val/rmse_s"]) > 0.0


@pytest.mark.parametrize("stage", ["autoencoder", "field"])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, stage):
    settings = {**UNKNOWN, "stage": "autoencoder"} if stage == "autoencoder" else {"stage": "field"}
    content, n = ("speeds", 12) if stage == "autoencoder" else ("times", 1)
    whole = made(**settings)
    quiet_trainer(tmp_path, 3).fit(whole, datamodule=FakeData(content, n))
    begun = made(**settings)
    trainer = quiet_trainer(tmp_path, 3, (StopAfterOneEpoch(),))
    trainer.fit(begun, datamodule=FakeData(content, n))
    assert trainer.current_epoch == 1
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    resumed = made(**settings)
    quiet_trainer(tmp_path, 3).fit(resumed, datamodule=FakeData(content, n), ckpt_path=path, weights_only=True)
    part = "autoencoder" if stage == "autoencoder" else "field"
    first, last, again = (getattr(module, part).state_dict() for module in (begun, whole, resumed))
    assert any(not torch.equal(value, first[name]) for name, value in last.items())
    for name, value in last.items():
        assert torch.equal(value, again[name]), name


def test_training_stops_where_the_error_is_small_enough(tmp_path):
    trainer = quiet_trainer(tmp_path, 9)
    trainer.fit(made(stop_at_rmse=1e3), datamodule=FakeData())
    assert trainer.current_epoch == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage": "autoencoder"}, "latent_dim: got 0, a known wave speed"),
        ({"latent_dim": -1}, "latent_dim: got -1"),
        ({"latent_use": "guess"}, "latent_use: got 'guess'"),
        ({"optimizer": "sgd"}, "optimizer: got 'sgd'"),
        ({"stage": "refine"}, "needs an unknown wave speed"),
        ({"times_points": 0}, "times_points: got"),
        ({"stop_at_rmse": -1.0}, "stop_at_rmse: got -1.0"),
        ({"latent_dim": 2, "autoencoder": "convolutional"}, "no components to tell"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ModuleError, match=message):
        made(**settings)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ModuleError, match="there is no file"):
        load_travel_time_field(tmp_path / "none.ckpt")
    (tmp_path / "broken.ckpt").write_bytes(b"nonsense")
    with pytest.raises(ModuleError, match="cannot be read"):
        load_travel_time_field(tmp_path / "broken.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {"width": 3}}, tmp_path / "other.ckpt")
    with pytest.raises(ModuleError, match="another module"):
        load_travel_time_field(tmp_path / "other.ckpt")
    path, _, _ = trained_autoencoder(tmp_path)
    with pytest.raises(ModuleError, match="holds no trained field"):
        load_travel_time_field(path)
    with pytest.raises(ModuleError, match="holds no trained field"):
        made(stage="evaluate", **UNKNOWN, initial_weights=str(path)).setup("test")
    with pytest.raises(ModuleError, match="made with latent_dim = 2, but 3"):
        made(**{**UNKNOWN, "latent_dim": 3}, initial_weights=str(path)).setup("fit")
    with pytest.raises(ModuleError, match="builds on trained networks and got none"):
        quiet_trainer(tmp_path).fit(made(**UNKNOWN), datamodule=FakeData(n=12))
    with pytest.raises(ModuleError, match="made for 3 stations and the data have 2"):
        quiet_trainer(tmp_path).fit(made(), datamodule=FakeData(n_stations=2))
