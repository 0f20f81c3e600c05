"""How well a labelled volcano's events are named: accuracy, and macro precision, recall and F1, with each recall."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)


class ClassificationQuality(nn.Module):
    """Metrics of one volcano; events of unknown class are left out.

    Args:
        n_classes: K.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.accuracy = MulticlassAccuracy(n_classes, average="micro")
        self.precision = MulticlassPrecision(n_classes, average="macro")
        self.recall = MulticlassRecall(n_classes, average="macro")
        self.f1 = MulticlassF1Score(n_classes, average="macro")
        self.recalls = MulticlassRecall(n_classes, average="none")
        self.n_of_class: Tensor
        self.register_buffer("n_of_class", torch.zeros(n_classes, dtype=torch.int64), persistent=False)

    def update(self, probability: Tensor, label: Tensor) -> None:
        """Add predictions `(batch, class)` for classes `(batch,)`, -1 for unknown."""
        known = label >= 0
        if not bool(known.any()):
            return
        predicted, label = probability.argmax(dim=1)[known], label[known]
        self.n_of_class += torch.bincount(label, minlength=len(self.n_of_class))
        for metric in (self.accuracy, self.precision, self.recall, self.f1, self.recalls):
            metric.update(predicted, label)

    def compute(self, class_names: Sequence[str]) -> dict[str, Tensor]:
        """Return the metrics by name, `recall_<class>` among them, and begin anew; none where no class was known.

        The recall of a class without events is NaN.
        """
        if not bool(self.n_of_class.any()):
            return {}
        values = {name: getattr(self, name).compute() for name in ("accuracy", "precision", "recall", "f1")}
        recalls = self.recalls.compute()
        recalls = torch.where(self.n_of_class > 0, recalls, torch.nan)
        values |= {f"recall_{name.lower()}": recall for name, recall in zip(class_names, recalls, strict=True)}
        for metric in (self.accuracy, self.precision, self.recall, self.f1, self.recalls):
            metric.reset()
        self.n_of_class.zero_()
        return values
