"""All that a solve leaves: files, the summary with its provenance, W&B, and a few lines for the terminal."""

import argparse
import hashlib
import os
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.association.files.grids import Grid
from experiments.association.files.picks import PickTable
from experiments.association.files.results import rms_of_events, write_events, write_picks, write_wave_speed
from experiments.association.files.stations import StationTable
from experiments.association.options import input_files, settings_of
from experiments.association.preparation import Prepared
from experiments.association.problem import Association, Problem
from experiments.run_folder import write_json

if TYPE_CHECKING:
    from experiments.association.cli import Inputs
    from experiments.association.solvers.solver import Solver

PROGRAM = "experiments.association"
FIGURE, WAVE_SPEED_FIGURE = "association.png", "wave_speed.png"


@dataclass(frozen=True)
class Record:
    """A solve with all that went into it.

    Args:
        options: The command line.
        solver: The solver, with its settings.
        inputs: What was read.
        prepared: The travel times.
        problem: The problem.
        association: Its solution.
        loading_cpu_s: Process time of computing or loading travel times.
    """

    options: argparse.Namespace
    solver: "Solver"
    inputs: "Inputs"
    prepared: Prepared
    problem: Problem
    association: Association
    loading_cpu_s: float

    @property
    def stations(self) -> StationTable:
        """As read."""
        return self.inputs.stations

    @property
    def picks(self) -> PickTable:
        """As read."""
        return self.inputs.picks


def write(folder: Path, record: Record) -> None:
    """Write everything but W&B's records into a folder."""
    association, picks = record.association, record.picks
    write_events(folder / "events.csv", association, picks.phase, picks.clock, record.stations.projection)
    write_picks(folder / "picks.csv", picks, association)
    summary = summary_of(record)
    estimated = estimated_wave_speed(record)
    if estimated is not None:
        wave_speed, grid = estimated
        facts = {"latent": summary["latent"], "travel_time_field": str(record.options.travel_time_field)}
        write_wave_speed(folder, wave_speed, grid, facts)
        summary["wave_speed"] = {"file": "wave_speed_km_s.npy", "axes": ["x", "y", "z (down)"],
                                 "spacing_km": grid.spacing_km, "origin_km": list(grid.origin_km)}  # fmt: skip
    if not record.options.no_figure:
        from experiments.association import figure, wave_speed_figure

        figure.draw(record, folder / FIGURE)
        if estimated is not None:
            wave_speed_figure.draw(*estimated, record, folder / WAVE_SPEED_FIGURE)
    write_json(folder / "summary.json", summary)


def estimated_wave_speed(record: Record) -> tuple[np.ndarray, Grid] | None:
    """The wave speed of the latent code found, `(nx, ny, nz)` km/s, and its nodes; None where the speed was known."""
    field, latent = record.prepared.field, record.association.latent
    speed = None if field is None or latent is None else field.wave_speed_km_s(latent)
    if speed is None:
        return None
    low, high = record.problem.travel_times.bounds_km
    n_x, n_y, n_z = speed.shape
    origin = (float(low[0]), float(low[1]), float(low[2]))
    return speed, Grid((n_x, n_y, n_z), float((high[0] - low[0]) / (n_x - 1)), origin)


def counts_of(record: Record) -> dict[str, Any]:
    """The figures that tell how a solve went; W&B gets the same."""
    association = record.association
    member = association.event_of_pick >= 0
    residuals = association.residuals_s[member]
    return {
        "n_events": len(association.events),
        "n_picks": len(record.picks),
        "n_associated": int(member.sum()),
        "rms_s": _number(np.sqrt(np.mean(residuals**2))) if len(residuals) else None,
        "median_absolute_residual_s": _number(np.median(np.abs(residuals))) if len(residuals) else None,
        "largest_absolute_residual_s": _number(np.abs(residuals).max()) if len(residuals) else None,
        "loss_s": _number(association.loss),
        "cpu_s": _number(association.cpu_s),
        "travel_times_cpu_s": _number(record.loading_cpu_s),
    }


def summary_of(record: Record) -> dict[str, Any]:
    """What summary.json holds."""
    from experiments.provenance import provenance

    association, problem, picks = record.association, record.problem, record.picks
    heard = np.unique(picks.station)
    files = {str(path): _sha256(path) for path in input_files(record.options)}
    window = record.inputs.origin_time_range_s
    projection = record.stations.projection
    return {
        "program": PROGRAM,
        "result": counts_of(record),
        "picks": {
            "p": int((picks.phase == 0).sum()),
            "s": int((picks.phase == 1).sum()),
            "first": picks.clock.text(float(picks.time_s.min())),
            "last": picks.clock.text(float(picks.time_s.max())),
            "time_form": picks.clock.name,
            "taken_as_complete": not problem.may_be_incomplete,
        },
        "stations": {"n": len(record.stations.ids), "with_picks": len(heard)},
        "projection": projection.description if projection else "none: kilometres as given, z down",
        "centre": [projection.latitude, projection.longitude] if projection else None,
        "travel_times": record.prepared.facts,
        "latent": None if association.latent is None else [float(x) for x in association.latent],
        "origin_time_range": None if window is None else [picks.clock.text(time) for time in window],
        "settings": settings_of(record.options),
        "solver": solver_settings(record.options, record.solver),
        "provenance": provenance(files, record.options.seed),
    }


def solver_settings(options: argparse.Namespace, solver: "Solver") -> dict[str, Any]:
    """Name of the solver and every setting of it, defaults included."""
    known: dict[str, Any] = asdict(solver) if is_dataclass(solver) and not isinstance(solver, type) else {}
    return {"name": options.solver, **{name: value for name, value in known.items() if _is_plain(value)}}


def start_wandb(folder: Path, options: argparse.Namespace, solver: "Solver") -> Any:
    """The W&B run of a solve, or None where W&B is disabled."""
    from experiments import wandb_run

    config = {**settings_of(options), "solver_settings": solver_settings(options, solver)}
    run = wandb_run.start(folder, "association", ["association"], config)
    if run is not None and not os.environ.get("WANDB_NAME"):
        run.name = options.out.resolve().name  # not that of the folder beside it, where results are made
    return run


def log_to_wandb(run: Any, folder: Path, record: Record) -> None:
    """Log the figures and the picture."""
    if run is None:
        return
    named = {f"association/{name}": value for name, value in counts_of(record).items() if value is not None}
    for name in (FIGURE, WAVE_SPEED_FIGURE):
        if (folder / name).exists():
            import wandb

            named[f"association/{Path(name).stem}"] = wandb.Image(str(folder / name))
    run.log({**named, "association/step": 0})


def print_results(path: Path, record: Record) -> None:
    """Say what was found and where it stands."""
    found = counts_of(record)
    events, picks = record.association.events, record.picks
    misfit = "" if found["rms_s"] is None else f", rms residual {found['rms_s']:.3g} s"
    print(
        f"{found['n_events']} events, {found['n_associated']} of {found['n_picks']} picks associated{misfit}, "
        f"{found['cpu_s'] or 0:.2f} CPU-s (and {found['travel_times_cpu_s']:.2f} for travel times)"
    )
    rms = rms_of_events(record.association)
    counts = np.bincount(record.association.event_of_pick + 1, minlength=len(events) + 1)[1:]
    for number in range(min(len(events), 12)):
        x, y, z = events.positions_km[number]
        print(
            f"  {number:>3}  {picks.clock.text(float(events.times_s[number]))}  x {x:8.3f}  y {y:8.3f}  z {z:7.3f} km  "
            f"{counts[number]:>4} picks  rms {rms[number]:.3g} s"
        )
    if len(events) > 12:
        print(f"  and {len(events) - 12} more")
    print(path / "events.csv")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
