"""All that a run leaves: files, the report with its figures, the summary with its provenance, W&B, the terminal."""

import argparse
import hashlib
import resource
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.catalogue import files, quakeml
from experiments.catalogue.options import input_files, settings_of
from experiments.catalogue.reference import Comparison, compare, write_missed
from experiments.catalogue.residuals import Residuals
from experiments.run_folder import read_json, write_json, write_text

if TYPE_CHECKING:
    from experiments.catalogue.program import Inputs
    from experiments.catalogue.run import Result

PROGRAM = "experiments.catalogue"
PICTURES = ("map.png", "hours.png", "residuals.png", "reference.png")


def write(folder: Path, options: argparse.Namespace, inputs: "Inputs", result: "Result", wall_s: float) -> None:
    """Write everything but W&B's records into a folder."""
    from experiments.catalogue import quality

    listed, store = result.listed, result.store
    files.write_events(folder / "events.csv", listed)
    event, residual = store.column("event"), store.column("residual_s")
    files.write_picks(folder / "picks.csv", inputs.stream, event, residual)
    residuals = Residuals(len(inputs.stations.ids), store.largest_residual_s())
    for part in store.by_event(listed.events.times_s, result.longest_s):
        residuals.add(part)
    comparison = None
    if inputs.reference is not None:
        comparison = compare(listed.events.times_s, listed.events.positions_km, inputs.reference)
        assert listed.projection is not None
        write_missed(folder / "missed.csv", inputs.reference, comparison, listed.projection)
    if options.quakeml == "yes" or (options.quakeml == "auto" and quakeml.is_there() and listed.projection):
        parts = store.by_event(listed.events.times_s, result.longest_s, quakeml.EVENTS_AT_ONCE)
        quakeml.write(
            folder / "events.xml", listed, parts, inputs.stations.ids, inputs.stations.positions_km
        )  # fmt: skip
    report = quality.Report(options, inputs, result, residuals, comparison)
    if not options.no_figures:
        from experiments.catalogue import quality_figures

        quality_figures.draw(report, folder)
    summary = summary_of(report, wall_s)
    write_text(folder / "quality.md", quality.text(report, summary["result"], not options.no_figures))
    write_json(folder / "summary.json", summary)


def summary_of(report: Any, wall_s: float) -> dict[str, Any]:
    """What summary.json holds."""
    from experiments.provenance import provenance

    options, inputs, result = report.options, report.inputs, report.result
    hashes = {str(path): _sha256(path) for path in input_files(options)}
    projection = inputs.stations.projection
    facts = inputs.stream.facts
    return {
        "program": PROGRAM,
        "result": {**report.figures(), "wall_s": wall_s, "peak_memory_mb": peak_memory_mb()},
        "picks": {
            "program": facts.program,
            "p": int(facts.counts[:, 0].sum()),
            "s": int(facts.counts[:, 1].sum()),
            "of_unknown_stations": facts.n_unknown,
            "first": files.iso_utc(inputs.start, 0.0),
            "duration_s": facts.duration_s,
            "rows_in_order_of_time": facts.sorted,
        },
        "stations": {"n": len(inputs.stations.ids), "with_picks": int(inputs.heard.sum())},
        "projection": projection.description if projection else "none: kilometres as given, z down",
        "centre": [projection.latitude, projection.longitude] if projection else None,
        "travel_times": result.travel_time_facts,
        "association": asdict(result.settings),
        "filters": {k: v if np.isfinite(v) else None for k, v in asdict(result.filters).items()},
        "dropped_picks": result.dropped_picks,
        "dropped_events": result.dropped_events,
        "cpu_s": result.cpu_s,
        "settings": settings_of(options),
        "provenance": provenance(hashes, 0),
    }


def peak_memory_mb() -> float:
    """Largest resident set of this process or of a worker so far."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) / 1024


def comparison_figures(comparison: Comparison) -> dict[str, Any]:
    """Figures of a comparison with a reference."""
    median = _median
    return {
        "n_reference": len(comparison.theirs) + len(comparison.missed),
        "matched": len(comparison.theirs),
        "missed": len(comparison.missed),
        "new": len(comparison.new),
        "recall": comparison.recall if len(comparison.theirs) + len(comparison.missed) else None,
        "median_time_difference_s": median(comparison.time_s),
        "median_absolute_time_difference_s": median(np.abs(comparison.time_s)),
        "median_epicentral_distance_km": median(comparison.epicentral_km),
        "median_depth_difference_km": median(comparison.depth_km),
    }


def start_wandb(folder: Path, options: argparse.Namespace) -> Any:
    """The W&B run, or None where W&B is disabled."""
    import os

    from experiments import wandb_run

    run = wandb_run.start(folder, "catalogue", ["catalogue"], settings_of(options))
    if run is not None and not os.environ.get("WANDB_NAME"):
        run.name = options.out.resolve().name  # not that of the folder beside it, where results are made
    return run


def log_to_wandb(run: Any, folder: Path) -> None:
    """Log the figures and the pictures."""
    if run is None:
        return
    summary = read_json(folder / "summary.json") or {}
    named: dict[str, Any] = {
        f"catalogue/{name}": value for name, value in summary["result"].items() if isinstance(value, int | float)
    }
    for name in PICTURES:
        if (folder / name).exists():
            import wandb

            named[f"catalogue/{Path(name).stem}"] = wandb.Image(str(folder / name))
    run.log({**named, "catalogue/step": 0})


def print_results(path: Path) -> None:
    """Say what was found and where it stands."""
    summary = read_json(path / "summary.json") or {}
    found = summary["result"]
    print(
        f"{found['n_events']:,} events, {found['n_associated']:,} of {found['n_picks']:,} picks associated, median "
        f"residual P {_or_none(found['median_p_residual_s'])} s, S {_or_none(found['median_s_residual_s'])} s, "
        f"{sum(summary['cpu_s'].values()):.1f} CPU-s"
    )
    if "reference" in found:
        against = found["reference"]
        print(f"reference: {against['matched']} of {against['n_reference']} matched, {against['new']} new in its span")
    print(path / "quality.md")


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _or_none(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
