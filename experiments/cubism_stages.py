"""Cubism's two stages: `transfer` trains, source pre-training included, and `evaluate` judges without training.

Every method has the same two: what tells them apart are settings.
"""

from experiments.experiment import Stage

PICTURES = ("volcanoes.png", "confusion.png", "precision_recall.png", "features.png")
"""Those that every method has; `class_ratio.png` and `mixups.png` come where there is something to draw."""

TRANSFER = Stage(
    "transfer",
    callbacks="experiments.cubism_evaluation.transfer_callbacks",
    sources=("callbacks.target_oracle",),
)
EVALUATE = Stage(
    "evaluate",
    "transfer",
    subcommands=("test",),
    callbacks="experiments.cubism_evaluation.evaluation_callbacks",
    sources=("experiments.cubism_evaluation",),
    products=("predictions.csv", *(f"figures/{name}" for name in PICTURES)),
)
STAGES = (TRANSFER, EVALUATE)
