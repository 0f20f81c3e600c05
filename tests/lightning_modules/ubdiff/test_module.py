"""The module stage by stage: what trains, what stays, what a checkpoint brings back, and whose noise a sample uses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.epoch_draws import draw_epoch
from lightning_modules.ubdiff.module import UBDiffModule
from tests.lightning_modules.ubdiff.fake_pairs import (
    SMALL,
    RandomPairs,
    collate,
    loader,
    quiet_trainer,
    trained_checkpoint,
)

# Lightning's advice about workers, log intervals and missing validation does not concern twelve random maps.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

VELOCITY_SIDE = {"encoder", "to_velocity_latent", "velocity_decoder"}
SEISMIC_SIDE = {"to_seismic_latent", "seismic_decoder"}
STAGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"stage": "autoencoder"}, VELOCITY_SIDE),
    ({"stage": "paired", "freeze": "both"}, SEISMIC_SIDE),
    ({"stage": "paired", "freeze": "none"}, VELOCITY_SIDE | SEISMIC_SIDE),
    ({"stage": "diffusion"}, {"denoiser"}),
    ({"stage": "paired", "freeze": "encoder"}, (VELOCITY_SIDE | SEISMIC_SIDE) - {"encoder"}),
    ({"stage": "paired", "freeze": "velocity_decoder"}, {"encoder"} | SEISMIC_SIDE),
]
THAWED: tuple[dict[str, Any], set[str]] = ({"stage": "paired", "thaw_after": 2}, VELOCITY_SIDE | SEISMIC_SIDE)
OPTIONS: list[dict[str, Any]] = [
    {"stage": "paired", "seismic_decoder": "cnn"},
    {"stage": "paired", "seismic_decoder": "single_token"},
    {"stage": "diffusion", "denoiser": "unet_1d"},
]


def changed_parts(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return {name.split(".")[1] for name in changed}


@pytest.mark.parametrize(("settings", "trained"), STAGES)
def test_each_stage_trains_its_own_networks_and_no_other(
    tmp_path: Path, settings: dict[str, Any], trained: set[str]
) -> None:
    weights = None if settings["stage"] == "autoencoder" else str(trained_checkpoint(tmp_path))
    torch.manual_seed(1)
    module = UBDiffModule(**settings, **SMALL, initial_weights=weights, weight_decay=0.1)
    module.setup("fit")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quiet_trainer(tmp_path).fit(module, loader(), loader(6))
    own_state = {"averaged_denoiser", "latent_scaler"} if settings["stage"] == "diffusion" else set()
    assert changed_parts(before, module.state_dict()) == trained | own_state


@pytest.mark.parametrize(
    ("settings", "trained"), [*STAGES[:3], *STAGES[4:], THAWED, (OPTIONS[0], SEISMIC_SIDE), (OPTIONS[1], SEISMIC_SIDE)]
)
def test_every_trainable_weight_gets_a_gradient_in_every_step(settings: dict[str, Any], trained: set[str]) -> None:
    # What DistributedDataParallel without find_unused_parameters asks for.
    module = UBDiffModule(**settings, **SMALL, amplitude_weight=0.1)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = collate([RandomPairs(4, True)[i] for i in range(4)])
    module._reconstruction_step(batch, "train").backward()  # type: ignore[no-untyped-call]
    for name, weight in module.named_parameters():
        assert weight.requires_grad == (name.split(".")[1] in trained), name
        assert (weight.grad is not None) == weight.requires_grad, name


def test_what_is_frozen_stays_in_evaluation_mode() -> None:
    module = UBDiffModule("paired", **SMALL).train()
    assert module.training
    assert module.networks.seismic_decoder.training
    assert not module.networks.encoder.training
    assert not module.networks.velocity_decoder.training


@pytest.mark.parametrize("settings", [*(settings for settings, _ in STAGES[:4]), *OPTIONS])
def test_each_stage_learns_what_it_is_shown(settings: dict[str, Any]) -> None:
    # Four samples over and over, by the stage's own step: the loss has to fall well below its start.
    torch.manual_seed(0)
    module = UBDiffModule(**settings, **SMALL, amplitude_weight=0.01)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = collate([RandomPairs(4, True)[i] for i in range(4)])
    module._training_latents = torch.randn(1, 4, 16)
    steps = module.networks.diffusion.n_steps
    optimizer = torch.optim.Adam([weight for weight in module.parameters() if weight.requires_grad], lr=3e-3)
    step = module._diffusion_step if settings["stage"] == "diffusion" else module._reconstruction_step
    losses = []
    for epoch in range(80):
        module._draws = draw_epoch(0, epoch, 4, latent_dim=16, n_steps=steps, diffusion=True)
        optimizer.zero_grad()
        loss = step(batch, "train")
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize(
    "chosen", [{"stage": "autoencoder"}, {"stage": "paired"}, {"stage": "diffusion"}, *OPTIONS], ids=str
)
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, chosen: dict[str, Any]) -> None:
    network = {name: value for name, value in chosen.items() if name != "stage"}
    weights = None if chosen["stage"] == "autoencoder" else str(trained_checkpoint(tmp_path, **network))

    def fit(resume: Path | None, until: int) -> UBDiffModule:
        torch.manual_seed(7)
        module = UBDiffModule(**(SMALL | chosen), flip=True, warmup_steps=2, initial_weights=weights)
        trainer = quiet_trainer(tmp_path, max_epochs=4)

        def stop() -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= until

        module.on_train_epoch_end = stop  # type: ignore[method-assign]
        trainer.fit(module, loader(), ckpt_path=resume, weights_only=True)
        assert trainer.current_epoch == until
        trainer.save_checkpoint(tmp_path / f"until{until}.ckpt", weights_only=False)
        return module

    whole = fit(None, 4).state_dict()
    fit(None, 2)
    halfway = torch.load(tmp_path / "until2.ckpt", weights_only=True)["state_dict"]
    resumed = fit(tmp_path / "until2.ckpt", 4).state_dict()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    assert [name for name in whole if not torch.equal(whole[name], halfway[name])] != []


@pytest.mark.parametrize(
    "network", [{}, {"seismic_decoder": "cnn"}, {"seismic_decoder": "single_token", "denoiser": "unet_1d"}], ids=str
)
def test_a_checkpoint_carries_everything_to_the_next_stage(tmp_path: Path, network: dict[str, Any]) -> None:
    path = trained_checkpoint(tmp_path, "diffusion", **network)
    saved = torch.load(path, weights_only=True)["state_dict"]
    module = UBDiffModule("evaluate", **(SMALL | network), initial_weights=str(path))
    module.setup("test")
    pairs = module.predict_step(torch.arange(2), 0)
    assert pairs.velocity.shape == (2, 1, 70, 70)
    assert pairs.seismic.shape == (2, 5, 30, 70)
    assert pairs.latent.abs().max() <= 1.0
    state = module.state_dict()
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[name], state[name]) for name in saved)


def test_without_two_steps_everything_learns_from_the_pairs_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = UBDiffModule("paired", **SMALL, freeze="none")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer = quiet_trainer(tmp_path, max_epochs=8)
    trainer.fit(module, loader(), loader(6))
    assert changed_parts(before, module.state_dict()) == VELOCITY_SIDE | SEISMIC_SIDE
    # Latents for the next stage, and generated pairs from it, as after two steps.
    trainer.save_checkpoint(tmp_path / "joint.ckpt")
    diffusion = UBDiffModule("diffusion", **SMALL, initial_weights=str(tmp_path / "joint.ckpt"))
    trainer = quiet_trainer(tmp_path)
    trainer.fit(diffusion, loader(with_seismic=False))
    trainer.save_checkpoint(tmp_path / "diffusion.ckpt")
    evaluation = UBDiffModule("evaluate", **SMALL, initial_weights=str(tmp_path / "diffusion.ckpt"))
    evaluation.setup("test")
    encoder = {name: value for name, value in module.state_dict().items() if ".encoder." in name}
    assert all(torch.equal(evaluation.state_dict()[name], value) for name, value in encoder.items())
    assert evaluation.predict_step(torch.arange(2), 0).seismic.isfinite().all()


def test_each_network_starts_from_random_numbers_of_its_own() -> None:
    torch.manual_seed(0)
    plain = UBDiffModule(**SMALL).state_dict()
    torch.manual_seed(0)
    other = UBDiffModule(**SMALL, seismic_decoder="cnn", denoiser="unet_1d").state_dict()
    shared = {name: value for name, value in plain.items() if "seismic_decoder" not in name and "denoiser" not in name}
    assert len(shared) > 10
    assert all(torch.equal(other[name], value) for name, value in shared.items())
    torch.manual_seed(1)
    assert changed_parts(plain, UBDiffModule(**SMALL).state_dict()) >= VELOCITY_SIDE | SEISMIC_SIDE


def test_networks_that_no_stage_has_trained_may_be_absent_and_of_another_kind(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path)
    content = torch.load(path, weights_only=True)
    velocity_side = tuple(f"networks.{part}." for part in VELOCITY_SIDE)
    content["state_dict"] = {k: w for k, w in content["state_dict"].items() if k.startswith(velocity_side)}
    torch.save(content, path)
    module = UBDiffModule("paired", **SMALL, seismic_decoder="cnn", denoiser="unet_1d", initial_weights=str(path))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.setup("fit")
    assert changed_parts(before, module.state_dict()) == VELOCITY_SIDE
    content["hyper_parameters"]["stage"] = "diffusion"
    torch.save(content, path)
    with pytest.raises(ModuleError, match="has other layers"):
        UBDiffModule("evaluate", **SMALL, initial_weights=str(path)).setup("test")


def evaluator(tmp_path: Path, **settings: Any) -> UBDiffModule:
    torch.manual_seed(3)
    module = UBDiffModule("evaluate", **(SMALL | settings))
    # A fresh denoiser answers zero; give it something to say.
    torch.nn.init.normal_(module.networks.averaged_denoiser.network.to_latent.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    return module.eval()


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver_2m"])
def test_a_sample_depends_on_its_number_and_the_seed_alone(tmp_path: Path, sampler: str) -> None:
    module = evaluator(tmp_path, sampler=sampler, sampling_seed=5)
    together = module.predict_step(torch.arange(10), 0)
    alone = module.predict_step(torch.tensor([7]), 3)
    shuffled = module.predict_step(torch.tensor([9, 7, 2]), 1)
    assert torch.allclose(alone.latent[0], together.latent[7], atol=1e-5)
    assert torch.allclose(shuffled.latent[1], together.latent[7], atol=1e-5)
    assert torch.allclose(shuffled.seismic[1], together.seismic[7], atol=1e-5)
    assert not torch.allclose(together.latent[0], together.latent[1], atol=1e-2)
    other = evaluator(tmp_path, sampler=sampler, sampling_seed=6).predict_step(torch.tensor([7]), 0)
    assert not torch.allclose(other.latent, alone.latent, atol=1e-2)


def test_samples_come_from_the_averaged_weights(tmp_path: Path) -> None:
    module = evaluator(tmp_path)
    before = module.predict_step(torch.arange(3), 0).latent
    torch.nn.init.normal_(module.networks.denoiser.to_latent.weight)
    assert torch.equal(module.predict_step(torch.arange(3), 0).latent, before)
    torch.nn.init.zeros_(module.networks.averaged_denoiser.network.to_latent.weight)  # type: ignore[union-attr, arg-type]
    assert not torch.equal(module.predict_step(torch.arange(3), 0).latent, before)


def test_testing_logs_normalised_errors_and_returns_reconstructions(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path, "diffusion")
    module = UBDiffModule("evaluate", **SMALL, initial_weights=str(path))
    (logged,) = quiet_trainer(tmp_path).test(module, loader(10, batch_size=4), verbose=False)
    pairs = RandomPairs(10, True)
    batch = collate([pairs[i] for i in range(10)])
    with torch.no_grad():
        velocity, seismic = module(batch.velocity)
    assert logged["test/velocity_mae"] == pytest.approx(float((velocity - batch.velocity).abs().mean()), rel=1e-5)
    assert batch.seismic is not None
    assert logged["test/seismic_mae"] == pytest.approx(float((seismic - batch.seismic).abs().mean()), rel=1e-5)
    assert -1.0 < logged["test/velocity_ssim"] < 1.0


def test_parameter_counts_of_the_default_sizes() -> None:
    parts = UBDiffModule().parts
    assert parts.keys() == {"encoder", "velocity_decoder", "seismic_decoder", "denoiser"}
    assert parts["seismic_decoder"] <= 6_000_000
    tiny = UBDiffModule(n_time=250, seismic_patch=10).parts
    assert tiny["seismic_decoder"] <= 6_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 8),
        ("seismic_width", 32),
        ("velocity_widths", (8, 16)),
        ("seismic_decoder", "cnn"),
        ("denoiser", "unet_1d"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused_by_name(tmp_path: Path, name: str, value: Any) -> None:
    path = trained_checkpoint(tmp_path)
    module = UBDiffModule("paired", **(SMALL | {name: value}), initial_weights=str(path))
    with pytest.raises(ModuleError, match=rf"{name} = .*wanted here.*shared") as caught:
        quiet_trainer(tmp_path).fit(module, loader())
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("network", "name", "value"),
    [
        ({"seismic_decoder": "cnn"}, "cnn_width", 3),
        ({"seismic_decoder": "single_token"}, "single_token_width", 32),
        ({"denoiser": "unet_1d"}, "unet_multipliers", (1, 1)),
    ],
)
def test_a_checkpoint_of_an_option_at_another_size_is_refused_by_name(
    tmp_path: Path, network: dict[str, Any], name: str, value: Any
) -> None:
    path = trained_checkpoint(tmp_path, **network)
    module = UBDiffModule("paired", **(SMALL | network | {name: value}), initial_weights=str(path))
    with pytest.raises(ModuleError, match=rf"{name} = .*wanted here"):
        module.setup("fit")


def test_a_setting_that_no_network_reads_does_not_part_a_checkpoint(tmp_path: Path) -> None:
    network = {"seismic_decoder": "cnn", "denoiser": "unet_1d"}
    path = trained_checkpoint(tmp_path, **network)
    unread = {"seismic_patch": 9, "seismic_width": 7, "denoiser_width": 31, "single_token_width": 5}
    UBDiffModule("paired", **(SMALL | network | unread), initial_weights=str(path)).setup("fit")


def test_another_seismic_decoder_than_the_checkpoint_s_is_refused(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path)
    other = UBDiffModule("paired", **SMALL, seismic_decoder="cnn", initial_weights=str(path))
    with pytest.raises(ModuleError, match="made with seismic_decoder = patch_transformer, but cnn is wanted"):
        other.setup("fit")


def test_what_is_frozen_thaws_in_the_epoch_that_was_asked_for(tmp_path: Path) -> None:
    parts = []

    class Note(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            parts.append(changed_parts(self.before, pl_module.state_dict()))

    weights = str(trained_checkpoint(tmp_path))
    module = UBDiffModule("paired", **SMALL, thaw_after=2, initial_weights=weights, weight_decay=0.1)
    trainer = quiet_trainer(tmp_path, max_epochs=3)
    trainer.callbacks.append(Note())  # type: ignore[attr-defined]
    trainer.fit(module, loader(), loader(6))
    assert parts == [SEISMIC_SIDE, SEISMIC_SIDE, VELOCITY_SIDE | SEISMIC_SIDE]


def test_an_evaluation_refuses_another_prediction(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path, prediction="epsilon")
    with pytest.raises(ModuleError, match="prediction = epsilon"):
        UBDiffModule("evaluate", **SMALL, initial_weights=str(path)).setup("test")


def test_an_evaluation_refuses_an_untrained_denoiser(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path)
    with pytest.raises(ModuleError, match=r"made by stage 'autoencoder'.*give the checkpoint of stage 'diffusion'"):
        UBDiffModule("evaluate", **SMALL, initial_weights=str(path)).setup("test")


def test_a_checkpoint_of_other_layers_is_refused(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path)
    content = torch.load(path, weights_only=True)
    content["state_dict"].pop("networks.encoder.to_latent.weight")
    torch.save(content, path)
    with pytest.raises(ModuleError, match=r"autoencoder\.ckpt has other layers"):
        UBDiffModule("paired", **SMALL, initial_weights=str(path)).setup("fit")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "latent_dim: got 0"),
        ({"velocity_widths": (8,)}, "got 1 widths and 2 velocity_strides"),
        ({"velocity_strides": (3, 2)}, "product 6 does not divide"),
        ({"seismic_heads": 3}, "multiple of 4 and of seismic_heads = 3"),
        ({"denoiser_width": 33}, "give an even number"),
        ({"seismic_decoder": "rnn"}, "seismic_decoder: got rnn; give one of patch_transformer, cnn, single_token"),
        ({"denoiser": "dit"}, "denoiser: got dit; give one of adaln_mlp, unet_1d"),
        ({"sampler": "euler"}, "sampler: got euler; give one of ddpm, ddim, dpm_solver_2m"),
        ({"seismic_decoder": "cnn", "cnn_width": 0}, "cnn_width: got 0"),
        ({"seismic_decoder": "single_token", "single_token_width": 9}, "multiple of seismic_heads = 2"),
        ({"seismic_decoder": "single_token", "single_token_depth": 0}, "single_token_depth: got 0"),
        ({"denoiser": "unet_1d", "unet_width": 12}, "unet_width: got 12; give a multiple of 8"),
        ({"denoiser": "unet_1d", "unet_multipliers": ()}, "unet_multipliers: got"),
        ({"denoiser": "unet_1d", "unet_multipliers": (1,) * 6}, "latent_dim = 16 is no multiple of 32"),
        ({"n_sampling_steps": 33}, "at most n_diffusion_steps = 32"),
        ({"ema_decay": 1.0}, "ema_decay: got 1.0"),
    ],
)
def test_an_impossible_setting_is_one_clear_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModuleError, match=message):
        UBDiffModule(**(SMALL | settings))


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_missing_or_broken_checkpoint_is_one_clear_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.ckpt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModuleError, match=r"initial_weights: .*weights\.ckpt") as caught:
        UBDiffModule("paired", **SMALL, initial_weights=str(path)).setup("fit")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", ["paired", "diffusion"])
def test_a_frozen_stage_refuses_networks_that_nobody_trained(tmp_path: Path, stage: str) -> None:
    with pytest.raises(ModuleError, match=f"stage '{stage}' builds on trained networks"):
        quiet_trainer(tmp_path).fit(UBDiffModule(stage, **SMALL), loader())  # type: ignore[arg-type]


def test_pairs_without_seismic_are_refused(tmp_path: Path) -> None:
    module = UBDiffModule("paired", **SMALL, freeze="none")
    with pytest.raises(ModuleError, match=r"data\.content to 'pairs'"):
        quiet_trainer(tmp_path).fit(module, loader(with_seismic=False))


def test_a_cosine_schedule_without_an_end_is_refused(tmp_path: Path) -> None:
    module = UBDiffModule("autoencoder", **SMALL)
    with pytest.raises(ModuleError, match="'cosine' needs an end"):
        quiet_trainer(tmp_path, max_epochs=-1).fit(module, loader(with_seismic=False))
