"""What a stage is made from: its settings, its inputs, the weights it starts from, and its sources.

Two runs of a stage with equal fingerprints come out the same; where they differ, `differences` says how.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.settings import flattened

PACKAGES = ("experiments", "lightning_modules", "datamodules", "callbacks")
LIBRARIES = ("torch", "lightning", "numpy")

# Where things lie, and what only shows or speeds up the work, does not change what comes out.
WITHOUT_EFFECT = (
    "data.data_root",
    "data.cache_root",
    "data.samples",
    "data.num_workers",
    "model.initial_weights",
    "checkpoint.",
    "trainer.default_root_dir",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.profiler",
    "ckpt_path",
    "config",
)


def effective(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved settings that decide what comes out: dotted name -> value."""
    return {name: value for name, value in sorted(flattened(settings).items()) if not name.startswith(WITHOUT_EFFECT)}


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of a state dict; independent of the file format and its time stamps."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def source_digests(modules: Iterable[str]) -> dict[str, str]:
    """Digests of the named modules of the suite and of all that they import from it.

    Comments, layout and docstrings do not count: the digest is that of the syntax tree without them.
    """
    digests: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _path_of(name)
        if name in digests or path is None:
            continue
        digests[name], imports = _read_source(path, name)
        waiting.extend(imports)
    return dict(sorted(digests.items()))


def _path_of(module: str) -> Path | None:
    if module.split(".")[0] not in PACKAGES:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


@cache
def _read_source(path: Path, module: str) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import name` may name a module as well as something in one.
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], tuple(imports)


def fingerprint(
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    weights: Mapping[str, str],
    modules: Iterable[str],
    ignores: tuple[str, ...] = (),
) -> dict[str, dict[str, Any]]:
    """All that a stage depends on.

    Args:
        settings: The stage's resolved settings.
        inputs: Name -> digest of what it reads.
        weights: Name -> digest of the weights that it starts from or uses.
        modules: The modules it is made of; what they import is followed.
        ignores: Prefixes of settings that it does not depend on.
    """
    return {
        "setting": {name: value for name, value in effective(settings).items() if not name.startswith(ignores)},
        "input": dict(inputs),
        "weights": dict(weights),
        "source": source_digests(modules),
        "version": {name: version(name) for name in LIBRARIES},
    }


def differences(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In words, what changed between two fingerprints; empty when nothing did."""
    found = []
    for kind in now:
        old, new = before.get(kind, {}), now[kind]
        for name in sorted({*old, *new}):
            if old.get(name) == new.get(name):
                continue
            if kind in ("setting", "version"):
                found.append(f"{kind} {name}: {old.get(name)!r} -> {new.get(name)!r}")
            else:
                fate = "is gone" if name not in new else "is new" if name not in old else "changed"
                found.append(f"{kind} {name} {fate}")
    return found
