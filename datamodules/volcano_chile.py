"""LP and VT events of two Chilean volcanoes, NVCh and CAU: real, and far too few to rank methods on.

The file holds records of 81.92 s at 100 Hz, each with the samples `event` = [start, end) that analysts marked. The end
mark tells the class (LP are marked for some 30 s, VT for some 13 s), and so would a record cut there; a record is
therefore cut by the start mark alone: BEFORE_S before it and 60 s long, as far as the file reaches. `src` names the
event's file, of which every station's record is one: they form a group.

Source: camilo-espinosa/volcano-seismic-segmentation; the full set is Zenodo record 17163020.
"""

from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from datamodules.volcano_records import CLASS_NAMES, BadTraces, VolcanoEvents, make_events

FILE_NAME = "chile_vss_100hz.npz"
VOLCANOES = ("NVCh", "CAU")
SAMPLING_RATE_HZ = 100.0
BEFORE_S = 5.0
RECORD_S = 60.0


def find_chile(data_root: Path | None) -> Path | None:
    """The file, in `data_root` or its folder `volcano`, or `data_root` itself."""
    if data_root is None:
        return None
    places = (data_root, data_root / FILE_NAME, data_root / "volcano" / FILE_NAME)
    return next((place for place in places if place.is_file() and place.name == FILE_NAME), None)


def read_chile(path: Path, name: str, *, bad_traces: BadTraces = "refuse") -> VolcanoEvents:
    """LP and VT records of one of the volcanoes.

    Args:
        path: The file.
        name: NVCh or CAU.
        bad_traces: See `make_events`.

    Raises:
        DataError: The file is not as described.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            x, label, volcano, event, src = (content[key] for key in ("x", "label", "volcano", "event", "src"))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read ({error}): fetch it again.") from None
    rows = [
        row for wanted in CLASS_NAMES for row in range(len(x)) if volcano[row] == name and str(label[row]) == wanted
    ]
    first = [max(0, int(event[row, 0]) - round(BEFORE_S * SAMPLING_RATE_HZ)) for row in rows]
    n = round(RECORD_S * SAMPLING_RATE_HZ)
    groups = [str(src[row]).split(":")[0] for row in rows]
    return make_events(
        name,
        [x[row, start : start + n].astype(np.float32) for row, start in zip(rows, first, strict=True)],
        SAMPLING_RATE_HZ,
        [CLASS_NAMES.index(str(label[row])) for row in rows],
        ids=[str(src[row]) for row in rows],
        groups=groups,
        paths=[str(path)] * len(rows),
        sentence=f"real {name} events: {len(rows)} traces of {len(set(groups))} events, too few to rank methods on",
        kind="real",
        bad_traces=bad_traces,
    )
