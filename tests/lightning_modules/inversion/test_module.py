"""The inversion module in a real Trainer: what is logged, exact resume, checkpoints, refusals."""

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.errors import ModuleError
from lightning_modules.inversion.checkpoint import load_inversion_net
from lightning_modules.inversion.module import InversionNetModule
from tests.lightning_modules.ubdiff.fake_pairs import RandomPairs, collate, loader, quiet_trainer, trained_checkpoint

# Lightning's advice about workers, log intervals and missing validation does not concern twelve random maps.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

SMALL = {"n_time": 30, "width": 0.05, "learning_rate": 1e-3, "schedule": "cosine", "warmup_steps": 2}


def made(**settings) -> InversionNetModule:
    torch.manual_seed(0)
    return InversionNetModule(**(SMALL | settings))


class StopAfterOneEpoch(Callback):
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = True


def test_a_resumed_training_ends_with_the_same_bits(tmp_path):
    whole = made()
    quiet_trainer(tmp_path, max_epochs=3).fit(whole, loader())
    begun = made()
    trainer = quiet_trainer(tmp_path, max_epochs=3, callbacks=[StopAfterOneEpoch()])
    trainer.fit(begun, loader())
    assert trainer.current_epoch == 1
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    resumed = made()
    quiet_trainer(tmp_path, max_epochs=3).fit(resumed, loader(), ckpt_path=path)
    assert not torch.equal(begun.network.encoder[0].weight, whole.network.encoder[0].weight)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_losses_are_logged_and_weighted(tmp_path):
    module = made(absolute_weight=2.0, squared_weight=3.0)
    trainer = quiet_trainer(tmp_path)
    trainer.fit(module, loader(), loader(6))
    for split in ("train", "val"):
        logged = {name: float(trainer.callback_metrics[f"{split}/{name}"]) for name in ("velocity_mae", "velocity_mse")}
        expected = 2 * logged["velocity_mae"] + 3 * logged["velocity_mse"]
        assert float(trainer.callback_metrics[f"{split}/loss"]) == pytest.approx(expected, rel=1e-5)
    assert module.parts == {"inversion_net": sum(weight.numel() for weight in module.parameters())}


def test_the_test_logs_the_errors_of_the_inverted_maps(tmp_path):
    module = made()
    trainer = quiet_trainer(tmp_path)
    trainer.test(module, loader(), verbose=False)
    batch = collate([RandomPairs(12, True)[i] for i in range(12)])
    with torch.no_grad():
        velocity = module.eval()(batch.seismic)
    error = velocity - batch.velocity
    assert float(trainer.callback_metrics["test/mae"]) == pytest.approx(float(error.abs().mean()), rel=1e-5)
    assert float(trainer.callback_metrics["test/mse"]) == pytest.approx(float(error.square().mean()), rel=1e-5)
    assert set(trainer.callback_metrics) == {f"test/{name}" for name in ("mae", "mse", "rmse", "ssim")}
    predicted = torch.cat(trainer.predict(module, loader()))
    torch.testing.assert_close(predicted, velocity)


def test_the_network_of_a_checkpoint_is_the_one_trained(tmp_path):
    module = made()
    trainer = quiet_trainer(tmp_path)
    trainer.fit(module, loader())
    trainer.save_checkpoint(tmp_path / "final.ckpt", weights_only=False)
    network = load_inversion_net(tmp_path / "final.ckpt")
    gathers = RandomPairs(2, True).seismic
    assert not network.training
    with torch.no_grad():
        assert torch.equal(network(gathers), module.eval()(gathers))


def test_initial_weights_are_taken_and_another_size_is_refused(tmp_path):
    trainer = quiet_trainer(tmp_path)
    trained = made()
    trainer.fit(trained, loader())
    trainer.save_checkpoint(tmp_path / "net.ckpt")
    torch.manual_seed(1)
    module = InversionNetModule(**SMALL, initial_weights=str(tmp_path / "net.ckpt"))
    module.setup("test")
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, module.network.state_dict()[name]), name
    with pytest.raises(ModuleError, match=r"net\.ckpt has another size"):
        made(width=0.1, initial_weights=str(tmp_path / "net.ckpt")).setup("test")


def test_checkpoints_of_others_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(ModuleError, match=r"there is no file .*absent.ckpt; give a checkpoint that an InversionNet"):
        load_inversion_net(tmp_path / "absent.ckpt")
    (tmp_path / "noise.ckpt").write_bytes(b"noise")
    with pytest.raises(ModuleError, match=r"noise\.ckpt cannot be read as a checkpoint"):
        load_inversion_net(tmp_path / "noise.ckpt")
    with pytest.raises(ModuleError, match="was made by another module"):
        load_inversion_net(trained_checkpoint(tmp_path))


def test_impossible_settings_are_refused(tmp_path):
    with pytest.raises(ModuleError, match=r"absolute_weight, squared_weight: got 0\.0 and 0\.0"):
        made(absolute_weight=0.0, squared_weight=0.0)
    with pytest.raises(ModuleError, match="'cosine' needs an end"):
        quiet_trainer(tmp_path, max_epochs=-1).fit(made(), loader())
    with pytest.raises(ModuleError, match="got velocity maps without seismic"):
        quiet_trainer(tmp_path).fit(made(), loader(with_seismic=False))
