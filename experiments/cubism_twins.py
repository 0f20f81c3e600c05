"""`make data-volcano`: the synthetic twins of Llaima and Deception Island, as files that a run takes as its data.

python -m experiments.cubism twins --out data/volcano --seed 0

They are not recorded at these volcanoes and say so wherever they are read: in each run, table, figure and in W&B.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the twins; the exit code, and errors in one sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cubism twins",
        description="Write synthetic twins of Llaima and Deception in the published file format, labelled synthetic.",
    )
    parser.add_argument("--out", type=Path, default=Path("data/volcano"), help="folder (default: data/volcano)")
    parser.add_argument("--seed", type=int, default=0, help="of the catalogues (default: 0)")
    options = parser.parse_args(arguments)
    from datamodules.errors import DataError
    from datamodules.volcano_events import write_twins

    if options.seed < 0:
        print(f"error: --seed {options.seed}: wanted 0 or more.", file=sys.stderr)
        return 2
    try:
        folders = write_twins(options.out, options.seed)
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; call again.", file=sys.stderr)
        return 130
    for folder in folders:
        print(f"{folder}: synthetic")
    print(f"use them with --data_root {options.out}")
    return 0
