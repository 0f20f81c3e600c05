"""Figures of a fit that is resumed with nothing left to do."""

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from callbacks.last_metrics import LastMetrics

pytestmark = [
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.* is deprecated"),
]


class Line(pl.LightningModule):
    """One weight that learns to be 3."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        loss = (self.weight * batch[0] - 3.0 * batch[0]).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fitted(folder, **options):
    last = LastMetrics()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    checkpoint = pl.callbacks.ModelCheckpoint(
        folder, "last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    trainer = pl.Trainer(max_epochs=2, callbacks=[last, checkpoint], **quiet)
    trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=2), **options)
    return last.values, trainer.callback_metrics


def test_a_fit_resumed_after_its_last_epoch_has_the_figures_of_that_epoch(tmp_path):
    values, logged = fitted(tmp_path)
    assert values == {"train/loss": float(logged["train/loss"])}
    again, logged = fitted(tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert again == values
    assert "train/loss" not in logged, "Lightning itself has forgotten it"
