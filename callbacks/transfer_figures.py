"""Pictures of a transfer from one volcano to another: arrays in, a figure out."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from callbacks.class_scores import FloatArray, IntArray, average_precision, precision_recall
from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: safe for most colour-blind readers. Class by colour, volcano by marker.
CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DOMAIN_MARKERS = {"source": "o", "target": "^"}
STYLES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999", "#882255")


def confusions(true: Mapping[str, IntArray], predicted: Mapping[str, IntArray], class_names: Sequence[str]) -> "Figure":
    """True against predicted class, a panel a volcano; counts, and shares of the true class in colour.

    Args:
        true: Panel -> classes.
        predicted: Panel -> classes.
        class_names: Names of the classes.
    """
    k = len(class_names)
    figure = new_figure(2.9 * len(true), 3.0)
    for axes, name in zip(figure.subplots(1, len(true), squeeze=False)[0], true, strict=True):
        counts = np.zeros((k, k))
        np.add.at(counts, (true[name], predicted[name]), 1)
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(k):
            for column in range(k):
                colour = "white" if shares[row, column] > 0.6 else "0.1"
                text = f"{counts[row, column]:.0f}\n{100 * shares[row, column]:.1f} %"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(k), class_names, fontsize=8)
        axes.set_yticks(range(k), class_names, fontsize=8)
        axes.set_xlabel("predicted", fontsize=8)
        axes.set_ylabel("true", fontsize=8)
        axes.set_title(name, fontsize=9)
    return figure


def precision_recall_curves(
    panels: Mapping[str, Mapping[str, tuple[npt.NDArray[np.bool_], FloatArray]]], share: Mapping[str, float]
) -> "Figure":
    """Precision over recall of VT, a panel a direction, a curve a method (the paper's Fig. 4).

    Args:
        panels: Panel -> curve's name -> (whether it is VT, the score), of one or more runs together.
        share: Panel -> share of VT, the precision of guessing.
    """
    most = max(len(curves) for curves in panels.values())
    figure = new_figure(4.6 * len(panels), 4.2 + 0.09 * most)
    for axes, (title, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for colour, (name, (is_vt, score)) in zip(cycle(STYLES), curves.items(), strict=False):
            precision, recall = precision_recall(is_vt, score)
            label = f"{name}, {average_precision(is_vt, score):.3f}"
            axes.step(recall, precision, where="post", color=colour, lw=1.3, label=label)
        axes.axhline(share[title], color="0.5", lw=0.8, ls="--", label=f"guessing, {share[title]:.3f}")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
        _labelled(axes, "recall of VT", "precision of VT", title)
        title_of = {"title": "average precision", "title_fontsize": 7}
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, **title_of)
    return figure


def embeddings(
    panels: Mapping[str, npt.NDArray[np.float32]],
    domain: Mapping[str, Sequence[str]],
    label: Mapping[str, IntArray],
    class_names: Sequence[str],
    names: Mapping[str, str],
) -> "Figure":
    """t-SNE of features, class by colour and volcano by marker (the paper's Fig. 5).

    Args:
        panels: Panel -> `(n, 2)` embedding.
        domain: Panel -> `source` or `target` of each point.
        label: Panel -> class of each point, -1 where unknown.
        class_names: Names of the classes.
        names: `source` and `target` -> volcano's name.
    """
    figure = new_figure(4.1 * len(panels) + 0.3, 4.3)
    for axes, (title, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for which, marker in DOMAIN_MARKERS.items():
            for k in (-1, *range(len(class_names))):
                of = (np.array(domain[title]) == which) & (label[title] == k)
                if of.any():
                    colour = CLASS_COLOURS[k] if k >= 0 else "0.6"
                    face = colour if which == "target" else "none"
                    name = f"{names[which]} ({which}), {class_names[k] if k >= 0 else 'unknown'}"
                    axes.scatter(
                        *points[of].T, s=14, marker=marker, facecolors=face, edgecolors=colour, linewidths=0.6,
                        label=name,
                    )  # fmt: skip
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(title, fontsize=9)
        axes.legend(fontsize=6.5, loc="best", framealpha=0.8)
    return figure


def class_ratio(
    step: Sequence[float], estimate: Sequence[float], batch: Sequence[float] | None, truth: float | None, source: float
) -> "Figure":
    """The moving estimate of the target's share of VT over training, against the truth.

    Args:
        step: Optimiser steps.
        estimate: The moving average at each.
        batch: Share among the batch's pseudo-labels at each, where it was logged.
        truth: Share of VT by the target's labels, where they are known; training never sees it.
        source: Share of VT in the source.
    """
    figure = new_figure(6.6, 3.6)
    axes = figure.subplots()
    if batch is not None:
        axes.plot(step, batch, ".", ms=2, color="0.7", label="pseudo-labels of one batch")
    axes.plot(step, estimate, color="#0072B2", lw=1.4, label="moving estimate of the target")
    if truth is not None:
        axes.axhline(truth, color="#D55E00", lw=1.0, ls="--", label=f"target, true share {truth:.3f} (not used)")
    axes.axhline(source, color="0.4", lw=0.9, ls=":", label=f"source, {source:.3f}")
    axes.set_ylim(0, min(1.0, max(0.5, 1.15 * max(estimate, default=0.5))))
    _labelled(axes, "optimiser step", "share of VT", "")
    axes.legend(fontsize=7)
    return figure


def scores_by_epoch(epoch: Sequence[float], f1: Sequence[float], all_lp: float) -> "Figure":
    """Macro F1 on the target after each epoch, as its labels tell, which nothing in training reads.

    Args:
        epoch: Epochs.
        f1: Macro F1 at each.
        all_lp: Macro F1 of calling everything LP.
    """
    figure = new_figure(6.6, 3.4)
    axes = figure.subplots()
    axes.plot(epoch, f1, ".-", color="#0072B2", lw=1.2, label="target")
    best = int(np.argmax(f1))
    axes.plot(epoch[best], f1[best], "o", mfc="none", color="#D55E00", label=f"oracle's choice, {f1[best]:.3f}")
    axes.axhline(all_lp, color="0.5", lw=0.8, ls="--", label=f"all LP, {all_lp:.3f}")
    axes.set_ylim(0, 1.02)
    _labelled(axes, "epoch", "macro F1", "")
    axes.legend(fontsize=7)
    return figure


def generalisation(bars: Mapping[str, Mapping[str, tuple[float, float]]]) -> "Figure":
    """Scores within a volcano and across, a group of bars each (the paper's Fig. 2).

    Args:
        bars: Group, such as `Llaima to Deception` -> measure -> (mean, standard deviation).
    """
    measures = list(next(iter(bars.values())))
    figure = new_figure(1.6 + 1.5 * len(bars), 3.8)
    axes = figure.subplots()
    width = 0.8 / len(measures)
    for k, measure in enumerate(measures):
        places = np.arange(len(bars)) + (k - (len(measures) - 1) / 2) * width
        means, spreads = zip(*(of[measure] for of in bars.values()), strict=True)
        drawn = axes.bar(places, means, 0.92 * width, yerr=spreads, capsize=2, color=STYLES[k], label=measure)
        axes.bar_label(drawn, [f"{mean:.2f}" for mean in means], fontsize=7, label_type="center", color="white")
    axes.set_xticks(range(len(bars)), [name.replace(" to ", "\nto ") for name in bars])
    axes.set_ylim(0, 1.02)
    _labelled(axes, "trained on, judged on", "fraction of 1", "")
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(measures), frameon=False)
    return figure


def _labelled(axes: "Axes", x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
