"""What `make associate` takes as catalogues grow: CPU and peak memory of the program over synthetic days on disk."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datamodules.simulate.catalogues import CatalogueSimulation
from experiments.catalogue.synthetic import write_catalogue
from experiments.catalogue_comparison.figure import draw_growth
from experiments.catalogue_comparison.measured_process import measure
from experiments.catalogue_comparison.tables import table, text_of
from experiments.errors import SettingsError
from experiments.run_folder import read_json, write_json, write_text

DAY_S = 86_400.0
_ROOT = Path(__file__).parents[2]
_HEADS = ("days", "picks", "events", "found", "CPU-s, association", "CPU-s, program", "per pick, ms", "peak MB")


def run_command(options: argparse.Namespace) -> None:
    """Run the program over catalogues of so many days; `growth.json`, `growth.md` and `growth.png` grow row by row.

    Args:
        options: The command line.

    Raises:
        SettingsError: When a catalogue cannot be simulated or the program fails.
    """
    rows: list[dict[str, Any]] = []
    for days in tqdm(sorted(options.days), desc="catalogues", unit="catalogue"):
        rows.append(_row(days, options.events_per_day, options.seed))
        _write(options, rows)


def _row(days: int, events_per_day: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        simulation = CatalogueSimulation(days * events_per_day, days * DAY_S, seed=seed)
        n_picks = len(write_catalogue(folder, simulation).time_s)
        out = folder / "results"
        command = [sys.executable, "-m", "experiments.catalogue", "--out", str(out), "--no_figures", "--quakeml", "no",
                   "--quiet", "--workers", "1", "--cache_root", str(folder / "cache")]  # fmt: skip
        for name, file in (("picks", "picks"), ("stations", "stations"), ("velocity", "velocity_1d")):
            command += [f"--{name}", str(folder / f"{file}.csv")]
        measured = measure(command, {"PYTHONPATH": str(_ROOT), "WANDB_MODE": "disabled"})
        if measured.status:
            why = measured.said[-1][:200] if measured.said else "no word"
            raise SettingsError(f"{days} days of {events_per_day} events: the association failed ({why}).")
        summary = read_json(out / "summary.json") or {}
    return {
        "days": days,
        "n_events": simulation.n_events,
        "n_picks": n_picks,
        "n_found": summary["result"]["n_events"],
        "association_cpu_s": summary["cpu_s"]["association"],
        "cpu_s": measured.cpu_s,
        "peak_mb": measured.peak_mb,
    }


def _write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    what = (
        f"Synthetic days with {options.events_per_day} events each, seed {options.seed}: 40 stations, 1-D model, one "
        "process, files in and out, no figures."
    )
    lines = [
        (f"{row['days']:,}", f"{row['n_picks']:,}", f"{row['n_events']:,}", f"{row['n_found']:,}",
         text_of(row["association_cpu_s"], 1), text_of(row["cpu_s"], 1),
         text_of(1000 * row["cpu_s"] / max(row["n_picks"], 1), 3), text_of(row["peak_mb"], 0))
        for row in rows
    ]  # fmt: skip
    text = f"# Growth\n\n{what}\n\n{table(_HEADS, lines)}\n\n![CPU and memory](growth.png)\n"
    write_text(options.out / "growth.md", text)
    write_json(
        options.out / "growth.json", {"events_per_day": options.events_per_day, "seed": options.seed, "rows": rows}
    )
    draw_growth(rows, options.out / "growth.png", what)
