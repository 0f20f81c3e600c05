"""python -m experiments.harpa_figures [--only fig4 fig8] [--data_root DIR]: the paper's figures, each with its numbers.

Fields are trained, or taken where they are, as runs of `experiments.harpa` with preset `tiny`. For each figure a PNG,
and a JSON file beside it. A figure that is there, made by the same sources, is not made again; cells of the large ones
are kept as they come, so that a second call goes on where the first was stopped.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import SettingsError
from experiments.harpa_figures.gallery import GALLERY, Entry
from experiments.settings import nearest
from experiments.terminal import calm_progress, exit_status

if TYPE_CHECKING:
    from experiments.harpa_figures.context import Context


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.harpa_figures", description="The figures of HARPA's paper, at a size for a CPU."
    )
    made.add_argument("--only", nargs="+", metavar="FIGURE", help=f"some of {', '.join(GALLERY)} (default: all)")
    made.add_argument(
        "--trials",
        type=int,
        help="trials of every average (default: 5; 2 in a cell of figures 8 and 9, where the paper has 10 and 20)",
    )
    made.add_argument("--psgld_trials", type=int, default=1, help="how many of them pSGLD solves (default: 1)")
    made.add_argument("--seed", type=int, default=0, help="seed of the first trial (default: 0)")
    made.add_argument("--data_root", type=Path, help="folder with overthrust_32.npy; without it, a stand-in")
    made.add_argument("--cache_root", type=Path, default=Path("cache"), help="for what is made once (default: cache)")
    made.add_argument("--run_root", type=Path, default=Path("runs"), help="folder of all runs (default: runs)")
    made.add_argument("--out", type=Path, help="folder of the figures (default: <run_root>/harpa_figures)")
    made.add_argument("--list", action="store_true", help="list the figures and stop")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the figures; the exit code."""
    options = parser().parse_args(arguments)
    calm_progress()
    if options.list:
        for name, entry in GALLERY.items():
            print(f"{name:6} {entry.caption}")
        return 0
    return exit_status(lambda: _make(options, options.only or list(GALLERY)), "call again to go on.")


def _make(options: argparse.Namespace, names: Sequence[str]) -> None:
    for name in names:
        if name not in GALLERY:
            raise SettingsError(f"--only {name}: there is no such figure; {nearest(name, GALLERY)}")
    if options.trials is not None and options.trials < 1:
        raise SettingsError(f"--trials {options.trials}: wanted 1 or more.")
    import torch
    from tqdm import tqdm

    from experiments import wandb_run
    from experiments.harpa_figures.context import Context

    torch.set_num_threads(1)
    out = options.out or options.run_root / "harpa_figures"
    context = Context(
        out,
        options.run_root,
        options.cache_root,
        options.data_root,
        options.trials,
        options.seed,
        options.psgld_trials,
    )
    out.mkdir(parents=True, exist_ok=True)
    run = wandb_run.start(out, "harpa_figures", [], {"trials": options.trials, "seed": options.seed})
    try:
        for name in tqdm(names, desc="figures"):
            make_figure(name, GALLERY[name], context, run)
    finally:
        if run is not None:
            run.finish()


def make_figure(name: str, entry: Entry, context: "Context", wandb: Any = None) -> None:
    """Make one figure unless it is there.

    Args:
        name: Its name.
        entry: What it is.
        context: Where things are.
        wandb: The W&B run that gets numbers and pictures, or None.
    """
    from callbacks.figures import save
    from experiments.cli import load
    from experiments.fingerprint import source_digests
    from experiments.provenance import provenance
    from experiments.run_folder import read_json, write_json

    record_path = context.out / f"{name}.json"
    made_of = {
        "sources": source_digests([entry.make.rpartition(".")[0]]),
        "trials": [context.trials, context.psgld_trials],
        "first_seed": context.first_seed,
        "data_root": str(context.data_root),
    }
    record = read_json(record_path)
    if record and record["made_of"] == made_of and all((context.out / file).exists() for file in record["pictures"]):
        print(f"{name}: made before", flush=True)
        return
    made = load(entry.make)(context)
    files = []
    for suffix, figure in made.pictures.items():
        files.append(save(figure, context.out / f"{name}{suffix}.png", made.provenance).name)
    content = {
        "caption": entry.caption,
        "paper": dict(entry.paper),
        "results": made.results,
        "pictures": files,
        "provenance": provenance({"sentence": made.provenance}, context.first_seed),
        "made_of": made_of,
    }
    write_json(record_path, content)
    print(f"{name}: {', '.join(files)}", flush=True)
    if wandb is not None:
        _log(wandb, name, content, context.out)


def _log(run: Any, name: str, content: dict[str, Any], out: Path) -> None:
    import wandb

    from experiments.settings import flattened

    numbers = {k: v for k, v in flattened(content["results"]).items() if isinstance(v, int | float)}
    run.summary.update({f"{name}/{key}": value for key, value in numbers.items()})
    run.log({f"{name}/{Path(file).stem}": wandb.Image(str(out / file)) for file in content["pictures"]})


if __name__ == "__main__":
    sys.exit(main())
