"""The table of an ablation: mean and spread over seeds, as markdown, CSV and JSON, from finished runs alone."""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.ablation_comparison import comparison, comparison_lines
from experiments.ablation_grid import Grid
from experiments.ablation_plan import Options, PlannedRow
from experiments.experiment import Experiment
from experiments.run_folder import RunFolder, read_json, write_json, write_text
from experiments.settings import SHARED, Settings, flattened, read_yaml

COLUMNS = {
    "velocity/frechet_ratio": "velocity Frechet ratio",
    "seismic/frechet_ratio": "seismic Frechet ratio",
    "inversion/generated/mae": "inversion (generated) MAE",
    "inversion/generated/mse": "MSE",
    "inversion/generated/rmse": "RMSE",
    "inversion/generated/ssim": "SSIM",
    "inversion/generated_and_real/mae": "inversion (generated and real) MAE",
    "physics/relative_l2": "physics, relative L2",
    "physics/residual_relative_l2": "physics, residual relative L2",
    "velocity/mae_m_s": "held-out velocity MAE (m/s)",
    "seismic/mae": "held-out seismic MAE",
    "run/generator_cpu_seconds": "CPU s to train the generator",
    "run/cpu_seconds": "CPU s in all",
    "run/seconds": "wall s",
}


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Args:
        values: Seed -> value.
    """

    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values.values())

    @property
    def sd(self) -> float | None:
        """Sample standard deviation; None for a single seed."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + ("" if self.sd is None else f" ± {self.sd:.2g}")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "mean": self.mean,
            "sd": self.sd,
            "n": len(self.values),
            "values": {str(seed): value for seed, value in self.values.items()},
        }


@dataclass(frozen=True)
class RowResult:
    """What the runs of one row gave.

    Args:
        planned: The row.
        runs: Seed -> metrics of its finished run.
        data: Sentences that say what the runs were trained and judged on.
        kinds: `real`, `simulated` or `synthetic`.
        missing: Seed -> why it has no figures.
    """

    planned: PlannedRow
    runs: dict[int, dict[str, float]] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    missing: dict[int, str] = field(default_factory=dict)

    def spread(self, metric: str) -> Spread | None:
        """One metric over the seeds that have it as a finite number."""
        values = {
            seed: found[metric] for seed, found in self.runs.items() if math.isfinite(found.get(metric, math.nan))
        }
        return Spread(values) if values else None

    @property
    def metrics(self) -> dict[str, Spread]:
        """Every metric that a run has."""
        names = sorted({name for found in self.runs.values() for name in found})
        return {name: spread for name in names if (spread := self.spread(name))}


def collect(experiment: Experiment, planned: PlannedRow, options: Options, seeds: Iterable[int]) -> RowResult:
    """The figures of one row's finished runs; a run that is not finished, or was made otherwise, has none."""
    result = RowResult(planned)
    for seed in seeds:
        folder = RunFolder(options.run_root / experiment.paper / planned.run_name(options, seed))
        why = planned.impossible or _not_usable(folder, planned)
        if why:
            result.missing[seed] = why
            continue
        metrics = {name: float(value) for name, value in (read_json(folder.metrics) or {}).items()}
        metrics |= _totals(metrics, experiment.as_variant(planned.row.variant or "").stage_names)
        result.runs[seed] = metrics
        data = (read_json(folder.provenance) or {}).get("data", {})
        for value, values in ((data.get("sentence"), result.data), (data.get("kind"), result.kinds)):
            if value and value not in values:
                values.append(value)
    return result


def _totals(metrics: Mapping[str, float], stages: Sequence[str]) -> dict[str, float]:
    """Seconds of all stages together, and of those that train the generator, which come before `generate`."""
    training = stages[: stages.index("generate")] if "generate" in stages else []
    totals = {}
    for total, summed, clock in (
        ("seconds", stages, "seconds"),
        ("cpu_seconds", stages, "cpu_seconds"),
        ("generator_cpu_seconds", training, "cpu_seconds"),
    ):
        parts = [metrics[f"{stage}/{clock}"] for stage in summed if f"{stage}/{clock}" in metrics]
        if parts:
            totals[f"run/{total}"] = sum(parts)
    return totals


def _not_usable(folder: RunFolder, planned: PlannedRow) -> str | None:
    if not folder.metrics.exists():
        return "not finished" if folder.root.exists() else "not run"
    settings = read_yaml(folder.config)
    if any(not (read_json(folder.stage_record(stage)) or {}).get("finished") for stage in settings):
        return "a stage of it is to run anew"
    different = _differences(settings, planned.options)
    return f"made with other settings ({different[0]})" if different else None


def _differences(config: Settings, options: Mapping[str, Any]) -> list[str]:
    """Options that a run's settings do not have."""
    stages = {stage: flattened(content) for stage, content in config.items()}
    found = []
    for option, wanted in options.items():
        block, _, name = option.partition(".")
        having = {stage: flat[name] for stage, flat in stages.items() if block in (SHARED, stage) and name in flat}
        found += [f"{stage}.{name} is {value}, not {wanted}" for stage, value in having.items() if value != wanted]
    return found


def write_table(
    experiment: Experiment,
    grid: Grid,
    planned: Sequence[PlannedRow],
    options: Options,
    seeds: Sequence[int],
    folder: Path,
) -> None:
    """Write table.md, table.csv, table.json and, where the grid asks for one, figure.png."""
    results = [collect(experiment, row, options, seeds) for row in planned]
    folder.mkdir(parents=True, exist_ok=True)
    drawn = None
    if grid.figure and any(result.runs for result in results):
        from experiments.ablation_figures import draw

        drawn = draw(grid, results, folder / "figure.png", f"{options.label}; {_data_line(results)}")
    write_text(folder / "table.md", as_markdown(grid, results, options, seeds, drawn))
    write_text(folder / "table.csv", as_csv(results))
    write_json(folder / "table.json", as_json(grid, results, options, seeds))


def as_markdown(
    grid: Grid, results: Sequence[RowResult], options: Options, seeds: Sequence[int], figure: str | None = None
) -> str:
    """The table with what it says and on which data."""
    columns = [name for name in COLUMNS if any(result.spread(name) for result in results)]
    lines = [
        f"# {grid.question}",
        "",
        f"Grid `{grid.name}`, {options.dataset}, preset `{options.preset}`"
        + (f" with `{options.config.name}`" if options.config else "")
        + f", seeds {', '.join(map(str, seeds))}. Mean ± standard deviation over seeds.",
        "",
        f"**Data: {_data_line(results)}**",
        "",
        f"| row | data | seeds | {' | '.join(COLUMNS[name] for name in columns)} |",
        "| --- | --- | --- |" + " ---: |" * len(columns),
    ]
    for result in results:
        cells = [str(result.spread(name) or "-") for name in columns]
        kinds = ", ".join(result.kinds) or "-"
        lines.append(f"| {result.planned.name} | {kinds} | {len(result.runs)} | {' | '.join(cells)} |")
    compared = comparison_lines(results)
    lines += ["", *compared] if compared else []
    missing = [
        f"- {result.planned.name}, seed {seed}: {why}" for result in results for seed, why in result.missing.items()
    ]
    lines += ["", "Without figures:", "", *missing] if missing else []
    if figure:
        lines += ["", f"![{figure}](figure.png)", "", figure]
    return "\n".join(lines).rstrip() + "\n"


def as_csv(results: Sequence[RowResult]) -> str:
    """One line a row; each figure with its standard deviation beside."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "data", "seeds", *(name for metric in COLUMNS for name in (metric, f"{metric}/sd"))])
    for result in results:
        cells: list[Any] = []
        for metric in COLUMNS:
            spread = result.spread(metric)
            cells += ["", ""] if spread is None else [spread.mean, "" if spread.sd is None else spread.sd]
        writer.writerow([result.planned.name, " ".join(result.kinds), len(result.runs), *cells])
    return text.getvalue()


def as_json(grid: Grid, results: Sequence[RowResult], options: Options, seeds: Sequence[int]) -> dict[str, Any]:
    """Every metric of every row, and the comparison between rows."""
    return {
        "grid": grid.name,
        "question": grid.question,
        "dataset": options.dataset,
        "preset": options.preset,
        "config": options.config.name if options.config else None,
        "options": list(options.dotted),
        "seeds": list(seeds),
        "rows": {
            result.planned.name: {
                "variant": result.planned.row.variant,
                "options": result.planned.options,
                "data": result.data,
                "kinds": result.kinds,
                "missing": {str(seed): why for seed, why in result.missing.items()},
                "metrics": {name: spread.as_json() for name, spread in result.metrics.items()},
            }
            for result in results
        },
        "comparison": comparison(results),
    }


def _data_line(results: Sequence[RowResult]) -> str:
    sentences = list(dict.fromkeys(sentence for result in results for sentence in result.data))
    return "; ".join(sentences) or "no run is finished"
