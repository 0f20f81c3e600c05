"""What the figures share: where things are, the trained fields, results kept one by one, solvers side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbacks.association_figures import DrawnAssociation
from experiments.association.problem import Association
from experiments.association_trials import Scores, Trial, drawn, judged, oracle, solved, summary, words
from experiments.harpa_fields import PSGLD_TRIALS, FieldRun, TrainedField, field_solvers, trained
from experiments.ledger import Ledger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOLVER_NAMES = {"gauss_newton": "Gauss-Newton", "psgld": "pSGLD (the paper's)", "sgd": "SGD"}

KNOWN = FieldRun("overthrust")
UNKNOWN = FieldRun("grf")
UNKNOWN_50 = FieldRun("grf", n_stations=50)
UNKNOWN_SMALL = FieldRun(
    "grf",
    n_stations=50,
    options=("--shared.data.max_fields", "2", "--shared.model.latent_dim", "4"),
    name="grf-tiny-50stations-2fields-4latent-seed0",
)
GAUSSIAN = FieldRun("gaussian")


@dataclass(frozen=True)
class Made:
    """What a figure's function gives.

    Args:
        pictures: Suffix of the file name -> picture; the main one has none.
        results: Plain JSON values.
        provenance: What the data are.
    """

    pictures: "Mapping[str, Figure]"
    results: Mapping[str, Any]
    provenance: str


@dataclass(frozen=True)
class Context:
    """Where things are, and how much is done.

    Args:
        out: Folder of the figures.
        run_root: Folder of all runs.
        cache_root: For what is made once.
        data_root: Folder with the overthrust model; None for a stand-in.
        trials: How many trials an average is over; None for each figure's own number, which suits a laptop.
        first_seed: Seed of the first trial.
        psgld_trials: How many of an average's trials pSGLD solves, the first ones.
        fields: Runs that take the place of the usual ones, by name; for tests.
    """

    out: Path
    run_root: Path
    cache_root: Path
    data_root: Path | None
    trials: int | None = None
    first_seed: int = 0
    psgld_trials: int = PSGLD_TRIALS
    fields: Mapping[FieldRun, TrainedField] = field(default_factory=dict)

    def trained(self, run: FieldRun) -> TrainedField:
        """The field of a run, trained if need be."""
        return self.fields.get(run) or trained(run, self.run_root, self.cache_root, self.data_root)

    def seeds(self, usual: int) -> range:
        """Seeds of the trials of an average."""
        return range(self.first_seed, self.first_seed + (self.trials or usual))

    def ledger(self, name: str, module: str) -> Ledger:
        """Results of the cells of a figure, kept as they come.

        Args:
            name: Of the figure.
            module: That makes it.
        """
        sources = ("experiments.association.associate", "experiments.association_trials", module)
        return Ledger(self.out / f".{name}.cells.json", sources, {"data_root": str(self.data_root)})

    def records(
        self,
        ledger: Ledger,
        cell: str,
        trained_field: TrainedField,
        make: Callable[[int], Trial],
        seeds: Sequence[int],
        solvers: Mapping[str, Any] | None = None,
        first: "Solved | None" = None,
    ) -> list[dict[str, Any]]:
        """Figures of merit of the trials of an average; of many, pSGLD solves the first ones alone.

        Args:
            ledger: That keeps them.
            cell: Name of the average.
            trained_field: Whose latent codes they are.
            make: A seed's trial.
            seeds: Of the trials.
            solvers: As in `solve`, for all trials; by default those of `field_solvers`, pSGLD for the first ones.
            first: The first trial, where it is solved already.
        """
        found = [first.record()] if first else []
        for i, seed in list(enumerate(seeds))[len(found) :]:
            chosen = solvers or field_solvers(trained_field.is_of_known_speed)
            if solvers is None and i >= self.psgld_trials:
                chosen = {name: solver for name, solver in chosen.items() if name != "psgld"}

            def one(seed: int = seed, chosen: Mapping[str, Any] = chosen) -> dict[str, Any]:
                return solve(trained_field, make(seed), seed, chosen).record()

            found.append(ledger.result(f"{cell}/seed{seed}/{'+'.join(chosen)}", one))
        return found


@dataclass(frozen=True)
class Solved:
    """A trial, solved by several solvers."""

    trial: Trial
    solutions: Mapping[str, Association]
    scores: Mapping[str, Scores]

    @property
    def oracle_accuracy(self) -> float:
        """ACC of the true events."""
        return self.scores["oracle"]["accuracy"]

    def rows(self, prefix: str = "") -> list[DrawnAssociation]:
        """What is drawn: a row a solver."""
        return [
            drawn(self.trial, association, f"{prefix}{SOLVER_NAMES[name]}\n{words(self.scores[name])}")
            for name, association in self.solutions.items()
        ]

    def record(self) -> dict[str, Any]:
        """Figures of merit as plain values."""
        return {"confusion_factor": self.trial.confusion_factor, **{k: dict(v) for k, v in self.scores.items()}}


def solve(trained_field: TrainedField, trial: Trial, seed: int, solvers: Mapping[str, Any] | None = None) -> Solved:
    """Solve a trial by all solvers, and by the oracle.

    Args:
        trained_field: Whose latent codes they are.
        trial: The trial.
        seed: Of the solvers.
        solvers: Name -> solver or its name; by default those of `field_solvers`.
    """
    chosen = solvers or field_solvers(trained_field.is_of_known_speed)
    solutions = {name: solved(trial, solver, seed) for name, solver in chosen.items()}
    scores = {name: judged(trial, each, trained_field.wave_speed_of) for name, each in solutions.items()}
    return Solved(trial, solutions, {**scores, "oracle": oracle(trial)})


def means(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over trials of what `Solved.record` gives, each solver's over the trials that it was given."""
    records = list(records)
    names = dict.fromkeys(name for record in records for name in record if isinstance(record[name], Mapping))
    found: dict[str, Any] = {}
    for name in names:
        scores = [record[name] for record in records if name in record]
        found[name] = {**summary(scores), "n_trials": len(scores)}
    factors: Sequence[float] = [record["confusion_factor"] for record in records]
    return {"n_trials": len(records), "confusion_factor": sum(factors) / len(factors), **found}


def accuracies(record: Mapping[str, Any]) -> str:
    """ACC of each solver in one line."""
    return ", ".join(f"{k} {100 * v['accuracy']:.1f} %" for k, v in record.items() if isinstance(v, Mapping))
