"""The module in a real Trainer: every method, exact resume, checkpoints, refusals."""

import pytest
import torch
from lightning.pytorch import Callback

from lightning_modules.cubism.module import CubismModule
from lightning_modules.errors import ModuleError
from tests.lightning_modules.cubism.fake_data import SIZE, FakeVolcanoes, StopAfterEpoch, quiet_trainer

# Lightning's advice about workers, log intervals and batch sizes does not concern a few small images.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

NONE = {"generator": "none", "balance": "none", "mixup": "none", "adversary": False, "conditional": False,
        "representation": "shared"}  # fmt: skip
FLOW = {"generator": "flow", "representation": "shared", "adversary": True}
METHODS = {
    "source-only": NONE,
    "dann": {**NONE, "adversary": True},
    "dm-ada": {**NONE, "generator": "vae", "mixup": "input_and_latent", "adversary": True},
    "dm-ada-flow": {**FLOW, "mixup": "input_and_latent", "balance": "none", "conditional": False},
    "bmix-da": {**FLOW, "mixup": "latent", "balance": "source"},
    "cubism": {**FLOW, "mixup": "latent", "balance": "co_balanced"},
    "cubism-latent": {"representation": "latent"},
    "cubism-image": {"representation": "image", "noisy_target": "mixup_and_discriminator"},
    "cubism-events": {**FLOW, "mixup_anchors": "events", "pseudo_labels": "classifier"},
    "cubism-corrected": {**FLOW, "prior_correction": True},
    "cubism-per-volcano": {**FLOW, "batch_statistics": "per_volcano"},
    "cubism-image-per-volcano": {"representation": "image", "batch_statistics": "per_volcano"},
    "mixup-alone": {**FLOW, "adversary": False, "conditional": False, "batch_statistics": "per_volcano"},
    "adabn": {**NONE, "batch_statistics": "per_volcano"},
    "input-balanced": {**NONE, "mixup": "input", "balance": "co_balanced", "adversary": True},
}
PAPER = {
    "representation": "image", "noisy_target": "mixup_and_discriminator", "mixup_per": "batch",
    "ratio": "batch_first_epoch", "confidence": "gaussians", "conditional_class_cap": None, "conditional_warmup": 0.0,
    "conditional_moves_gaussians": True, "learning_rate": 0.01, "backbone_channels": 3,
}  # fmt: skip


def made(**settings) -> CubismModule:
    torch.manual_seed(0)
    small = {"image_size": SIZE, "backbone_width": 4, "head_units": 8, "flow_units": 8, "vae_dim": 4, "vae_width": 4}
    return CubismModule(**{**small, "pretrain_epochs": 1, **settings})


@pytest.mark.parametrize("method", [*METHODS, "paper"])
def test_every_method_trains_and_is_judged(tmp_path, method):
    settings = METHODS.get(method, PAPER)
    module, data = made(**settings), FakeVolcanoes()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer = quiet_trainer(tmp_path, 2)
    trainer.fit(module, datamodule=data)
    for name, parameter in module.named_parameters():
        assert not torch.equal(parameter, before[name]), f"{name} did not move"
    metrics = trainer.callback_metrics
    assert {"train/loss", "train/classification", "val/source_f1", "val/unsupervised_score"} <= set(metrics)
    assert ("ratio/estimate" in metrics) == (module.hparams["mixup"] != "none")
    assert all(torch.isfinite(value) for value in metrics.values())
    [tested, *_] = trainer.test(module, datamodule=data, verbose=False)
    for domain in ("target", "source"):
        names = ("accuracy", "precision", "recall", "f1", "recall_lp", "recall_vt")
        assert {f"{domain}/{name}" for name in names} <= set(tested)
    probability = torch.cat(trainer.predict(module, datamodule=data))
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(len(data.target_image)))
    assert module.features(data.target_image).shape == (len(data.target_image), 32)
    module.eval()
    shown = module.inter_volcano_images(next(iter(data.train_dataloader())))
    if module.hparams["mixup"] == "none":
        assert shown is None
    else:
        assert shown.image.shape == shown.source_image.shape == shown.target_image.shape == (16, 1, SIZE, SIZE)


def test_source_only_learns_the_source(tmp_path):
    module, data = made(**NONE, backbone_width=8, learning_rate=3e-3), FakeVolcanoes()
    trainer = quiet_trainer(tmp_path, 8)
    trainer.fit(module, datamodule=data)
    [tested, *_] = trainer.test(module, datamodule=data, verbose=False)
    assert tested["source/f1"] > 0.9
    assert tested["source/recall"] == pytest.approx(0.5 * (tested["source/recall_lp"] + tested["source/recall_vt"]))


def test_the_target_reaches_source_only_in_no_way(tmp_path):
    weights = []
    for seed in (2, 3):
        module = made(**NONE)
        quiet_trainer(tmp_path, 1).fit(module, datamodule=FakeVolcanoes(target_seed=seed))
        weights.append(module.networks.readers.state_dict())
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_statistics_alone_reach_a_source_only_that_takes_the_target_s(tmp_path):
    """AdaBN: no parameter and none of the source's averages depends on the target."""
    weights = []
    for seed in (2, 3):
        module = made(**METHODS["adabn"], pretrain_epochs=0)
        quiet_trainer(tmp_path, 1).fit(module, datamodule=FakeVolcanoes(target_seed=seed))
        weights.append(module.networks.readers.state_dict())
    own = [name for name in weights[0] if ".target_running_" in name]
    assert own
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]) == (name not in own), name


class Kept(Callback):
    """Keeps what steps return, by the kind of step and its loader."""

    def __init__(self) -> None:
        self.outputs: dict[str, torch.Tensor] = {}

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self.outputs[f"validate {('source', 'target')[dataloader_idx]}"] = outputs

    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self.outputs[f"test {('target', 'source')[dataloader_idx]}"] = outputs

    def on_predict_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self.outputs["predict target"] = outputs


@pytest.mark.parametrize("spoilt", ["source", "target"])
def test_each_volcano_is_judged_by_its_own_statistics(tmp_path, spoilt):
    """Everywhere: with one volcano's averages spoilt, just what is said of that volcano changes."""
    module, data, kept = made(**METHODS["cubism-per-volcano"]), FakeVolcanoes(), Kept()
    trainer = quiet_trainer(tmp_path, 2, (kept,))
    trainer.fit(module, datamodule=data)

    def said() -> dict[str, torch.Tensor]:
        kept.outputs.clear()
        trainer.validate(module, datamodule=data, verbose=False)
        trainer.test(module, datamodule=data, verbose=False)
        trainer.predict(module, datamodule=data)
        module.eval()
        with torch.no_grad():
            direct = {
                "forward source": module(data.source_image, "source"),
                "forward target": module(data.target_image),
                "features source": module.features(data.source_image, "source"),
                "features target": module.features(data.target_image),
                "D source": module.networks.source_logit(data.source_image, "source"),
            }
        return {**kept.outputs, **direct}

    before = said()
    for name, buffer in module.networks.readers.named_buffers():
        if name.endswith("running_var") and ("target_" in name) == (spoilt == "target"):
            buffer.mul_(4.0)
    after = said()
    assert len(before) == 10
    for name, value in before.items():
        assert torch.equal(value, after[name]) == (not name.endswith(spoilt)), name


@pytest.mark.parametrize("method", ["cubism", "dm-ada", "cubism-per-volcano"])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, method):
    settings = METHODS[method]
    whole = made(**settings)
    quiet_trainer(tmp_path, 4).fit(whole, datamodule=FakeVolcanoes())
    begun = made(**settings)
    trainer = quiet_trainer(tmp_path, 4, (StopAfterEpoch(2),))
    trainer.fit(begun, datamodule=FakeVolcanoes())
    assert trainer.current_epoch == 2
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    resumed = made(**settings)
    quiet_trainer(tmp_path, 4).fit(resumed, datamodule=FakeVolcanoes(), ckpt_path=path, weights_only=True)
    first, last, again = (module.state_dict() for module in (begun, whole, resumed))
    assert any(not torch.equal(value, first[name]) for name, value in last.items())
    for name, value in last.items():
        assert torch.equal(value, again[name]), name


def test_a_checkpoint_remembers_its_data_and_is_judged_alone(tmp_path):
    module, data = made(**METHODS["cubism"]), FakeVolcanoes()
    trainer = quiet_trainer(tmp_path, 2)
    trainer.fit(module, datamodule=data)
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    read = CubismModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    assert read.preprocessing == data.preprocessing
    assert read.class_names == ["LP", "VT"]
    torch.testing.assert_close(read.networks.source_frequencies, torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(read.eval()(data.target_image), module.eval()(data.target_image))
    evaluated = made(**METHODS["cubism"], initial_weights=str(path))
    [tested, *_] = quiet_trainer(tmp_path).test(evaluated, datamodule=data, verbose=False)
    [wanted, *_] = trainer.test(module, datamodule=data, verbose=False)
    assert tested == wanted
    with pytest.raises(ModuleError, match="made with backbone_width = 4, but 5"):
        made(**METHODS["cubism"], initial_weights=str(path), backbone_width=5).setup("test")


def test_bad_checkpoints_are_refused(tmp_path):
    with pytest.raises(ModuleError, match="there is no file"):
        made(**NONE, initial_weights=str(tmp_path / "none.ckpt")).setup("fit")
    (tmp_path / "broken.ckpt").write_bytes(b"nonsense")
    with pytest.raises(ModuleError, match="cannot be read"):
        made(**NONE, initial_weights=str(tmp_path / "broken.ckpt")).setup("fit")
    torch.save({"state_dict": {}, "hyper_parameters": {"width": 3}}, tmp_path / "other.ckpt")
    with pytest.raises(ModuleError, match="another module"):
        made(**NONE, initial_weights=str(tmp_path / "other.ckpt")).setup("fit")
    with pytest.raises(ModuleError, match="no trained weights to judge"):
        quiet_trainer(tmp_path).test(made(**NONE), datamodule=FakeVolcanoes(), verbose=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": "gan"}, "generator: got 'gan'"),
        ({"generator": "none", "representation": "shared", "conditional": False}, "mixup: got 'latent' without"),
        ({"generator": "vae", "conditional": False}, "representation: got 'latent' with generator 'vae'"),
        ({"generator": "vae", "representation": "shared"}, "conditional: got True with generator 'vae'"),
        ({**METHODS["dm-ada"], "noisy_target": "mixup_and_discriminator"}, "noisy_target: got"),
        ({**METHODS["dm-ada"], "image_size": 24}, "image_size: got 24; generator 'vae'"),
        ({"backbone_width": 0}, "backbone_width: got 0"),
        ({"n_classes": 1}, "n_classes: got 1"),
        ({"tau": 1.0}, "tau: got 1.0"),
        ({"rho_max": -1.0}, "rho_max: got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"conditional_class_cap": 0.0}, "conditional_class_cap: got 0.0"),
        ({"dequantisation": -0.1}, "dequantisation: got -0.1"),
        ({"batch_statistics": "own"}, "batch_statistics: got 'own'"),
        ({"pretrained_sha256": "00"}, "pretrained_sha256: there is no file"),
        ({"pretrain_epochs": -1}, "pretrain_epochs: got -1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ModuleError, match=message):
        made(**settings)
