"""UBDiffModule with an exact direct wave: what the decoders then learn, and where the table travels."""

from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_modules.errors import ModuleError
from lightning_modules.ubdiff.amplitude import to_amplitude, to_normalised
from lightning_modules.ubdiff.direct_wave import DirectWaveTable
from lightning_modules.ubdiff.module import UBDiffModule
from tests.lightning_modules.ubdiff.fake_pairs import (
    SMALL,
    RandomPairs,
    collate,
    loader,
    quiet_trainer,
    trained_checkpoint,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]

DECODERS = ("patch_transformer", "cnn", "single_token", "kirchhoff")
EXACT: dict[str, Any] = SMALL | {"direct_wave": "exact", "kirchhoff_width": 4}
LOG_RANGE = (-3.33, 3.985)


class Table(NamedTuple):
    slowness_bounds_s_m: np.ndarray
    terms: np.ndarray
    coefficients: np.ndarray


def table() -> DirectWaveTable:
    coefficients = np.random.default_rng(0).normal(size=(3, 70, 3, 30)).astype(np.float16)
    return Table(np.array([1 / 4800, 1 / 3000, 1 / 1400]), np.array([2, 1]), coefficients)


class Data(pl.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return loader(4, batch_size=2)

    def val_dataloader(self) -> DataLoader[Any]:
        return loader(2, batch_size=2)

    def direct_wave_table(self) -> DirectWaveTable:
        return table()


def quiet_module(**settings: Any) -> UBDiffModule:
    torch.manual_seed(0)
    module = UBDiffModule("paired", **(EXACT | settings))
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    assert module.networks.direct_wave is not None
    module.networks.direct_wave.fill(table())
    return module


def batch_of(n: int = 4) -> Any:
    return collate([RandomPairs(n, True)[i] for i in range(n)])


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoder_adds_reflections_to_the_direct_wave_of_the_decoded_map(decoder: str) -> None:
    module = quiet_module(seismic_decoder=decoder)
    latent = torch.rand(2, 16) - 0.5
    with torch.no_grad():
        velocity, seismic = module.decode(latent)
        reflections = module.networks.decode_reflections(latent, velocity)
        direct = module.networks.direct_wave(velocity)  # type: ignore[misc]
    assert seismic.shape == (2, 5, 30, 70)
    torch.testing.assert_close(to_amplitude(seismic, *LOG_RANGE), direct + reflections, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(module.networks.decode_seismic(latent), seismic)


def test_the_loss_is_the_squared_residual_figure_beside_the_log_loss() -> None:
    module = quiet_module(amplitude_weight=1.0)
    module._refuse_untrained = lambda: None  # type: ignore[method-assign]
    batch = batch_of()
    networks = module.networks
    assert networks.direct_wave is not None
    with torch.no_grad():
        latent = networks.encode(batch.velocity)
        # The true map's direct wave in training, the decoded map's in validation.
        for split, velocity in (("train", batch.velocity), ("val", networks.decode_velocity(latent))):
            gather = networks.direct_wave(velocity) + networks.decode_reflections(latent, velocity)
            truth = to_amplitude(batch.seismic, *LOG_RANGE)
            reference = truth - networks.direct_wave.of_one_velocity(batch.velocity)
            residual = float(((gather - truth) ** 2).sum() / (reference**2).sum())
            error = to_normalised(gather, *LOG_RANGE) - batch.seismic
            wanted = residual + float(error.abs().mean() + error.square().mean())
            assert float(module._seismic_loss(latent, batch, split)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("freeze", ["both", "none"])
def test_every_trainable_weight_gets_a_gradient(decoder: str, freeze: str) -> None:
    module = quiet_module(seismic_decoder=decoder, freeze=freeze, amplitude_weight=1.0)
    module._reconstruction_step(batch_of(), "train").backward()  # type: ignore[no-untyped-call]
    for name, weight in module.named_parameters():
        assert (weight.grad is not None) == weight.requires_grad, name
        assert weight.grad is None or weight.grad.isfinite().all(), name


@pytest.mark.parametrize("decoder", ["patch_transformer", "kirchhoff"])
def test_the_table_travels_and_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path, decoder: str) -> None:
    settings = EXACT | {"seismic_decoder": decoder, "amplitude_weight": 1.0}
    start = str(trained_checkpoint(tmp_path, direct_wave="exact", seismic_decoder=decoder, kirchhoff_width=4))

    def fit(resume: Path | None, until: int) -> dict[str, Tensor]:
        torch.manual_seed(7)
        module = UBDiffModule("paired", **settings, initial_weights=start)
        trainer = quiet_trainer(tmp_path, max_epochs=2)

        def stop() -> None:
            trainer.should_stop = trainer.current_epoch + 1 >= until

        module.on_train_epoch_end = stop  # type: ignore[method-assign]
        trainer.fit(module, datamodule=Data(), ckpt_path=resume, weights_only=True)
        trainer.save_checkpoint(tmp_path / f"until{until}.ckpt", weights_only=False)
        return dict(module.state_dict())

    whole = fit(None, 2)
    fit(None, 1)
    resumed = fit(tmp_path / "until1.ckpt", 2)
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    # The next stage needs no data module to have the table.
    following = UBDiffModule("diffusion", **settings, initial_weights=str(tmp_path / "until2.ckpt"))
    following.setup("fit")
    assert following.networks.direct_wave is not None
    assert np.array_equal(following.networks.direct_wave.coefficients.numpy(), table().coefficients)
    torch.testing.assert_close(following.decode(torch.zeros(1, 16))[1].shape, torch.Size((1, 5, 30, 70)))


def test_without_a_table_training_is_refused_in_one_sentence(tmp_path: Path) -> None:
    module = UBDiffModule("paired", **EXACT, freeze="none")
    with pytest.raises(ModuleError, match="direct_wave_table"):
        quiet_trainer(tmp_path).fit(module, loader(2, batch_size=2))


def test_the_kirchhoff_decoder_wants_the_exact_direct_wave() -> None:
    with pytest.raises(ModuleError, match="direct_wave: got learned"):
        UBDiffModule("paired", **SMALL, seismic_decoder="kirchhoff")


def test_a_checkpoint_with_a_learned_direct_wave_is_refused(tmp_path: Path) -> None:
    path = trained_checkpoint(tmp_path, direct_wave="exact")
    with pytest.raises(ModuleError, match="direct_wave = exact"):
        UBDiffModule("paired", **SMALL, initial_weights=str(path)).setup("fit")


def test_what_reflects_too_little_for_the_setting_is_left_out() -> None:
    velocity = torch.zeros(1, 1, 70, 70)
    velocity[..., 30:, :] = 0.1  # 3,000 over 3,150 m/s: a reflection coefficient of 1 / 41
    loud = []
    for least in (0.02, 0.03):
        module = UBDiffModule("paired", **EXACT, seismic_decoder="kirchhoff", kirchhoff_least_reflection=least)
        with torch.no_grad():
            gather = module.networks.seismic_decoder(torch.zeros(1, EXACT["latent_dim"]), velocity)
        loud.append(float(gather.abs().max()))
    assert loud[0] > 0.0
    assert loud[1] == 0.0
