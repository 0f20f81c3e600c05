"""Cubism and its rivals by name, and what the paper says they reach (its Table 2).

A method is a short file, `configs/cubism/methods/<name>.yaml`: a layer of settings between preset and user's file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from experiments.errors import SettingsError
from experiments.settings import CONFIG_ROOT, Settings, nearest, read_yaml

METHOD_ROOT = CONFIG_ROOT / "cubism" / "methods"
DEFAULT = "cubism"
ALL = "all"


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        label: As the paper writes it.
        says: What it is.
        paper: Direction -> (accuracy, precision, recall, F1) of Table 2 in percent; none for a row of our own.
    """

    label: str
    says: str
    paper: Mapping[str, tuple[float, float, float, float]]


L_TO_D, D_TO_L = "Llaima-Deception", "Deception-Llaima"


def _paper(*both: float) -> Mapping[str, tuple[float, float, float, float]]:
    """Table 2's row: each measure for both directions in turn."""
    return {L_TO_D: (both[0], both[2], both[4], both[6]), D_TO_L: (both[1], both[3], both[5], both[7])}


METHODS: Mapping[str, Method] = {
    "source-only": Method(
        "Source-Only", "trained on the source alone", _paper(71.59, 50.84, 57.46, 55.70, 56.43, 59.10, 56.75, 47.95)
    ),
    "imf-std": Method(
        "IMF-STD",
        "Source-Only on waveforms standardised by their intrinsic mode functions",
        _paper(81.06, 71.29, 84.46, 69.27, 59.35, 81.17, 60.45, 67.36),
    ),
    "dm-ada": Method(
        "DM-ADA",
        "adversarial, mixup in input and in the latent space of a VAE",
        _paper(87.86, 88.03, 92.01, 90.31, 73.83, 69.39, 78.51, 74.25),
    ),
    "dm-ada-flow": Method(
        "DM-ADA-Flow",
        "DM-ADA with a flow in place of the VAE",
        _paper(88.46, 90.51, 91.36, 92.35, 75.59, 75.97, 80.11, 81.04),
    ),
    "dann": Method(
        "DANN",
        "adversarial alignment, blind to classes",
        _paper(89.94, 91.69, 93.25, 87.61, 78.37, 84.27, 82.99, 85.80),
    ),
    "bmix-da": Method(
        "BMix-DA",
        "Cubism that balances by the source's classes alone",
        _paper(93.79, 95.23, 94.92, 96.00, 87.28, 88.22, 90.39, 91.50),
    ),
    "cubism": Method(
        "Cubism",
        "co-balanced mixup in the flow's latent space, adversarial and conditional alignment",
        _paper(94.98, 96.15, 95.70, 95.75, 89.87, 91.44, 92.38, 93.41),
    ),
    "source-balanced": Method(
        "Source-Only, class-balanced", "Source-Only whose batches hold both classes equally often (ours)", {}
    ),
    "source-adabn": Method(
        "Source-Only, target's statistics",
        "Source-Only, the target normalised by its own batch statistics (AdaBN; ours)",
        {},
    ),
}
"""Name -> method: the paper's seven from the lowest F1 to the highest, then rows of ours."""

SEVEN = tuple(name for name, method in METHODS.items() if method.paper)
"""The paper's methods, in the order of its mean F1."""
MEASURES = ("accuracy", "precision", "recall", "f1")


@cache
def read_method(name: str) -> Settings:
    """The settings of a method.

    Raises:
        SettingsError: If there is no such method; the message offers the nearest name.
    """
    if name not in METHODS:
        raise SettingsError(f"--method {name}: there is no such method; {nearest(name, [*METHODS, ALL])}")
    return read_yaml(METHOD_ROOT / f"{name}.yaml")
