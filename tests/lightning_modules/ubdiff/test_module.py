"""The module stage by stage: what trains, what stays, what a checkpoint brings back, and whose noise a sample uses."""

from pathlib import Path
from typing import Any

import pytest
import torch
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
    ({"stage": "paired", "freeze": True}, SEISMIC_SIDE),
    ({"stage": "paired", "freeze": False}, VELOCITY_SIDE | SEISMIC_SIDE),
    ({"stage": "diffusion"}, {"denoiser"}),
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


@pytest.mark.parametrize(("settings", "trained"), STAGES[:3])
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


@pytest.mark.parametrize(("settings", "trained"), STAGES)
def test_each_stage_learns_what_it_is_shown(settings: dict[str, Any], trained: set[str]) -> None:
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
    for epoch in range(150):
        module._draws = draw_epoch(0, epoch, 4, latent_dim=16, n_steps=steps, diffusion=True)
        optimizer.zero_grad()
        loss = step(batch, "train")
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize("stage", ["autoencoder", "paired", "diffusion"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, stage: str) -> None:
    weights = None if stage == "autoencoder" else str(trained_checkpoint(tmp_path))

    def fit(resume: Path | None, until: int) -> UBDiffModule:
        torch.manual_seed(7)
        settings = SMALL | {"flip": True, "warmup_steps": 2, "initial_weights": weights}
        module = UBDiffModule(stage, **settings)  # type: ignore[arg-type]
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


def test_a_checkpoint_carries_everything_to_the_next_stage(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path, "diffusion")
    saved = torch.load(path, weights_only=True)["state_dict"]
    module = UBDiffModule("evaluate", **SMALL, initial_weights=str(path))
    module.setup("test")
    state = module.state_dict()
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[name], state[name]) for name in saved)


def evaluator(tmp_path: Path, **settings: Any) -> UBDiffModule:
    torch.manual_seed(3)
    module = UBDiffModule("evaluate", **(SMALL | settings))
    # A fresh denoiser answers zero; give it something to say.
    torch.nn.init.normal_(module.networks.averaged_denoiser.network.to_latent.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    return module.eval()


@pytest.mark.parametrize("sampler", ["ddpm", "dpm_solver_2m"])
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


@pytest.mark.parametrize(("name", "value"), [("latent_dim", 8), ("seismic_width", 32), ("velocity_widths", (8, 16))])
def test_a_checkpoint_of_another_configuration_is_refused_by_name(tmp_path: Path, name: str, value: Any) -> None:
    path = trained_checkpoint(tmp_path)
    module = UBDiffModule("paired", **(SMALL | {name: value}), initial_weights=str(path))
    with pytest.raises(ModuleError, match=rf"{name} = .*wanted here.*shared") as caught:
        quiet_trainer(tmp_path).fit(module, loader())
    assert str(path) in str(caught.value)


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
    module = UBDiffModule("paired", **SMALL, freeze=False)
    with pytest.raises(ModuleError, match=r"data\.content to 'pairs'"):
        quiet_trainer(tmp_path).fit(module, loader(with_seismic=False))


def test_a_cosine_schedule_without_an_end_is_refused(tmp_path: Path) -> None:
    module = UBDiffModule("autoencoder", **SMALL)
    with pytest.raises(ModuleError, match="'cosine' needs an end"):
        quiet_trainer(tmp_path, max_epochs=-1).fit(module, loader(with_seismic=False))
