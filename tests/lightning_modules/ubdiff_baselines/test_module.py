"""The baselines stage by stage: what trains, what a checkpoint brings on, and what is refused."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.module import UBDiffModule
from lightning_modules.ubdiff_baselines.module import SeparateLatentsModule
from lightning_modules.ubdiff_baselines.networks import READS_NO_MAP
from tests.lightning_modules.ubdiff.fake_pairs import SMALL, RandomPairs, collate, loader, quiet_trainer

# Lightning's advice about workers, log intervals and missing validation does not concern twelve random maps.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

BASELINES = ("joint", "unpaired")
ORDER = ("autoencoder", "paired", "diffusion")
TRAINED = {
    "autoencoder": {"encoder", "to_velocity_latent", "velocity_decoder"},
    "paired": {"seismic_encoder", "to_seismic_latent", "seismic_decoder"},
    "diffusion": {"denoiser"},
}
OWN_STATE = {"autoencoder": set(), "paired": {"pair_latents"}, "diffusion": {"averaged_denoiser", "latent_scaler"}}


def make(stage: str, baseline: str = "joint", **settings: Any) -> SeparateLatentsModule:
    return SeparateLatentsModule(baseline, stage, **(SMALL | settings))  # type: ignore[arg-type]


def changed_parts(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    changed = {
        name for name in before if before[name].shape != after[name].shape or not torch.equal(before[name], after[name])
    }
    return {name.split(".")[1] for name in changed}


def checkpoint(folder: Path, stage: str, baseline: str = "joint", **settings: Any) -> str:
    """Write the checkpoint of a stage that trained for one epoch, and of the stages before it."""
    place = ORDER.index(stage)
    before = checkpoint(folder, ORDER[place - 1], baseline, **settings) if place else None
    trainer = quiet_trainer(folder)
    trainer.fit(make(stage, baseline, **settings, initial_weights=before), loader(), loader(6))
    path = folder / f"{baseline}-{stage}.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    return str(path)


@pytest.mark.parametrize("stage", ORDER)
def test_each_stage_trains_its_own_networks_and_no_other(tmp_path: Path, stage: str) -> None:
    weights = None if stage == "autoencoder" else checkpoint(tmp_path, ORDER[ORDER.index(stage) - 1])
    module = make(stage, initial_weights=weights, weight_decay=0.1)
    module.setup("fit")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quiet_trainer(tmp_path).fit(module, loader(), loader(6))
    assert changed_parts(before, module.state_dict()) == TRAINED[stage] | OWN_STATE[stage]
    assert set(module.parts) == {"encoder", "velocity_decoder", "seismic_encoder", "seismic_decoder", "denoiser"}


@pytest.mark.parametrize("stage", ["autoencoder", "paired"])
def test_every_trainable_weight_gets_a_gradient_in_every_step(stage: str) -> None:
    # What DistributedDataParallel without find_unused_parameters asks for.
    module = make(stage, amplitude_weight=0.1)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = collate([RandomPairs(4, True)[i] for i in range(4)])
    module._reconstruction_step(batch, "train").backward()  # type: ignore[no-untyped-call]
    for name, weight in module.named_parameters():
        assert weight.requires_grad == (name.split(".")[1] in TRAINED[stage]), name
        assert (weight.grad is not None) == weight.requires_grad, name


@pytest.mark.parametrize(
    ("stage", "settings"),
    [("autoencoder", {}), ("paired", {}), ("paired", {"seismic_decoder": "cnn"}), ("diffusion", {})],
)
def test_each_stage_learns_what_it_is_shown(stage: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = make(stage, **settings, amplitude_weight=0.01)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = collate([RandomPairs(4, True)[i] for i in range(4)])
    latents, noise, step = torch.randn(1, 4, 32), torch.randn(4, 32), torch.randint(32, (4,))
    optimizer = torch.optim.Adam([weight for weight in module.parameters() if weight.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        if stage == "diffusion":
            loss = module.networks.diffusion.loss(module.networks.denoiser, latents[0], noise, step)
        else:
            loss = module._reconstruction_step(batch, "train")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize(
    ("stage", "baseline"), [("paired", "joint"), ("diffusion", "joint"), ("diffusion", "unpaired")]
)
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, stage: str, baseline: str) -> None:
    weights = checkpoint(tmp_path, ORDER[ORDER.index(stage) - 1], baseline)

    def fit(resume: Path | None, until: int) -> dict[str, Tensor]:
        torch.manual_seed(7)
        module = make(stage, baseline, warmup_steps=2, initial_weights=weights)
        trainer = quiet_trainer(tmp_path, max_epochs=4)

        def stop() -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= until

        module.on_train_epoch_end = stop  # type: ignore[method-assign]
        trainer.fit(module, loader(), loader(6), ckpt_path=resume, weights_only=True)
        assert trainer.current_epoch == until
        trainer.save_checkpoint(tmp_path / f"until{until}.ckpt", weights_only=False)
        return module.state_dict()

    whole = fit(None, 4)
    fit(None, 2)
    halfway = torch.load(tmp_path / "until2.ckpt", weights_only=True)["state_dict"]
    resumed = fit(tmp_path / "until2.ckpt", 4)
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    assert [name for name in whole if not torch.equal(whole[name], halfway[name])] != []


def test_pairs_are_encoded_even_when_a_resumed_training_has_nothing_left_to_train(tmp_path: Path) -> None:
    # A run that is killed between its last epoch and its final weights: Lightning then skips the whole fit loop.
    weights = checkpoint(tmp_path, "autoencoder")
    module = make("paired", initial_weights=weights)
    saved: list[Any] = []
    trainer = quiet_trainer(tmp_path)
    module.on_train_end = lambda: None  # type: ignore[method-assign]
    module.on_fit_end = lambda: None  # type: ignore[method-assign]
    trainer.fit(module, loader(), loader(6))
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=False)
    resumed = make("paired", initial_weights=weights)
    resumed.training_step = lambda *_: saved.append("trained")  # type: ignore[method-assign, assignment, return-value]
    quiet_trainer(tmp_path).fit(resumed, loader(), loader(6), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert saved == []
    module._keep_pair_latents()
    assert torch.equal(resumed.networks.pair_latents.of_training, module.networks.pair_latents.of_training)
    assert torch.equal(resumed.networks.pair_latents.of_validation, module.networks.pair_latents.of_validation)


def test_the_diffusion_learns_from_the_latents_of_the_pairs_and_needs_no_gather(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path, "paired")
    module = make("diffusion", initial_weights=weights)
    trainer = quiet_trainer(tmp_path)
    trainer.fit(module, loader(with_seismic=False), loader(10, with_seismic=False, batch_size=4))
    # 12 pairs of the training, and their latents once more by hand.
    pairs = RandomPairs(12, True)
    batch = collate([pairs[i] for i in range(12)])
    assert batch.seismic is not None
    with torch.no_grad():
        latents = torch.cat((module.networks.encode(batch.velocity), module.networks.encode_seismic(batch.seismic)), 1)
    assert torch.allclose(module.networks.pair_latents.of_training, latents, atol=1e-6)
    scaler = module.networks.latent_scaler
    assert torch.allclose(scaler.mean, latents.mean(0), atol=1e-5)
    assert module._training_latents is not None
    assert torch.allclose(module._training_latents[0], scaler.standardise(latents), atol=1e-4)
    # Six of the ten validation maps are pairs: the last two of the three batches hold two and none of them.
    kept = module.networks.pair_latents.of_validation
    assert kept.shape == (6, 32)
    losses = [module._validation_loss(torch.arange(start, start + 4)) for start in (0, 4, 8)]
    assert [n for _, n in losses] == [4, 2, 0]
    wanted = sum(float(loss) * n for loss, n in losses) / 6
    assert float(trainer.callback_metrics["val/loss"]) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("baseline", BASELINES)
def test_an_evaluation_reconstructs_and_generates(tmp_path: Path, baseline: str) -> None:
    path = checkpoint(tmp_path, "diffusion", baseline)
    saved = torch.load(path, weights_only=True)["state_dict"]
    module = make("evaluate", baseline, initial_weights=path, sampling_seed=5)
    trainer = quiet_trainer(tmp_path)
    (logged,) = trainer.test(module, loader(10, batch_size=4), verbose=False)
    assert all(
        torch.equal(saved[name], value) for name, value in module.networks.state_dict(prefix="networks.").items()
    )
    pairs = RandomPairs(10, True)
    batch = collate([pairs[i] for i in range(10)])
    assert batch.seismic is not None
    with torch.no_grad():
        seismic = module.networks.decode_seismic(module.networks.encode_seismic(batch.seismic))
        velocity = module.networks.decode_velocity(module.networks.encode(batch.velocity))
    assert logged["test/velocity_mae"] == pytest.approx(float((velocity - batch.velocity).abs().mean()), rel=1e-5)
    assert logged["test/seismic_mae"] == pytest.approx(float((seismic - batch.seismic).abs().mean()), rel=1e-5)

    torch.nn.init.normal_(module.networks.averaged_denoiser.network.get_submodule(LAST[baseline]).weight)  # type: ignore[arg-type, union-attr]
    together, alone = module.predict_step(torch.arange(10), 0), module.predict_step(torch.tensor([7]), 3)
    assert together.latent.shape == (10, 32)
    assert together.velocity.shape == (10, 1, 70, 70)
    assert together.seismic.shape == (10, 5, 30, 70)
    assert torch.allclose(alone.latent[0], together.latent[7], atol=1e-5)
    assert torch.allclose(alone.seismic[0], together.seismic[7], atol=1e-5)
    assert not torch.allclose(together.latent[0], together.latent[1], atol=1e-2)


LAST = {"joint": "to_latent", "unpaired": "seismic.to_latent"}


def test_a_checkpoint_of_another_baseline_or_of_ub_diff_is_refused_by_name(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "autoencoder")
    with pytest.raises(ModuleError, match=r"made by baseline joint, but baseline unpaired is wanted"):
        make("paired", "unpaired", initial_weights=path).setup("fit")
    trainer = quiet_trainer(tmp_path)
    trainer.fit(UBDiffModule("autoencoder", **SMALL), loader(with_seismic=False))
    trainer.save_checkpoint(tmp_path / "ub_diff.ckpt")
    with pytest.raises(ModuleError, match=r"ub_diff.ckpt was made by UB-Diff itself, but baseline joint is wanted"):
        make("paired", initial_weights=str(tmp_path / "ub_diff.ckpt")).setup("fit")


@pytest.mark.parametrize("stage", ["paired", "diffusion"])
def test_a_later_stage_refuses_networks_that_nobody_trained(tmp_path: Path, stage: str) -> None:
    with pytest.raises(ModuleError, match=f"stage '{stage}' builds on trained networks"):
        quiet_trainer(tmp_path).fit(make(stage), loader(), loader(6))


@pytest.mark.parametrize(("stage", "n", "found"), [("autoencoder", 12, 0), ("paired", 11, 12)])
def test_the_diffusion_refuses_latents_of_other_pairs(tmp_path: Path, stage: str, n: int, found: int) -> None:
    module = make("diffusion", initial_weights=checkpoint(tmp_path, stage))
    with pytest.raises(ModuleError, match=f"holds the latents of {found} pairs and the data give {n} training samples"):
        quiet_trainer(tmp_path).fit(module, loader(n, with_seismic=False), loader(6, with_seismic=False))


def test_pairs_without_seismic_are_refused(tmp_path: Path) -> None:
    module = make("paired", initial_weights=checkpoint(tmp_path, "autoencoder"))
    with pytest.raises(ModuleError, match=r"data\.content to 'pairs'"):
        quiet_trainer(tmp_path).fit(module, loader(with_seismic=False))


def test_every_setting_of_ub_diff_is_taken_with_its_default() -> None:
    # So that one preset serves both.
    baseline = inspect.signature(SeparateLatentsModule.__init__).parameters
    for name, parameter in inspect.signature(UBDiffModule.__init__).parameters.items():
        assert name in baseline, f"a preset that sets {name} does not apply to the baselines"
        assert baseline[name].annotation == parameter.annotation, name
        if name not in READS_NO_MAP:
            assert baseline[name].default == parameter.default, name
    module = make("autoencoder", freeze="none", amplitude_weight=0.5)
    assert module.hparams["freeze"] == "none"
    assert module.hparams["amplitude_weight"] == 0.5
    assert module.hparams["baseline"] == "joint"
