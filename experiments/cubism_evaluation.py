"""What is measured and drawn of a run of Cubism or one of its rivals."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks import figures, transfer_figures, volcano_figures
from callbacks.target_oracle import HeldOutSource, TargetOracle
from callbacks.transfer_evaluation import VT, DomainResult, TransferEvaluation
from callbacks.volcano_figures import DrawnEvent
from datamodules.waveform_preprocessing import RATE_HZ
from experiments.cubism_stages import EVALUATE, TRANSFER
from experiments.run_folder import RunFolder, write_bytes, write_text
from experiments.tracking import read_history

N_MIXED, N_DRAWN_MIXUPS = 32, 6
EMBEDDING = "embedding.npz"
RATIO, BATCH_RATIO = "ratio/estimate", "ratio/batch"
"""What `transfer` logs: share of VT among the target's events, as estimated."""


class OracleFigure(Callback):
    """Draw what the oracle saw, and write it down, when a fit ends; must come after it.

    Args:
        folder: The run folder.
        oracle: Holds the scores of each epoch.
    """

    def __init__(self, folder: RunFolder, oracle: TargetOracle) -> None:
        self.folder, self.oracle = folder, oracle

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """`oracle.csv` in the stage's folder, `oracle.png` among the figures."""
        epochs = self.oracle.epochs
        if not trainer.is_global_zero or not epochs:
            return
        names = list(epochs[-1])
        lines = [",".join(names), *(",".join(f"{e[name]:.6g}" if name in e else "" for name in names) for e in epochs)]
        write_text(self.folder.stage(TRANSFER.name) / "oracle.csv", "\n".join(lines) + "\n")
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        share = vt_share(np.asarray(data.events("target").label))
        all_lp = (1 - (share or 0)) / (2 - (share or 0))  # F1 of LP is 2p / (1 + p) with p its share, that of VT is 0
        drawn = transfer_figures.scores_by_epoch([e["epoch"] for e in epochs], [e["f1"] for e in epochs], all_lp)
        figures.save(drawn, self.folder.figures / "oracle.png", caption(data, self.folder))


class EvaluationFigures(Callback):
    """Draw what `TransferEvaluation` holds; must come after it.

    Args:
        folder: The run folder.
        evaluation: Holds what was predicted.
    """

    def __init__(self, folder: RunFolder, evaluation: TransferEvaluation) -> None:
        self.folder, self.evaluation = folder, evaluation

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All pictures of stage `evaluate`."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        results, names = self.evaluation.results, volcano_names(data)
        known = {f"{names[k]} ({k})": r for k, r in results.items() if r.known.any()}
        drawn = {
            "volcanoes.png": self._volcanoes(data),
            "confusion.png": transfer_figures.confusions(
                {title: r.label[r.known] for title, r in known.items()},
                {title: r.predicted[r.known] for title, r in known.items()},
                data.class_names,
            ),
            "precision_recall.png": self._precision_recall(results["target"], names),
            "features.png": self._features(data),
            "class_ratio.png": self._class_ratio(data),
            "mixups.png": self._mixups(data, pl_module),
        }
        for name, figure in drawn.items():
            if figure is not None:
                figures.save(figure, self.folder.figures / name, caption(data, self.folder))

    def _volcanoes(self, data: Any) -> Any:
        events = []
        for domain, name in volcano_names(data).items():
            result = self.evaluation.results[domain]
            for k, class_name in enumerate(data.class_names):
                place = typical(result, k)
                if place is not None:
                    row = int(result.feature_index[place])
                    record = data.image_maker.record(*data.waveform(domain, row))
                    title = f"{name}, {class_name} ({data.events(domain).id[row]})"
                    events.append(DrawnEvent(title, record, RATE_HZ, result.images[place]))
        return volcano_figures.volcanoes(events, **axes_of(data))

    def _precision_recall(self, target: DomainResult, names: Mapping[str, str]) -> Any:
        is_vt, score = target.label[target.known] == VT, target.probability[target.known, VT]
        if not is_vt.any():
            figure = figures.new_figure(4.6, 1.5)
            figure.text(0.5, 0.5, "no VT event of the target has a label", ha="center")
            return figure
        title = f"{names['source']} to {names['target']}"
        curve = {self.folder.root.name: (is_vt, score)}
        return transfer_figures.precision_recall_curves({title: curve}, {title: float(is_vt.mean())})

    def _features(self, data: Any) -> Any:
        results = self.evaluation.results
        points, domain, label = embedded(results)
        content = io.BytesIO()  # for the picture that has several methods side by side
        np.savez(content, points=points, is_source=np.array([name == "source" for name in domain]), label=label)
        write_bytes(self.folder.stage(EVALUATE.name) / EMBEDDING, content.getvalue())
        title = self.folder.root.name
        names = volcano_names(data)
        return transfer_figures.embeddings({title: points}, {title: domain}, {title: label}, data.class_names, names)

    def _class_ratio(self, data: Any) -> Any:
        path = self.folder.stage(TRANSFER.name) / "history.jsonl"
        lines = [line for line in read_history(path) if RATIO in line] if path.exists() else []
        if not lines:
            return None
        label = np.asarray(data.events("target").label)
        return transfer_figures.class_ratio(
            [line["step"] for line in lines],
            [line[RATIO] for line in lines],
            [line[BATCH_RATIO] for line in lines] if all(BATCH_RATIO in line for line in lines) else None,
            vt_share(label),
            float(data.source_class_frequencies[VT]),
        )

    @torch.no_grad()
    def _mixups(self, data: Any, module: Any) -> Any:
        from datamodules.spectrograms import TransferBatch

        results = self.evaluation.results
        n = min(N_MIXED, *(len(result.images) for result in results.values()))
        # Evenly spread over the tables, or they would all be LP.
        rows = {name: np.linspace(0, len(r.images) - 1, n).round().astype(int) for name, r in results.items()}
        images = {name: torch.from_numpy(r.images[rows[name]])[:, None] for name, r in results.items()}
        label = torch.from_numpy(results["source"].feature_labels[rows["source"]])
        batch = TransferBatch(*(part.to(module.device) for part in (images["source"], label, images["target"])))
        mixed = module.inter_volcano_images(batch, 0)
        if mixed is None:
            return None
        shown = torch.linspace(0, n - 1, min(n, N_DRAWN_MIXUPS)).round().long()
        labels = [
            ", ".join(f"{name} {share:.2f}" for name, share in zip(data.class_names, row, strict=True))
            for row in mixed.label[shown].tolist()
        ]
        parts = (mixed.source_image, mixed.target_image, mixed.image)
        source_like, target, between = (part[shown, 0].float().clamp(0, 1).cpu().numpy() for part in parts)
        source_part = mixed.source_part[shown].float().cpu().numpy()
        return volcano_figures.mixups(source_like, target, between, source_part, labels, **axes_of(data))


def transfer_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of stage `transfer`: none of them takes part in training.

    Args:
        folder: The run folder.
        settings: The stage's resolved settings.
    """
    oracle = TargetOracle()
    return [HeldOutSource(), oracle, OracleFigure(folder, oracle)]


def evaluation_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of stage `evaluate`, in the order in which they work; arguments as `transfer_callbacks`."""
    evaluation = TransferEvaluation(folder.root, write_text)
    return [evaluation, EvaluationFigures(folder, evaluation)]


# ---- what the above and the table's figures share ----------------------------------------------------------------


def volcano_names(data: Any) -> dict[str, str]:
    """Names of the two volcanoes, the source's first."""
    from experiments.cubism import volcano_label

    return {"source": volcano_label(data.source_volcano), "target": volcano_label(data.target_volcano)}


def axes_of(data: Any) -> dict[str, Any]:
    """What a spectrogram's axes span: `duration_s`, `frequency_hz`, `floor_db`."""
    return {name: data.preprocessing[name] for name in ("duration_s", "frequency_hz", "floor_db")}


def caption(data: Any, folder: RunFolder) -> str:
    """The foot of a picture: what the data are, how they were prepared, whose picture it is."""
    names = volcano_names(data)
    kinds = {"real": "real events of", "synthetic": "synthetic events, not recorded there:"}
    prepared = preprocessing_words(data.preprocessing)
    said = f"{kinds.get(data.source.kind, data.source.kind)} {names['source']}, {names['target']}; {prepared}"
    return f"{said}\nrun {folder.root.name}"


def preprocessing_words(preprocessing: Mapping[str, Any]) -> str:
    """How spectrograms were made, in one line."""
    p = preprocessing
    floor = "magnitudes" if p["floor_db"] is None else f"floor {p['floor_db']:g} dB"
    switched = [name.replace("_", " ") for name in ("mean_removal", "band_pass", "crop") if not p[name]]
    steps = [f"order {p['order'].replace('_', ' ')}", *(f"no {name}" for name in switched), f"padding {p['padding']}"]
    imf = ["IMF-STD"] if p["standardization"] == "imf" else []
    return f"preprocessing {p['version']}: {', '.join([*imf, *steps, floor, p['resize']])}"


def vt_share(label: npt.NDArray[np.int64]) -> float | None:
    """Share of VT among the events whose class is known, None where there are none."""
    known = label[label >= 0]
    return float((known == VT).mean()) if len(known) else None


def typical(result: DomainResult, k: int) -> int | None:
    """Place of the event of a class whose picture is nearest to the mean of its class; None without any."""
    places = np.flatnonzero(result.feature_labels == k)
    if not len(places):
        return None
    images = result.images[places]
    return int(places[np.square(images - images.mean(0)).sum((1, 2)).argmin()])


def embedded(results: Mapping[str, DomainResult], seed: int = 0) -> tuple[Any, list[str], npt.NDArray[np.int64]]:
    """t-SNE of the features of both volcanoes together.

    Args:
        results: Domain -> what was predicted.
        seed: Of the embedding.

    Returns:
        `(n, 2)` points, the domain of each, and its class (-1 where unknown).
    """
    from sklearn.manifold import TSNE

    features, domain, label = [], [], []
    for name, result in results.items():
        features.append(result.features)
        domain += [name] * len(result.features)
        label.append(result.feature_labels)
    whole = np.concatenate(features).astype(np.float64)
    whole = (whole - whole.mean(0)) / (whole.std(0) + 1e-9)
    perplexity = min(30.0, max(2.0, (len(whole) - 1) / 4))
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(whole)
    return points.astype(np.float32), domain, np.concatenate(label)
