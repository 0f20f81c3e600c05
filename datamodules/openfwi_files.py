"""Finding a family's files below a folder, in numeric order, and checking their headers.

Both of OpenFWI's own layouts are known: `model/modelK.npy` beside `data/dataK.npy` (Vel, Style) and flat `velN_1_K.npy`
beside `seisN_1_K.npy` (Fault). A file may hold any number of samples (OpenFWI: 500). Order is numeric: model2 comes
before model10, on every machine; the published UB-Diff code splits by `os.listdir`, whose order is the file system's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from datamodules.npy_stack import NpyStack
from datamodules.openfwi_families import FAMILIES, GATHER_SHAPE, MAP_SHAPE, WEBSITE, Family, plain_name


@dataclass(frozen=True)
class FamilyFiles:
    """The files of one family that are there.

    Attributes:
        family: which family.
        root: the family's folder.
        maps: velocity map files in numeric order.
        seismic: for each, the seismic file of the same samples, or None where it is absent.
        counts: number of samples in each file.
    """

    family: Family
    root: Path
    maps: tuple[Path, ...]
    seismic: tuple[Path | None, ...]
    counts: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether these are all map files of the family, so that OpenFWI's own split applies."""
        return {path.relative_to(self.root).as_posix() for path in self.maps} == {name for name, _ in self.family.files}

    def map_stack(self) -> NpyStack:
        """All maps under one running index."""
        return NpyStack(self.maps, self.counts, MAP_SHAPE)

    def seismic_stack(self) -> NpyStack:
        """All gathers under the same running index."""
        return NpyStack(self.seismic, self.counts, GATHER_SHAPE)

    def check_seismic(self) -> None:
        """Check the headers of the seismic files. Not done on finding them: a stage on maps alone opens none.

        Raises:
            DataError: a header is not as it should be, or gathers and maps do not match one to one.
        """
        for maps, seismic, n_maps in zip(self.maps, self.seismic, self.counts, strict=True):
            if seismic is not None and (n_gathers := count_samples(seismic, GATHER_SHAPE)) != n_maps:
                raise DataError(
                    f"{seismic} holds {n_gathers} gathers but {maps} holds {n_maps} maps: "
                    "they must match one to one, so fetch both files again."
                )


def find_files(family: Family, data_root: Path) -> FamilyFiles:
    """The family's files below a folder that the user named.

    Args:
        family: which family.
        data_root: the folder that holds the family's folder (`FlatVel-A`, `FlatVel_A`, ...), or that folder itself.

    Raises:
        DataError: the folder is absent or holds no map of the family, or the header of a map file is wrong.
    """
    if not data_root.is_dir():
        raise DataError(
            f"data_root {data_root} is not a folder: name the one that holds {family.name}/, "
            "or leave data_root out to use synthetic maps (FlatVel-A and CurveVel-A)."
        )
    try:
        subfolders = sorted(path for path in data_root.iterdir() if path.is_dir())
    except OSError as error:
        raise DataError(f"data_root {data_root} cannot be read ({error.strerror}): check its permissions.") from None
    candidates = [path for path in subfolders if plain_name(path.name) == plain_name(family.name)]
    other_families = {plain_name(name) for name in FAMILIES} - {plain_name(family.name)}
    if plain_name(data_root.resolve().name) not in other_families:
        candidates.append(data_root)
    for root in candidates:
        if maps := _numeric_order(root, [name for name, _ in family.files]):
            seismic = [seismic_path(path) for path in maps]
            return FamilyFiles(
                family,
                root,
                maps,
                tuple(path if path.exists() else None for path in seismic),
                tuple(count_samples(path, MAP_SHAPE) for path in maps),
            )
    raise DataError(
        f"data_root {data_root} holds no {family.name} maps: put {family.file_hint} from {WEBSITE} "
        f"into {data_root / family.name}."
    )


def no_files_error(family: Family, synthetic: Sequence[str]) -> DataError:
    """What to tell a user who named no folder, for a family that cannot be made synthetically."""
    return DataError(
        f"{family.name} needs real files (only {' and '.join(synthetic)} can be made without): fetch "
        f"{family.file_hint} from {WEBSITE}, put them into DIR/{family.name}, and set data_root to DIR."
    )


def _numeric_order(root: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The map files of the layout that `names` follow, also beyond OpenFWI's own numbers (a user's own files)."""
    pattern = re.sub(r"\d+", "*", names[0])
    wanted = re.compile(re.sub(r"\d+", r"\\d+", Path(names[0]).stem))
    found = [path for path in root.glob(pattern) if wanted.fullmatch(path.stem)]
    return tuple(sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.stem)]))


def seismic_path(map_path: Path) -> Path:
    """Where the gathers of a map file stand: `data/dataK.npy` of `model/modelK.npy`, `seisN.npy` of `velN.npy`."""
    if map_path.name.startswith("model"):
        return map_path.parent.parent / "data" / map_path.name.replace("model", "data", 1)
    return map_path.with_name(map_path.name.replace("vel", "seis", 1))


def count_samples(path: Path, row_shape: tuple[int, ...]) -> int:
    """The number of samples in a `.npy` file, from its header alone.

    Raises:
        DataError: the file is empty, no `.npy`, of another shape or type, or shorter than its header says.
    """
    again = "fetch it again."
    try:
        size = path.stat().st_size
        if size == 0:
            raise DataError(f"{path} is empty (0 bytes): {again}")
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            expected = file.tell() + int(np.prod(shape)) * dtype.itemsize
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions, or {again}") from None
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a numpy .npy file: {again}") from None
    wanted = f"float32 (samples, {', '.join(map(str, row_shape))})"
    if tuple(shape[1:]) != row_shape or shape[0] == 0:
        raise DataError(f"{path} has shape {tuple(shape)}, wanted {wanted}: write it in OpenFWI's layout.")
    if dtype.kind != "f":
        raise DataError(f"{path} holds {dtype}, wanted {wanted}: convert it with astype('float32').")
    if size < expected:
        raise DataError(f"{path} is cut short ({size:,} bytes, its header promises {expected:,}): {again}")
    return int(shape[0])
