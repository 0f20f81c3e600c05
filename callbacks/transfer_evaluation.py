"""How a transferred classifier does on the whole target set, event by event; and on its own source beside.

Evaluation is transductive as in the paper's Table 2: the events it was adapted to without labels are those it is judged
on with labels. Beside it stands the classifier that calls everything LP, which a macro figure must beat.

Where several traces belong to one event (NVCh and CAU) they also vote, and the votes are scored by event.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.class_scores import IntArray, average_precision, class_scores, votes

DOMAINS = ("target", "source")
"""In the order of the test loaders."""
UNKNOWN = -1
LP, VT = 0, 1
Array = npt.NDArray[np.float32]


@dataclass
class DomainResult:
    """What the classifier says of one volcano's events.

    Attributes:
        index: `(n,)` rows of the volcano's event table.
        label: `(n,)` true classes, -1 where unknown.
        probability: `(n, class)`.
        feature_index: `(m,)` rows of the events that `features` and `images` are of.
        features: `(m, d)` what the classifier's head reads.
        images: `(m, s, s)` their spectrograms, 0 to 1.
    """

    index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    label: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    probability: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    feature_index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    features: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    images: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def predicted(self) -> IntArray:
        """The likeliest class of each event."""
        return np.asarray(self.probability.argmax(1), np.int64)

    @property
    def feature_labels(self) -> IntArray:
        """`(m,)` true classes of the events that `features` are of, -1 where unknown."""
        of = dict(zip(self.index.tolist(), self.label.tolist(), strict=True))
        return np.array([of[row] for row in self.feature_index.tolist()], np.int64)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which events have a true class."""
        return np.asarray(self.label != UNKNOWN)


class TransferEvaluation(Callback):
    """Collect what `test` predicts, score it, write `predictions.csv`.

    Args:
        folder: Where the tables go.
        n_features: At most so many events of each volcano give features, evenly spread over the table.
        write: `(path, text)`, writes a file whole or not at all.

    Attributes:
        metrics: `target/...` and `source/...` as `class_scores` names them, `target/average_precision` of VT,
            `target/event_accuracy` and `target/n_events` where traces share events, `target/n`, `all_lp/...`.
        results: Domain -> what was predicted.
    """

    def __init__(self, folder: Path, write: Callable[[Path, str], None], n_features: int = 300) -> None:
        self.folder, self.write, self.n_features = folder, write, n_features
        self.metrics: dict[str, float] = {}
        self.results: dict[str, DomainResult] = {}
        self._parts: dict[str, list[tuple[Any, ...]]] = {}
        self._seen: dict[str, list[tuple[Any, ...]]] = {}
        self._events: dict[str, Any] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with nothing."""
        self.metrics, self.results = {}, {}
        self._parts, self._seen = {name: [] for name in DOMAINS}, {name: [] for name in DOMAINS}
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._events = {name: data.events(name) for name in DOMAINS}

    @torch.no_grad()
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep probabilities of all events, features and pictures of some."""
        assert isinstance(outputs, Tensor), "test_step returns the probability of each class"
        name = DOMAINS[dataloader_idx]
        index = batch.index.cpu().numpy()
        self._parts[name].append((index, batch.label.cpu().numpy(), outputs.double().cpu().numpy()))
        every = -(-len(self._events[name].label) // self.n_features)
        chosen = torch.from_numpy(np.flatnonzero(index % every == 0)).to(batch.image.device)
        if len(chosen):
            images = batch.image[chosen]
            module: Any = pl_module
            kept = (module.features(images, name).flatten(1).float().cpu().numpy(), images[:, 0].float().cpu().numpy())
            self._seen[name].append((index[chosen.cpu().numpy()], *kept))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score and write."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        for name in DOMAINS:
            parts = [np.concatenate(part) for part in zip(*self._parts[name], strict=True)]
            seen = [np.concatenate(part) for part in zip(*self._seen[name], strict=True)]
            result = self.results[name] = DomainResult(*parts, *seen)
            known = result.known
            scores = class_scores(result.label[known], result.predicted[known], data.class_names)
            self.metrics |= {f"{name}/{measure}": value for measure, value in scores.items()}
            self.metrics[f"{name}/n"] = float(known.sum())
        target = self.results["target"]
        label, probability = target.label[target.known], target.probability[target.known]
        if (label == VT).any():
            self.metrics["target/average_precision"] = average_precision(label == VT, probability[:, VT])
        all_lp = class_scores(label, np.full_like(label, LP), data.class_names)
        self.metrics |= {f"all_lp/{name}": all_lp[name] for name in ("accuracy", "f1") if all_lp}
        events = self._events["target"]
        self._score_events(target, events, data.class_names)
        self.write(self.folder / "predictions.csv", predictions_csv(target, events, data.class_names))

    def _score_events(self, target: DomainResult, events: Any, class_names: tuple[str, ...]) -> None:
        """Score the votes of traces that share an event."""
        groups = [str(events.group[i]) for i in target.index[target.known]]
        if len(set(groups)) == len(groups):
            return
        names, probability = votes(groups, target.probability[target.known])
        label_of = dict(zip(groups, target.label[target.known].tolist(), strict=True))
        labels = np.array([label_of[name] for name in names], np.int64)
        scores = class_scores(labels, probability.argmax(1), class_names)
        self.metrics |= {f"target/event_{name}": value for name, value in scores.items()}
        self.metrics["target/n_events"] = float(len(names))


def predictions_csv(result: DomainResult, events: Any, class_names: tuple[str, ...]) -> str:
    """One line an event: what it is where that is known, and what it is taken for.

    Args:
        result: What was predicted.
        events: The volcano's event table.
        class_names: Names of the classes.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    probabilities = [f"probability_{name.lower()}" for name in class_names]
    writer.writerow(["event_id", "group", "true_class", "predicted_class", *probabilities])
    order = np.argsort(result.index)
    for row, label, chosen, probability in zip(
        result.index[order], result.label[order], result.predicted[order], result.probability[order], strict=True
    ):
        true = class_names[label] if label != UNKNOWN else ""
        shown = [f"{value:.6f}" for value in probability]
        writer.writerow([events.id[row], events.group[row], true, class_names[chosen], *shown])
    return text.getvalue()
