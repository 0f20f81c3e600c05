"""What Cubism's report shows and how it is arranged."""

from experiments.cubism_methods import METHODS
from experiments.report_layout import Chapter, Headline, Layout, Pivot

_MEASURES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "recall_lp": "recall of LP",
    "recall_vt": "recall of VT",
    "average_precision": "average precision of VT",
    "n": "events",
    "epoch": "epoch",
}
_ROWS = {
    "target": "target, all its events",
    "target/event": "target, by votes of the traces of an event",
    "held_out": "source, its held-out events",
    "source": "source, all its events (trained on most)",
    "all_lp": "control: everything is LP",
    "validator": "target, the epoch that the unsupervised score would choose",
    "oracle": "ORACLE: the epoch that the target's labels would choose; not used",
}

METRICS = {
    "target/f1": "target, macro F1 (last epoch)",
    "target/accuracy": "target, accuracy",
    "target/precision": "target, macro precision",
    "target/recall": "target, macro recall",
    "target/recall_lp": "target, recall of LP",
    "target/recall_vt": "target, recall of VT",
    "held_out/f1": "source, held-out events, macro F1",
    "source/f1": "source, all its events, macro F1",
    "all_lp/accuracy": "control: accuracy of calling everything LP",
    "all_lp/f1": "the same, macro F1",
    "oracle/f1": "ORACLE: macro F1 of the epoch that the target's labels would choose; not used",
    "oracle/accuracy": "ORACLE: its accuracy",
    "oracle/epoch": "ORACLE: that epoch",
    "validator/f1": "macro F1 of the epoch that the unsupervised score would choose",
    "oracle/last_f1": "macro F1 of the last epoch, as validation saw it",
}

FIGURES = {
    "volcanoes.png": "A typical LP and VT event of both volcanoes: waveform over spectrogram (the paper's Fig. 1).",
    "confusion.png": "True against predicted class, target and source.",
    "precision_recall.png": "Precision over recall of VT on the target.",
    "features.png": "t-SNE of what the classifier's head reads, by volcano and class (the paper's Fig. 5).",
    "class_ratio.png": "The moving estimate of the target's share of VT, against the truth, unseen by training.",
    "mixups.png": "Inter-volcano mixups: source-like sample, noisy target sample, and what stands between them.",
    "oracle.png": "Macro F1 on the target by epoch: what the target's labels would say. For the eye alone.",
    "training_curves.png": "Training curves.",
}

LAYOUT = Layout(
    headlines=(
        Headline("target/f1", "Macro F1, target", "last epoch; no target label was used"),
        Headline("target/accuracy", "Accuracy, target", "beside the control"),
        Headline("all_lp/accuracy", "Accuracy of all-LP", "the control"),
        Headline("all_lp/f1", "Macro F1 of all-LP", "the control"),
        Headline("target/recall_vt", "Recall of VT", "the rare class"),
        Headline("source/f1", "Macro F1, source", "mostly trained on"),
    ),
    chapters=(
        Chapter(
            "On the target volcano",
            "Scores of the last epoch over the whole target set, macro-averaged but for accuracy, as in the paper's "
            "Table 2. The target's labels entered neither training nor the choice of weights. The oracle is the best "
            "epoch by those labels: an upper bound for choosing an epoch, and no result.",
            pictures=("confusion", "precision_recall"),
            prefixes=("target/", "held_out/", "source/", "all_lp/", "validator/", "oracle/"),
            pivots=(
                Pivot(
                    "Fractions of 1.",
                    rf"(?P<row>target/event|target|held_out|source|all_lp|oracle|validator)[/_](?P<column>{'|'.join(_MEASURES)})",
                    "",
                    _MEASURES,
                    _ROWS,
                ),
            ),
        ),
        Chapter("The volcanoes", pictures=("volcanoes",)),
        Chapter("What the classifier reads", pictures=("features",)),
        Chapter("Between the volcanoes", pictures=("class_ratio", "mixups"), prefixes=("ratio/",)),
        Chapter("Training", pictures=("training_curves", "oracle"), prefixes=("val/",)),
    ),
)

PAPER_VALUES = tuple(
    (
        f"{method.label}, {direction.replace('-', ' to ')}",
        "accuracy {:.2f}, precision {:.2f}, recall {:.2f}, F1 {:.2f} %".format(*values),
    )
    for method in METHODS.values()
    for direction, values in method.paper.items()
)
"""The paper's Table 2, of the real volcanoes; a run on synthetic twins does not compare with it."""
