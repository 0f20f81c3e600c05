"""Small random pairs, a data module's batches and a quiet trainer for the tests of the UB-Diff module."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_modules.ubdiff.module import UBDiffModule

SMALL: dict[str, Any] = {
    "latent_dim": 16,
    "n_time": 30,
    "velocity_widths": (8, 8),
    "velocity_strides": (5, 2),
    "velocity_blocks": 1,
    "velocity_fine_width": 4,
    "seismic_patch": 8,
    "seismic_width": 16,
    "seismic_depth": 1,
    "seismic_heads": 2,
    "cnn_width": 2,
    "single_token_width": 16,
    "single_token_depth": 1,
    "denoiser_width": 32,
    "denoiser_depth": 2,
    "unet_width": 8,
    "unet_multipliers": (1, 2),
    "n_diffusion_steps": 32,
    "n_sampling_steps": 5,
    "learning_rate": 1e-3,
}


class Pairs(NamedTuple):
    index: Tensor  # type: ignore[assignment]
    velocity: Tensor
    seismic: Tensor | None


class RandomPairs(Dataset[tuple[int, Tensor, Tensor | None]]):
    def __init__(self, n: int, with_seismic: bool) -> None:
        generator = torch.Generator().manual_seed(n)
        self.velocity = torch.rand(n, 1, 70, 70, generator=generator) * 2 - 1
        self.seismic = torch.randn(n, 5, 30, 70, generator=generator) * 0.1 if with_seismic else None

    def __len__(self) -> int:
        return len(self.velocity)

    def __getitem__(self, i: int) -> tuple[int, Tensor, Tensor | None]:
        return i, self.velocity[i], None if self.seismic is None else self.seismic[i]


def collate(items: list[tuple[int, Tensor, Tensor | None]]) -> Pairs:
    index, velocity, seismic = zip(*items, strict=True)
    return Pairs(torch.tensor(index), torch.stack(velocity), None if seismic[0] is None else torch.stack(seismic))


def loader(n: int = 12, with_seismic: bool = True, batch_size: int = 6) -> DataLoader[Any]:
    # With a generator of its own a loader leaves the global one, from which the module draws its noise, alone.
    own = torch.Generator().manual_seed(0)
    return DataLoader(RandomPairs(n, with_seismic), batch_size=batch_size, collate_fn=collate, generator=own)


def quiet_trainer(folder: Path, **settings: Any) -> Trainer:
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "max_epochs": 1,
    }
    return Trainer(default_root_dir=folder, **(quiet | settings))


def trained_checkpoint(folder: Path, stage: str = "autoencoder", **settings: Any) -> Path:
    """Write the checkpoint of a stage that trained for one epoch, and of the stage before it."""
    before = None if stage == "autoencoder" else str(trained_checkpoint(folder, **settings))
    module = UBDiffModule(stage, **(SMALL | settings), initial_weights=before)  # type: ignore[arg-type]
    trainer = quiet_trainer(folder)
    trainer.fit(module, loader(with_seismic=False))
    path = folder / f"{stage}.ckpt"
    trainer.save_checkpoint(path, weights_only=False)
    return path
