"""The ten OpenFWI families (Vel, Fault, Style; A and B): names, file layouts, official splits, seismic extremes.

Source: Deng et al., "OpenFWI: Large-scale Multi-structural Benchmark Datasets for Full Waveform Inversion",
NeurIPS 2022 Datasets and Benchmarks, and the split files and `dataset_config.json` beside its benchmark.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from datamodules.errors import DataError

CITATION = (
    "Deng, C., Feng, S., Wang, H., Zhang, X., Jin, P., Feng, Y., Zeng, Q., Chen, Y. and Lin, Y. (2022): OpenFWI: "
    "Large-scale Multi-structural Benchmark Datasets for Full Waveform Inversion. NeurIPS 35, Datasets and Benchmarks."
)
LICENCE = "CC BY-NC-SA 4.0"
WEBSITE = "https://openfwi-lanl.github.io/docs/data.html"

MAP_SHAPE = (1, 70, 70)
"""One velocity map: (channel, depth, offset), 10 m cells, m/s."""
GATHER_SHAPE = (5, 1000, 70)
"""One seismic gather: (shot, time, receiver), 1 ms samples."""
TIME_STEP_S = 1e-3
VELOCITY_RANGE_M_S = (1500.0, 4500.0)
"""What OpenFWI maps to [-1, 1]; CurveFault-B and Style-A reach about 4700 and so leave that interval."""


@dataclass(frozen=True)
class Family:
    """One OpenFWI family.

    Attributes:
        name: as in the paper, e.g. `FlatVel-A`.
        seismic_minimum: smallest amplitude in the family's seismic data, raw.
        seismic_maximum: largest amplitude, raw.
        files: all (map file, seismic file) pairs in numeric order, relative to the family's folder.
        held_out_files: the map files of OpenFWI's own test split.
    """

    name: str
    seismic_minimum: float
    seismic_maximum: float
    files: tuple[tuple[str, str], ...]
    held_out_files: frozenset[str]

    @property
    def file_hint(self) -> str:
        """The names of the files to fetch, for messages."""
        (first_map, first_seismic), (last_map, last_seismic) = self.files[0], self.files[-1]
        return f"{first_map} .. {last_map} (maps) and, if wanted, {first_seismic} .. {last_seismic} (seismic)"


def _numbered(n_files: int, n_training: int) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """Layout of the Vel and Style families: `model/modelK.npy` beside `data/dataK.npy`, K from 1."""
    files = tuple((f"model/model{k}.npy", f"data/data{k}.npy") for k in range(1, n_files + 1))
    return files, frozenset(name for name, _ in files[n_training:])


def _faulted(first: int) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    """Layout of the Fault families: flat `velN_1_K.npy` beside `seisN_1_K.npy`, three N of 36 files each.

    OpenFWI holds out the last four files of EACH N, which is not the end of the numeric order.
    """
    numbers = [(n, k) for n in range(first, first + 3) for k in range(36)]
    files = tuple((f"vel{n}_1_{k}.npy", f"seis{n}_1_{k}.npy") for n, k in numbers)
    return files, frozenset(f"vel{n}_1_{k}.npy" for n, k in numbers if k >= 32)


def _vel() -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    return _numbered(60, 48)


def _style() -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    return _numbered(134, 120)


def _fault_a() -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    return _faulted(2)


def _fault_b() -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    return _faulted(6)


_TABLE: tuple[tuple[str, float, float, Callable[[], tuple[tuple[tuple[str, str], ...], frozenset[str]]]], ...] = (
    ("FlatVel-A", -26.95, 52.77, _vel),
    ("FlatVel-B", -27.17, 56.05, _vel),
    ("CurveVel-A", -27.11, 55.10, _vel),
    ("CurveVel-B", -29.04, 57.03, _vel),
    ("FlatFault-A", -26.10, 50.86, _fault_a),
    ("FlatFault-B", -24.86, 50.28, _fault_b),
    ("CurveFault-A", -26.48, 52.32, _fault_a),
    ("CurveFault-B", -24.93, 50.98, _fault_b),
    ("Style-A", -24.96, 48.93, _style),
    ("Style-B", -23.76, 46.01, _style),
)

FAMILIES: dict[str, Family] = {name: Family(name, low, high, *layout()) for name, low, high, layout in _TABLE}


def plain_name(name: str) -> str:
    """A name without case, dashes, underscores and spaces: `FlatVel_A` and `flatvel-a` are the same family."""
    return re.sub(r"[-_ ]", "", name).lower()


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        DataError: no family has that name; the nearest ones are offered.
    """
    if family := FAMILIES.get(name):
        return family
    by_plain_name = {plain_name(known): family for known, family in FAMILIES.items()}
    nearest = difflib.get_close_matches(plain_name(name), by_plain_name, n=1, cutoff=0.5)
    offer = f"did you mean {by_plain_name[nearest[0]].name}?" if nearest else f"choose from {', '.join(FAMILIES)}."
    raise DataError(f"dataset {name!r} is not one of the ten OpenFWI families: {offer}")
