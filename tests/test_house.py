"""The rules of the house: what may import what, how long a file may be, and that the README is true."""

import ast
import re
from pathlib import Path

import pytest

from experiments import cubism, cubism_classify, cubism_generalisation, cubism_table, harpa, ubdiff
from experiments.association import options as association
from experiments.benchmark import __main__ as benchmark
from experiments.catalogue import options as catalogue
from experiments.catalogue_comparison import program as comparison
from experiments.harpa_figures import __main__ as harpa_figures
from experiments.program import parser_of
from experiments.settings import presets

ROOT = Path(__file__).parents[1]
PACKAGES = ("experiments", "lightning_modules", "datamodules", "callbacks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {
    "lightning_modules": {"datamodules", "callbacks", "experiments"},
    "datamodules": {"lightning_modules", "callbacks", "experiments"},
    "callbacks": {"experiments"},
    "experiments": set(),
}


def _imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way_and_files_stay_short(path):
    package, *_ = path.relative_to(ROOT).parts
    roots = {name.split(".")[0] for name in _imports(path)}
    assert not roots & FORBIDDEN[package]
    if "simulate" in path.parts:
        assert "lightning" not in roots
    if package == "lightning_modules" and path.name != "module.py":
        assert "lightning" not in roots, "a network file never imports Lightning"
    assert len(path.read_text().splitlines()) <= 400


def test_the_top_level_is_closed():
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == {*PACKAGES, "tests"}


def test_the_readme_names_only_what_exists():
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", readme)) <= targets
    assert set(re.findall(r"PRESET=(\w+)", readme)) <= {*presets("ubdiff"), *presets("harpa"), *presets("cubism")}
    known = {"help", "stage", "only", "seeds", "nproc_per_node"}  # the last one is torchrun's
    for experiment in (ubdiff.EXPERIMENT, harpa.EXPERIMENT, cubism.EXPERIMENT):
        known |= set(parser_of(experiment).parse_args(["run"]).__dict__)
    programs = (association, benchmark, catalogue, cubism_classify, cubism_generalisation, cubism_table, harpa_figures)
    for program in programs:
        known |= {action.dest for action in program.parser()._actions}
    for command in ("synthetic", "growth"):
        known |= set(comparison.parser().parse_args([command, "--out", "out"]).__dict__)
    for option in re.findall(r"`?--(\w+)(?=[ `=])", readme):
        assert option in known, option
    for name in re.findall(r"\]\(([\w./-]+)\)", readme):
        assert (ROOT / name).exists(), name
