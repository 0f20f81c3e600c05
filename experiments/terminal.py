"""What the programs have in common where they speak: progress bars that suit what they are written to, and mistakes."""

import errno
import os
import sys
from collections.abc import Callable

from datamodules.errors import DataError
from experiments.errors import SettingsError
from lightning_modules.errors import ModuleError

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143


def calm_progress() -> None:
    """Where standard error is a file or a pipe, let progress bars write a line now and then.

    To be called before tqdm is imported, which reads its settings then.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")


def exit_status(work: Callable[[], None], interrupted: str) -> int:
    """Do a program's work; what a user can mend becomes one sentence on standard error.

    Args:
        work: All of it, reading the command line included.
        interrupted: What to say after Ctrl-C: what is left, and what to do.

    Returns:
        0 for results, 2 for a mistake in options or files, 130 when interrupted, 1 for a disk or folder that refuses.
    """
    try:
        work()
        return 0
    except (SettingsError, DataError, ModuleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(f"interrupted; {interrupted}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        if not (sentence := refused_by_the_folder(error)):
            raise
        print(sentence, file=sys.stderr)
        return EXIT_FAILED


def refused_by_the_folder(error: OSError) -> str:
    """What to say of a full disk or a folder that must not be written to; "" of any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
        return ""
    return f"error: {error.filename or 'a file'}: {error.strerror}; make room or choose another folder."
