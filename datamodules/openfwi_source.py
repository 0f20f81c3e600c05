"""Where the pairs come from: real files, gathers simulated from real maps, or synthetic maps.

- **real**: maps and gathers as downloaded. Where only some files have gathers, pairs come from those.
- **simulated**: real maps; the exact forward operator makes the gathers once, into the cache.
- **synthetic**: no folder named; maps from a generator (FlatVel-A, CurveVel-A), then as above.

Gathers count as real only if the training part and the held-out part both have some; else all are simulated, so that a
model is never trained on one kind and judged on the other.
"""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.file_facts import FileFacts, facts_of
from datamodules.gather_cache import cached_gathers, fill_gather_cache, lock, write_npy, writing
from datamodules.npy_stack import NpyStack
from datamodules.openfwi_families import CITATION, LICENCE, MAP_SHAPE, Family
from datamodules.openfwi_files import FamilyFiles, find_files, no_files_error
from datamodules.openfwi_splits import Part, Rows, Split, gathers_in_both_parts, split_maps

Kind = Literal["real", "simulated", "synthetic"]
_MAPS_PER_FILE = 500
_PLAUSIBLE_M_S = (1000.0, 5900.0)


@dataclass(frozen=True)
class DataSource:
    """What a run's data are.

    Attributes:
        kind: real, simulated (from real maps) or synthetic.
        sentence: the same for people.
        provenance: plain values for `provenance.json`.
    """

    kind: Kind
    sentence: str
    provenance: Mapping[str, str | int | float]


class OpenFWISource:
    """The maps and gathers of one family, found or made.

    Args:
        family: which family.
        data_root: folder of real files; None for synthetic maps.
        cache_root: where simulated gathers and synthetic maps are kept.
        n_validation_maps: see `split_maps`.
        pair_seed: see `split_maps`.
        n_synthetic_maps: number of maps to generate where there are none.
        synthetic_seed: seed of the generated maps.

    Raises:
        DataError: from any member, for anything the user can mend.
    """

    def __init__(
        self,
        family: Family,
        *,
        data_root: Path | None,
        cache_root: Path,
        n_validation_maps: int,
        pair_seed: int,
        n_synthetic_maps: int,
        synthetic_seed: int,
    ) -> None:
        self.family = family
        self.data_root = data_root
        self.cache_root = cache_root / "openfwi"
        self.n_validation_maps = n_validation_maps
        self.pair_seed = pair_seed
        self.n_synthetic_maps = n_synthetic_maps
        self.synthetic_seed = synthetic_seed

    @cached_property
    def files(self) -> FamilyFiles:
        """The family's files; synthetic maps are generated here if they are not there yet."""
        return self._synthetic_files() if self.data_root is None else find_files(self.family, self.data_root)

    @cached_property
    def kind(self) -> Kind:
        """Which of the three sources."""
        if self.data_root is None:
            return "synthetic"
        return "real" if gathers_in_both_parts(self.files) else "simulated"

    @cached_property
    def split(self) -> Split:
        """Training, validation and held-out maps."""
        return split_maps(
            self.files,
            n_validation_maps=self.n_validation_maps,
            seed=self.pair_seed,
            only_real_pairs=self.kind == "real",
        )

    @cached_property
    def maps(self) -> NpyStack:
        """All velocity maps, m/s."""
        return self.files.map_stack()

    @cached_property
    def map_facts(self) -> dict[Path, FileFacts]:
        """Hash and range of each map file.

        Raises:
            DataError: NaN, infinity, or values that are no velocity in m/s.
        """
        facts = facts_of(self.files.maps, self.cache_root, what="velocity maps")
        for path, fact in facts.items():
            _check_finite(path, fact)
            low, high = _PLAUSIBLE_M_S
            if fact.maximum < 100.0:
                raise DataError(
                    f"{path} holds values {fact.minimum:g}..{fact.maximum:g}, which look like km/s or are normalised "
                    "already: m/s are wanted, as in OpenFWI's own files."
                )
            if not low <= fact.minimum <= fact.maximum <= high:
                raise DataError(
                    f"{path} holds velocities {fact.minimum:g}..{fact.maximum:g} m/s, outside {low:g}..{high:g}: "
                    "check the file, or fetch it again."
                )
        return facts

    def seismic_facts(self, rows: Rows | None = None) -> dict[Path, FileFacts]:
        """Hash and range of the real seismic files that hold some rows (None: of all of them).

        Raises:
            DataError: a file is not as it should be, holds NaN or infinity, or is normalised already.
        """
        self.files.check_seismic()
        stack = self.files.seismic_stack()
        used = range(len(stack.paths)) if rows is None else np.unique(stack.file_of(rows)).tolist()
        paths = [path for path in (stack.paths[file] for file in used) if path is not None]
        facts = facts_of(paths, self.cache_root, what="seismic files")
        for path, fact in facts.items():
            _check_finite(path, fact)
            if max(abs(fact.minimum), abs(fact.maximum)) <= 1.0:
                raise DataError(
                    f"{path} holds values {fact.minimum:g}..{fact.maximum:g}, which look normalised already: "
                    "raw amplitudes (about -27..57) are wanted, as in OpenFWI's own files."
                )
        return facts

    def prepare_gathers(self, part: Part, rows: Rows, *, workers: int | None = None) -> None:
        """Verify the real gathers of some rows of a part, or simulate those that are missing.

        Args:
            part: the part of the split.
            rows: the first so many of the part's rows.
            workers: threads of the simulation; None for one a core.
        """
        if self.kind == "real":
            self.seismic_facts(rows)
            return
        from datamodules.simulate.wave_equation import simulate_gathers

        threads = workers or os.cpu_count() or 1

        def simulate(velocity_m_s: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return simulate_gathers(velocity_m_s, workers=threads)

        folder = self.gather_folder / part.name
        fill_gather_cache(folder, self.maps, rows, simulate, block=4 * threads, what=f"{self.family.name} {part.name}")

    def gathers(self, part: Part, rows: Rows) -> tuple[NpyStack, Rows]:
        """Where the gathers of the first rows of a part stand: a stack, and the row numbers within it.

        Raises:
            DataError: they were not prepared.
        """
        if self.kind == "real":
            return self.files.seismic_stack(), rows
        stack = cached_gathers(self.gather_folder / part.name, len(rows))
        if stack is None:
            raise DataError(
                f"{self.gather_folder / part.name} does not hold {len(rows)} gathers yet: "
                "call prepare_data() (or run `make data`) first."
            )
        return stack, np.arange(len(rows), dtype=np.int64)

    @cached_property
    def gather_folder(self) -> Path:
        """The cache folder, named by all that decides about its content; the number of pairs does not."""
        orders = [
            _hash(part.order.astype("<i8").tobytes())
            for part in (self.split.train, self.split.validation, self.split.test)
        ]
        content = [self.family.name, [fact.sha256 for fact in self.map_facts.values()], orders, operator_hash()]
        return self.cache_root / f"{self.family.name}-{_hash(json.dumps(content).encode())[:12]}"

    def input_hashes(self, seismic_rows: Rows | None) -> dict[str, str]:
        """What the data are, by content: name of each input -> SHA-256.

        Args:
            seismic_rows: rows whose gathers are used, or None where no gather is.
        """
        facts = dict(self.map_facts)
        if seismic_rows is not None and self.kind == "real":
            facts |= self.seismic_facts(seismic_rows)
        hashes = {path.relative_to(self.files.root).as_posix(): fact.sha256 for path, fact in facts.items()}
        if seismic_rows is not None and self.kind != "real":
            hashes["forward operator"] = operator_hash()
        return hashes

    def describe(self) -> DataSource:
        """Kind, sentence and provenance."""
        n_maps, n_files = sum(self.files.counts), len(self.files.maps)
        found = f"{n_maps:,} maps in {n_files} file{'s' if n_files > 1 else ''}"
        n_seismic = sum(path is not None for path in self.files.seismic)
        if self.kind == "real":
            sentence = f"real {self.family.name} data: {found}, {n_seismic} with gathers, from {self.files.root}"
        elif self.kind == "simulated":
            sentence = (
                f"real {self.family.name} maps ({found} from {self.files.root}), "
                "gathers simulated from them by the exact forward operator"
            )
            if n_seismic:
                sentence += (
                    f" ({n_seismic} seismic files are not used: training and held-out part do not both have one)"
                )
        else:
            sentence = (
                f"synthetic {self.family.name} maps ({n_maps:,}, seed {self.synthetic_seed}), "
                "gathers simulated from them by the exact forward operator"
            )
        synthetic = self.kind == "synthetic"
        return DataSource(
            self.kind,
            sentence,
            {
                "kind": self.kind,
                "dataset": self.family.name,
                "root": str(self.files.root),
                "map_files": n_files,
                "seismic_files": n_seismic,
                "maps": n_maps,
                "split": "OpenFWI's own" if self.files.is_complete else "last fifth held out",
                "forward_operator": "OpenFWI's files" if self.kind == "real" else f"sha256 {operator_hash()}",
                "licence": "none: generated by this project" if synthetic else LICENCE,
                "citation": CITATION,
            },
        )

    def _synthetic_files(self) -> FamilyFiles:
        from datamodules.simulate import velocity_maps

        if self.family.name not in velocity_maps.SYNTHETIC_FAMILIES:
            raise no_files_error(self.family, tuple(velocity_maps.SYNTHETIC_FAMILIES))
        generate = velocity_maps.SYNTHETIC_FAMILIES[self.family.name]
        content = [self.n_synthetic_maps, self.synthetic_seed, _hash(inspect.getsource(velocity_maps).encode())]
        key = _hash(json.dumps(content).encode())[:12]
        root = self.cache_root / f"{self.family.name}-synthetic-{key}"
        n_files = -(-self.n_synthetic_maps // _MAPS_PER_FILE)
        counts = [min(_MAPS_PER_FILE, self.n_synthetic_maps - k * _MAPS_PER_FILE) for k in range(n_files)]
        paths = [root / "model" / f"model{k + 1}.npy" for k in range(n_files)]
        if not all(path.exists() for path in paths):
            with writing(root), lock(root / ".lock"):
                for k, (path, count) in enumerate(zip(paths, counts, strict=True)):
                    if not path.exists():
                        rng = np.random.default_rng([self.synthetic_seed, k])
                        write_npy(path, generate(count, rng).reshape(count, *MAP_SHAPE).astype(np.float32))
        return FamilyFiles(self.family, root, tuple(paths), (None,) * n_files, tuple(counts))


def operator_hash() -> str:
    """Hash of the forward operator's source, so that gathers of an older operator are never taken for new ones."""
    from datamodules.simulate import wave_equation

    folder = Path(inspect.getfile(wave_equation)).parent
    return _hash(b"".join(path.read_bytes() for path in sorted(folder.glob("wave_*.py"))))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_finite(path: Path, fact: FileFacts) -> None:
    if fact.first_bad_sample is not None:
        raise DataError(
            f"{path} holds NaN or infinity, first in sample {fact.first_bad_sample} (counted from 0): fetch it again."
        )
