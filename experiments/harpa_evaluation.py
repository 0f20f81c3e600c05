"""What is measured and drawn of a run of HARPA: its travel times, and what the association runner makes of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from callbacks import association_figures, figures, wave_speed_figures
from callbacks.travel_time_figures import field_errors
from experiments.association.problem import Association
from experiments.association_trials import (
    Array,
    Scores,
    Setting,
    Trial,
    drawn,
    judged,
    oracle,
    solved,
    summary,
    words,
)
from experiments.harpa_fields import PSGLD_TRIALS, TrainedField, field_solvers
from experiments.run_folder import RunFolder

N_ERROR_POINTS = 2000
N_DRAWN_SPEEDS = 2
SOLVER_NAMES = {"gauss_newton": "Gauss-Newton", "psgld": "pSGLD", "sgd": "SGD"}


class AssociationEvaluation(Callback):
    """Solve association problems with the field whose weights the stage starts from, at the end of `test`.

    Args:
        folder: The run folder.
        setting: How hard the problems are.
        n_trials: How many.
        first_seed: Seed of the first; the others follow.
        solvers: Name -> solver or its name; by default those of `field_solvers`.

    Attributes:
        metrics: `field/rmse_s|mae_s|max_s`, `association/<solver>/<measure>`, `association/oracle/accuracy`,
            `association/<solver>/n_trials`, `association/confusion_factor`, `association/n_trials`.
    """

    def __init__(
        self,
        folder: RunFolder,
        setting: Setting,
        n_trials: int,
        first_seed: int = 0,
        solvers: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.setting = folder, setting
        self.solvers = dict(solvers) if solvers else None
        self.seeds = range(first_seed, first_seed + n_trials)
        self.metrics: dict[str, float] = {}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve, judge, draw."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        trained = TrainedField(Path(str(pl_module.hparams["initial_weights"])), data)
        for name in ("rmse_s", "mae_s", "max_s"):
            self.metrics[f"field/{name}"] = float(trainer.callback_metrics[f"test/{name}"])
        solvers = self.solvers or field_solvers(trained.is_of_known_speed)
        n_slow = len(self.seeds) if trained.is_of_known_speed else PSGLD_TRIALS
        found: dict[str, list[Scores]] = {name: [] for name in (*solvers, "oracle")}
        confusion: list[float] = []
        solutions: list[tuple[Trial, dict[str, Association]]] = []
        for i, seed in enumerate(tqdm(self.seeds, desc="association")):
            trial = trained.trial(self.setting, seed)
            chosen = {name: solver for name, solver in solvers.items() if name != "psgld" or i < n_slow}
            if i == 0 and trained.is_of_known_speed and "gauss_newton" in chosen:
                solved(trial, chosen["gauss_newton"], seed)  # compiles what is compiled once on a machine, uncounted
            solution = {name: solved(trial, solver, seed) for name, solver in chosen.items()}
            for name, association in solution.items():
                found[name].append(judged(trial, association, trained.wave_speed_of))
            found["oracle"].append(oracle(trial))
            confusion.append(trial.confusion_factor)
            if len(solutions) < N_DRAWN_SPEEDS:
                solutions.append((trial, solution))
        for name, scores in found.items():
            self.metrics |= {f"association/{name}/{measure}": value for measure, value in summary(scores).items()}
            self.metrics[f"association/{name}/n_trials"] = float(len(scores))
        self.metrics["association/confusion_factor"] = float(np.mean(confusion))
        self.metrics["association/n_trials"] = float(len(self.seeds))
        self._draw(trained, solutions, found)

    def _draw(
        self,
        trained: TrainedField,
        solutions: list[tuple[Trial, dict[str, Association]]],
        found: Mapping[str, list[Scores]],
    ) -> None:
        provenance = f"{trained.data.source.sentence}; run {self.folder.root.name}"
        bounds_km = trained.travel_times.bounds_km
        trial, solution = solutions[0]
        rows = [
            drawn(trial, association, f"{SOLVER_NAMES.get(name, name)}\n{words(found[name][0])}")
            for name, association in solution.items()
        ]
        speeds = [self._speed_shown(trained, association) for association in solution.values()]
        of_speed = "known" if trained.is_of_known_speed else "unknown"
        title = (
            f"{len(trial.truth.positions_km)} events, {len(trained.stations_km)} stations, {of_speed} wave speed, "
            f"CF {trial.confusion_factor:.2f}; oracle ACC {100 * found['oracle'][0]['accuracy']:.1f} %"
        )
        figure = association_figures.associations(rows, bounds_km, speeds, title)
        figures.save(figure, self.folder.figures / "associations.png", provenance)
        figures.save(self._field_errors(trained), self.folder.figures / "field_errors.png", provenance)
        if not trained.is_of_known_speed:
            truths, recovered, names = [], [], []
            for seed, (each, by_solver) in zip(self.seeds, solutions, strict=False):
                truths.append(np.asarray(each.true_wave_speed_km_s))
                recovered.append(self._speed_shown(trained, next(iter(by_solver.values()))))
                names.append(f"trial {seed}")
            figure = wave_speed_figures.recovered_wave_speeds(
                truths, recovered, bounds_km, names, "Unseen wave speeds, recovered from arrivals alone"
            )
            figures.save(figure, self.folder.figures / "wave_speeds.png", provenance)

    @staticmethod
    def _speed_shown(trained: TrainedField, association: Association) -> Array:
        """The estimated wave speed; the known one where it is known."""
        if association.latent is None:
            known: Array = trained.wave_speeds_km_s[0]
            return known
        return trained.wave_speed_of(association.latent)

    def _field_errors(self, trained: TrainedField) -> Any:
        index = int(trained.test_indices[0])
        draw = np.random.default_rng(self.seeds[0])
        low, high = trained.travel_times.bounds_km
        positions_km = draw.uniform(low, high, (N_ERROR_POINTS, 3))
        true_s = np.asarray(trained.data.true_travel_times(index)(positions_km))
        found_s = trained.times_of(positions_km, trained.latent_of(trained.wave_speeds_km_s[index]))
        distance_km = np.linalg.norm(positions_km[:, None] - trained.stations_km, axis=-1)
        return field_errors(true_s, found_s, distance_km)


def association_callbacks(folder: RunFolder, settings: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of stage `association`.

    Args:
        folder: The run folder.
        settings: The stage's resolved settings.
    """
    data = settings["data"]
    names = ("n_events", "origin_window_s", "least_confusion", "pick_noise_s", "p_missing", "p_spurious")
    setting = Setting(**{name: data[name] for name in names})
    return [AssociationEvaluation(folder, setting, int(data["n_trials"]), int(data["first_trial_seed"]))]
