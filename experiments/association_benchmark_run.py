"""The measuring of `make bench-association`: rows over seeds, chains one after another, growth; kept as they come."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from datamodules.simulate.arrivals import random_stations
from experiments import association_growth, wandb_run
from experiments.association.solvers.psgld import PreconditionedSGLD, Transport
from experiments.association_benchmark_rows import BASE, Bench, Row
from experiments.association_trials import Scores, Trial, judged, point_times, solved, summary, trial_of
from experiments.ledger import Ledger
from experiments.provenance import provenance
from experiments.run_folder import write_json

SOURCES = (
    "experiments.association.associate",
    "experiments.association.solvers.psgld",
    "experiments.association_benchmark_rows",
    "experiments.association_trials",
)
WARM_UP_SEED = 1000
CHAINS = "psgld/one_after_another"
CHAIN_SEEDS = (0, 1, 2)
POT_CHAINS = 2
LEAST_GAIN = 30.0


class BenchmarkRun:
    """One call of the benchmark.

    Args:
        data_root: Folder with the overthrust model; None for a stand-in.
        cache_root: For travel times.
        run_root: For the runs whose networks the unknown speeds need.
        out: Folder of the results.
        seeds: Of the rows.
    """

    def __init__(
        self, data_root: Path | None, cache_root: Path, run_root: Path, out: Path, seeds: Sequence[int]
    ) -> None:
        import torch

        torch.set_num_threads(1)
        self.bench = Bench(data_root, cache_root, run_root)
        self.out, self.seeds = out, list(seeds)
        inputs = {"model": self.bench.model.provenance}
        self.ledger = Ledger(out / "solves.json", SOURCES, inputs)
        self._warm: set[str] = set()

    def row(self, row: Row) -> tuple[Scores, bool | None]:
        """Means over the seeds, and whether the goal is met."""
        found = [self._solve(row, seed) for seed in tqdm(self.seeds, desc=row.name, leave=False)]
        means = summary(found)
        means["cpu_s_max"] = max(each["cpu_s"] for each in found)
        return means, row.is_met(means) if row.is_met else None

    def _solve(self, row: Row, seed: int) -> Scores:
        key = f"{row.name}/seed{seed}"
        if key not in self.ledger and row.name not in self._warm:
            row.measure(self.bench, WARM_UP_SEED)  # compiled functions and tables are loaded
            self._warm.add(row.name)
        return self.ledger.result(key, row.measure, self.bench, seed)

    def one_chain_after_another(self) -> dict[str, Any]:
        """PSGLD's chains at once and one after another, for as many epochs, and the paper's way, with POT's transport.

        The chains one after another are all run, those with POT `POT_CHAINS` of them, whose CPU time is multiplied.
        """
        found: dict[str, list[Scores]] = {}
        for seed in tqdm(CHAIN_SEEDS, desc=CHAINS, leave=False):
            problem = f"seed{seed}"
            batched = self.ledger.result(f"chains/batched/{problem}", self._batched, seed)
            found.setdefault("batched", []).append(batched)
            for name, transport, n in (("sorted", "sorted", None), ("pot", "pot", POT_CHAINS)):
                key = f"chains/one_after_another/{name}/{problem}"
                one = self.ledger.result(key, self._in_turn, seed, int(batched["epochs"]), transport, n)
                found.setdefault(f"one_after_another/{name}", []).append(one)
        means = {name: summary(each) for name, each in found.items()}
        ratios = {name: each["cpu_s"] / means["batched"]["cpu_s"] for name, each in means.items() if name != "batched"}
        n_chains = PreconditionedSGLD().chains
        for name, each in means.items():
            judged_too = f", ACC {each['accuracy']:.3f}" if "accuracy" in each else ""
            print(f"psgld, {n_chains} chains {name:26} {each['cpu_s']:8.2f} CPU-s{judged_too}", flush=True)
        print("times dearer than batched: " + ", ".join(f"{k} {v:.1f}" for k, v in ratios.items()), flush=True)
        return {
            "n_chains": n_chains,
            "pot_chains_timed": POT_CHAINS,
            "seeds": list(CHAIN_SEEDS),
            "by_way": means,
            "times_dearer": ratios,
            "goal": "at least 30 times",
            "met": ratios["one_after_another/sorted"] >= LEAST_GAIN,
        }

    def _problem(self, seed: int) -> Trial:
        stations_km = random_stations(20, seed)
        table = self.bench.table(stations_km)
        return trial_of(BASE, seed, point_times(table), stations_km, table)

    def _batched(self, seed: int) -> Scores:
        trial = self._problem(seed)
        association = solved(trial, PreconditionedSGLD(), seed)
        return {**judged(trial, association), "epochs": float(len(association.trace["loss"]))}

    def _in_turn(self, seed: int, epochs: int, transport: Transport, n: int | None) -> Scores:
        """Chains one after another; judged where all of them are run."""
        trial, n_chains = self._problem(seed), PreconditionedSGLD().chains
        refined = PreconditionedSGLD().refine_epochs
        solver = PreconditionedSGLD(chains=1, restarts=1, patience_epochs=max(epochs - refined, 1), transport=transport)
        begun = time.process_time()
        found = [solved(trial, solver, seed + WARM_UP_SEED * (1 + chain)) for chain in range(n or n_chains)]
        cpu_s = (time.process_time() - begun) * n_chains / len(found)
        if n is not None:
            return {"cpu_s": cpu_s}
        return {**judged(trial, min(found, key=lambda association: association.loss)), "cpu_s": cpu_s}

    def growth(self) -> dict[str, Any]:
        """CPU and memory against events and stations, and their picture."""
        from callbacks.figures import save

        bench, seeds = self.bench, self.seeds[:3]
        points = []
        for m, n in tqdm(association_growth.POINTS, desc="growth", leave=False):
            for seed in seeds:
                point = self.ledger.result(
                    association_growth.key_of(m, n, seed),
                    association_growth.measure,
                    m,
                    n,
                    seed,
                    bench.data_root,
                    bench.cache_root,
                )
                points.append(point)
                print(
                    f"growth {m:4} x {n:4} seed {seed}: ACC {point['accuracy']:.3f}, {point['cpu_s']:8.2f} CPU-s, "
                    f"{point['peak_memory_bytes'] / 2**20:6.0f} MiB",
                    flush=True,
                )
        save(association_growth.growth_figure(points), self.out / "growth.png", self.bench.model.provenance)
        return {"points": points}

    def write(self, table: dict[str, Any]) -> None:
        """The results as JSON, and to W&B."""
        record = {
            "provenance": provenance({"model": self.bench.model.provenance}, seed=self.seeds[0]),
            "seeds": self.seeds,
            "table": table,
        }
        write_json(self.out / "benchmark.json", record)
        run = wandb_run.start(self.out, "association_benchmark", [], {"seeds": self.seeds})
        if run is not None:
            for name, content in table.items():
                for key, value in content.get("means", {}).items():
                    if isinstance(value, float) and np.isfinite(value):
                        run.summary[f"{name}/{key}"] = value
            run.finish(exit_code=0)
