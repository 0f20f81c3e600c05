"""The events of one volcano, wherever they come from: the published files, a user's folder, or a synthetic twin."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.waveform_files import Waveform, check_traces

CLASS_NAMES = ("LP", "VT")
UNKNOWN = -1
BadTraces = Literal["refuse", "leave_out"]


class EventTable(NamedTuple):
    """One row an event.

    Attributes:
        id: Name of each event, unique within its volcano.
        volcano: The volcano's name.
        label: `(n,)` int64: 0 LP, 1 VT, -1 unknown.
        group: Events of one group (say, an earthquake at several stations) never stand on both sides of a split.
        duration_s: `(n,)` float64, without constant padding.
        path: File that each event comes from.
    """

    id: tuple[str, ...]
    volcano: str
    label: npt.NDArray[np.int64]
    group: tuple[str, ...]
    duration_s: npt.NDArray[np.float64]
    path: tuple[str, ...]


@dataclass(frozen=True)
class VolcanoEvents:
    """The records of one volcano.

    Attributes:
        name: The volcano.
        waveforms: `(sample,)` float32 each, as stored: with offset and constant tail.
        sampling_rate_hz: Of all of them.
        labels: `(n,)` int64: 0 LP, 1 VT, -1 unknown.
        ids: Names, unique.
        groups: See `EventTable`.
        paths: File of each event.
        sentence: What they are, for people.
        kind: Real or synthetic.
        class_names: Names of labels 0 and 1.
    """

    name: str
    waveforms: list[Waveform]
    sampling_rate_hz: float
    labels: npt.NDArray[np.int64]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    paths: tuple[str, ...]
    sentence: str
    kind: Literal["real", "synthetic"]
    class_names: tuple[str, ...] = CLASS_NAMES
    _memory: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.waveforms)

    @property
    def content(self) -> list[str]:
        """SHA-256 of each record's samples and sampling rate: what its spectrogram depends on."""
        if "content" not in self._memory:
            rate = f"{self.sampling_rate_hz!r}".encode()
            self._memory["content"] = [hashlib.sha256(rate + w.tobytes()).hexdigest() for w in self.waveforms]
        return self._memory["content"]

    @property
    def sha256(self) -> str:
        """Hash of all records and labels."""
        parts = [*self.content, self.labels.astype("<i8").tobytes().hex(), *self.groups]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def table(self) -> EventTable:
        """The events without their samples."""
        return EventTable(self.ids, self.name, self.labels, self.groups, self.durations_s(), self.paths)

    def durations_s(self) -> npt.NDArray[np.float64]:
        """Length of each record without its constant tail, `(n,)` s."""
        return np.array([unpadded_length(w) for w in self.waveforms], dtype=np.float64) / self.sampling_rate_hz

    def counts(self) -> tuple[int, int]:
        """Number of LP and of VT events."""
        return int((self.labels == 0).sum()), int((self.labels == 1).sum())


def make_events(
    name: str,
    waveforms: Sequence[Waveform],
    sampling_rate_hz: float,
    labels: Sequence[int],
    *,
    ids: Sequence[str],
    groups: Sequence[str],
    paths: Sequence[str],
    sentence: str,
    kind: Literal["real", "synthetic"],
    bad_traces: BadTraces,
) -> VolcanoEvents:
    """Check records and put them together.

    Args:
        name: The volcano.
        waveforms: `(sample,)` each.
        sampling_rate_hz: Of all of them.
        labels: 0, 1 or -1 each.
        ids: Names; a repeated one gets a number.
        groups: See `EventTable`.
        paths: File of each.
        sentence: What they are.
        kind: Real or synthetic.
        bad_traces: `refuse` constant, too short or non-finite records, or `leave_out` and say so.

    Raises:
        DataError: No event, an impossible rate, or a bad record that is not to be left out.
    """
    if not np.isfinite(sampling_rate_hz) or sampling_rate_hz <= 0:
        raise DataError(f"the sampling rate of {name} is {sampling_rate_hz}: a positive number of Hz is wanted.")
    bad = check_traces(list(waveforms), [f"{Path(path).name}: {each}" for path, each in zip(paths, ids, strict=True)])
    if bad and bad_traces == "refuse":
        more = f", and {len(bad) - 1} more like it" if len(bad) > 1 else ""
        raise DataError(
            f"{name}: {bad[0][1]} (row {bad[0][0]}, counted from 0){more}: remove the record, or set bad_traces to "
            "leave_out."
        )
    wrong = {row for row, _ in bad}
    kept = [row for row in range(len(waveforms)) if row not in wrong]
    if not kept:
        raise DataError(f"{name} holds no event: records of LP and VT events are wanted.")
    if wrong:
        sentence += f"; {len(wrong)} bad records left out"
    names = [ids[row] for row in kept]
    repeated = Counter(names)
    unique = tuple(each if repeated[each] == 1 else f"{each}#{i}" for i, each in enumerate(names))
    return VolcanoEvents(
        name=name,
        waveforms=[waveforms[row] for row in kept],
        sampling_rate_hz=float(sampling_rate_hz),
        labels=np.array([labels[row] for row in kept], dtype=np.int64),
        ids=unique,
        groups=tuple(groups[row] for row in kept),
        paths=tuple(paths[row] for row in kept),
        sentence=sentence,
        kind=kind,
    )


def unpadded_length(waveform: npt.NDArray[np.floating[Any]], least_run: int = 16) -> int:
    """Samples before the constant tail; a tail shorter than `least_run` samples is none.

    Args:
        waveform: `(sample,)`.
        least_run: So many equal samples at the end are padding; fewer can be chance, in counts of a digitiser.
    """
    different = np.flatnonzero(waveform != waveform[-1])
    length = int(different[-1]) + 1 if len(different) else 0
    return length if len(waveform) - length >= least_run else len(waveform)
