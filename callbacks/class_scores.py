"""How good a classification is, as Table 2 of Cubism's paper counts it: accuracy, and the rest macro-averaged.

Macro means: a figure a class, then their mean, so that the rare class weighs as much as the frequent one. That Table 2
is of this kind follows from its own numbers: accuracy and macro recall give the recall of each class, and with the
counts of Table 1 these give every F1 of it to .03 points.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def class_scores(true: IntArray, predicted: IntArray, class_names: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro precision, recall and F1, and the recall of each class; fractions of 1.

    A class that is neither there nor predicted counts for nothing; one that is never predicted has precision 0.

    Args:
        true: `(n,)` classes.
        predicted: `(n,)` classes.
        class_names: Names of the classes 0, 1, ...

    Returns:
        `accuracy`, `precision`, `recall`, `f1`, and `recall_<class>` for each class that is there; nothing of no event.
    """
    if not len(true):
        return {}
    confusion = np.zeros((len(class_names), len(class_names)))
    np.add.at(confusion, (true, predicted), 1)
    hits, n_true, n_predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    seen = n_true + n_predicted > 0
    precision = np.divide(hits, n_predicted, out=np.zeros_like(hits), where=n_predicted > 0)
    recall = np.divide(hits, n_true, out=np.zeros_like(hits), where=n_true > 0)
    f1 = np.divide(2 * hits, n_true + n_predicted, out=np.zeros_like(hits), where=seen)
    macro = {"precision": precision, "recall": recall, "f1": f1}
    return {
        "accuracy": float(hits.sum() / len(true)),
        **{name: float(values[seen].mean()) for name, values in macro.items()},
        **{f"recall_{name.lower()}": float(recall[k]) for k, name in enumerate(class_names) if n_true[k]},
    }


def precision_recall(is_positive: npt.NDArray[np.bool_], score: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Precision over recall as the threshold on a score falls.

    Args:
        is_positive: `(n,)`, at least one of them true.
        score: `(n,)`, higher for positive.

    Returns:
        Precision and recall at every distinct score, from the highest; before them the point (1, 0).
    """
    order = np.argsort(-score, kind="stable")
    last_of_its_score = np.append(np.diff(score[order]) != 0, True)
    hits = np.cumsum(is_positive[order])[last_of_its_score]
    named = np.arange(1, len(score) + 1)[last_of_its_score]
    return np.append(1.0, hits / named), np.append(0.0, hits / is_positive.sum())


def average_precision(is_positive: npt.NDArray[np.bool_], score: FloatArray) -> float:
    """Area below the precision-recall curve, by steps: no interpolation flatters it."""
    precision, recall = precision_recall(is_positive, score)
    return float(np.sum(np.diff(recall) * precision[1:]))


def votes(groups: Sequence[str], probability: FloatArray) -> tuple[list[str], FloatArray]:
    """Traces of one event vote: the mean of their probabilities.

    Args:
        groups: `(n,)`, the event of each trace.
        probability: `(n, class)`.

    Returns:
        The events in order of appearance, and `(event, class)`.
    """
    names = list(dict.fromkeys(groups))
    place = {name: i for i, name in enumerate(names)}
    where = np.array([place[name] for name in groups])
    total = np.zeros((len(names), probability.shape[1]))
    np.add.at(total, where, probability)
    return names, total / np.bincount(where)[:, None]
