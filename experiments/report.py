"""report.md and the training curves: a run in one page."""

import json
from typing import Any

from callbacks import figures
from experiments.experiment import Experiment
from experiments.run_folder import RunFolder, read_json, write_text
from experiments.tracking import read_history


def write_report(experiment: Experiment, folder: RunFolder) -> None:
    """Draw the training curves and write `report.md` from what the run folder holds."""
    histories = {}
    for stage in experiment.stages:
        path = folder.stage(stage.name) / "history.jsonl"
        if stage.fits and path.exists():
            histories[stage.name] = read_history(path)
    if histories:
        figures.save(figures.training_curves(histories), folder.figures / "training_curves.png", folder.root.name)
    write_text(folder.report, render(experiment, folder))


def render(experiment: Experiment, folder: RunFolder) -> str:
    """The report's text."""
    metrics = read_json(folder.metrics) or {}
    provenance = read_json(folder.provenance) or {}
    data = provenance.get("data", {})
    lines = [
        f"# {experiment.title}",
        "",
        f"Run `{folder.root.name}`.",
        "",
        f"**Data: {data.get('sentence', 'unknown')}**",
        "",
    ]
    lines += ["| figure | value |", "| --- | --- |"]
    lines += [f"| {text} | {_number(metrics[name])} |" for name, text in experiment.metrics.items() if name in metrics]
    lines += ["", "| stage | seconds | peak memory (MiB) |", "| --- | --- | --- |"]
    for stage in experiment.stages:
        seconds, memory = metrics.get(f"{stage.name}/seconds"), metrics.get(f"{stage.name}/peak_memory_bytes")
        if seconds is not None and memory is not None:
            lines.append(f"| {stage.name} | {seconds:.1f} | {memory / 2**20:.0f} |")
    lines += ["", "| part | parameters |", "| --- | --- |"]
    lines += [
        f"| {name.removesuffix('/parameters')} | {int(value):,} |"
        for name, value in metrics.items()
        if name.endswith("/parameters")
    ]
    for stage in experiment.stages:
        features = (read_json(folder.stage_record(stage.name)) or {}).get("features", {})
        lines += [""] * bool(features)
        lines += [f"- Features of `{name}` (name and digest): {text}." for name, text in features.items()]
    for name, caption in experiment.figures.items():
        if (folder.figures / name).exists():
            lines += ["", f"![{caption}](figures/{name})", "", caption]
    lines += ["", "All figures: `metrics.json`; settings: `config.yaml`; generated pairs: `samples.npz`.", ""]
    lines += ["```json", json.dumps(provenance, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{float(value):.4g}"
