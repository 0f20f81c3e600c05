"""Every program's --help is there at once: torch and what else is slow to import wait until there is work."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTED_BY_OTHERS = {"association_growth", "gamma_adapter", "our_adapter", "pyocto_adapter", "measured_process"}
PROGRAMS = sorted(
    ".".join((path.parent if path.stem == "__main__" else path.with_suffix("")).relative_to(ROOT).parts)
    for path in (ROOT / "experiments").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8") and path.stem not in STARTED_BY_OTHERS
)
CODE = """
import runpy, sys
name = sys.argv[1]
sys.argv = [name, *sys.argv[2:]]
try:
    runpy.run_module(name, run_name="__main__")
except SystemExit as end:
    slow = {"torch", "lightning", "numba", "wandb", "matplotlib", "scipy", "sklearn"} & set(sys.modules)
    print("imported", *sorted(slow), file=sys.stderr)
    raise
"""


def _help(*words):
    command = [sys.executable, "-c", CODE, *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_waits_for_nothing(program):
    done = _help(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert done.stderr.splitlines()[-1] == "imported", done.stderr


@pytest.mark.parametrize(
    ("paper", "option"), [("ubdiff", "--dataset"), ("harpa", "--wave_speed"), ("cubism", "--method")]
)
def test_a_stages_options_are_told(paper, option):
    done = _help(f"experiments.{paper}", "run")
    assert done.returncode == 0, done.stderr
    assert option in done.stdout
