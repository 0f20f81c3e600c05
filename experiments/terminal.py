"""What the programs have in common where they speak: progress bars that suit what they are written to."""

import os
import sys


def calm_progress() -> None:
    """Where standard error is a file or a pipe, let progress bars write a line now and then.

    To be called before tqdm is imported, which reads its settings then.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")
