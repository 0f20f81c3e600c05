"""DANN by another package, skada, on the same images with the same backbone, heads, rate and number of epochs.

python -m experiments.cubism_skada --source Llaima --target Deception --seed 0

Needs `pip install skada[deep]`, in an environment of its own if you like. Its loop, sampler and loss are its own. What
it has no option for, ours is not given either: no pre-training, the gradient reversal at the preset's cap from the
first step on, and source and target normalised by joint statistics. Its own domain classifier ends in a softmax over
one output, which is always 1: it is given ours.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import SettingsError
from experiments.terminal import calm_progress, exit_status

if TYPE_CHECKING:
    from torch import nn

AS_SKADA = (
    *("--shared.model.batch_statistics", "joint"),
    *("--shared.model.pretrain_epochs", "0"),
    *("--shared.model.iota", "100000"),  # the reversal's schedule is at its cap after the first step
)
STAGE = "transfer"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.cubism_skada", description="DANN of the package skada beside ours, macro F1."
    )
    made.add_argument("--source", default="Llaima", help="volcano (default: Llaima)")
    made.add_argument("--target", default="Deception", help="volcano (default: Deception)")
    made.add_argument("--preset", default="tiny", help="preset of both (default: tiny)")
    made.add_argument("--seed", default="0", help="seed of both (default: 0)")
    made.add_argument("--data_root", help="folder with the volcanoes' files; without it, synthetic twins")
    made.add_argument("--cache_root", default="cache", help="for what is made once (default: cache)")
    made.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both; the exit code."""
    options = parser().parse_args(arguments)
    return exit_status(lambda: compare(options), "call again to begin anew.")


def compare(options: argparse.Namespace) -> None:
    """Train ours and skada's, print both scores and write them.

    Raises:
        SettingsError: If skada is not installed, or ours fails.
    """
    if importlib.util.find_spec("skada") is None:
        raise SettingsError("skada is not installed; `pip install 'skada[deep]'` and call again.")
    calm_progress()
    from experiments import cubism
    from experiments.run_folder import read_json, write_json

    name = f"{options.source}-{options.target}-dann-as-skada-{options.preset}-seed{options.seed}"
    given = ["--source", options.source, "--target", options.target, "--method", "dann", "--preset", options.preset]
    given += ["--seed", options.seed, "--cache_root", options.cache_root, *AS_SKADA]
    given += ["--data_root", options.data_root] if options.data_root else []
    if cubism.main(["run", *given, "--run_root", str(options.run_root), "--name", name]):
        raise SettingsError(f"{name}: our own run failed; see above.")
    folder = options.run_root / "cubism" / name
    ours = (read_json(folder / "metrics.json") or {})["target/f1"]
    theirs = f1_of_skada(settings(given))
    print(f"macro F1 on the target: ours {100 * ours:.1f}, skada's {100 * theirs:.1f}")
    write_json(folder / "skada.json", {"ours": ours, "skada": theirs})


def settings(given: Sequence[str]) -> dict[str, Any]:
    """The settings of our stage as skada is to have them, flattened."""
    from experiments import cubism, program
    from experiments.cli import SuiteCLI, load

    program.quiet()
    experiment = cubism.experiment_of("dann")
    options, dotted = program.parser_of(experiment).parse_known_args(["run", *given])
    stage = experiment.as_variant("dann").stage(STAGE)
    chosen = program.settings_of(experiment.as_variant("dann"), options, dotted)[STAGE]
    cli = SuiteCLI(
        load(experiment.module_of(stage)), load(experiment.datamodule_of(stage)), chosen, "fit", origin=STAGE,
        action="instantiate", links=experiment.links,
    )  # fmt: skip
    return {"model": dict(cli.model.hparams), "data": cli.datamodule, "epochs": cli.trainer.max_epochs}


def network(model: dict[str, Any]) -> Any:
    """Our backbone and our classifier in one, the backbone's features a layer of that name."""
    from torch import Tensor, nn

    from lightning_modules.cubism.heads import Head
    from lightning_modules.cubism.resnet import ResNet18

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = ResNet18(model["backbone_width"])
            self.blank = nn.Dropout(model["dropout"])
            self.head = Head(self.backbone.n_features, model["head_units"], model["n_classes"], 0.0)

        def forward(self, image: Tensor, sample_weight: Tensor | None = None) -> Tensor:
            logits: Tensor = self.head(self.blank(self.backbone(image)))
            return logits

    return Network()


def domain_classifier(model: dict[str, Any], n_features: int) -> "nn.Module":
    """Our discriminator behind a gradient reversal of the preset's cap; a probability comes out."""
    from torch import Tensor, nn, tensor

    from lightning_modules.cubism.heads import Head
    from lightning_modules.cubism.reversal import reverse_gradient

    class Discriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blank = nn.Dropout(model["dropout"])
            self.head = Head(n_features, model["head_units"], 1, 0.0)
            self.register_buffer("reversal", tensor(model["rho_max"]))

        def forward(self, features: Tensor, sample_weight: Tensor | None = None) -> Tensor:
            turned = reverse_gradient(features, self.get_buffer("reversal"))
            probability: Tensor = self.head(self.blank(turned)).sigmoid()[:, 0]
            return probability

    return Discriminator()


def f1_of_skada(chosen: dict[str, Any]) -> float:
    """Train skada's DANN and judge it on all events of the target, by macro F1 as a fraction of 1."""
    import numpy as np
    import torch
    from skada.deep import DANN  # type: ignore[import-not-found]
    from sklearn.metrics import f1_score

    model, data = chosen["model"], chosen["data"]
    data.prepare_data()
    data.setup("fit")
    torch.manual_seed(data.seed)
    train_rows, _ = data.split_rows()
    source, target = data.images("source")[train_rows], data.images("target")
    labels = data.events("source").label[train_rows]
    net = network(model)
    trained = DANN(
        net, layer_name="backbone", reg=1.0, domain_classifier=domain_classifier(model, net.backbone.n_features),
        optimizer=torch.optim.Adam, lr=model["learning_rate"], optimizer__betas=(model["beta1"], 0.999),
        max_epochs=chosen["epochs"], batch_size=data.batch_size, train_split=None, verbose=0,
    )  # fmt: skip
    trained.fit(
        np.concatenate([source, target]).astype(np.float32),
        np.concatenate([labels, np.full(len(target), -1)]).astype(np.int64),
        sample_domain=np.concatenate([np.ones(len(source), int), np.full(len(target), -2)]),
    )
    predicted = trained.predict(target.astype(np.float32), sample_domain=np.full(len(target), -2))
    return float(f1_score(data.events("target").label, predicted, average="macro", zero_division=0))


if __name__ == "__main__":
    sys.exit(main())
