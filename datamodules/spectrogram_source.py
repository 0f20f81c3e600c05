"""The two volcanoes of a transfer: their events, checked against each other, and their images."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.openfwi_source import DataSource
from datamodules.spectrogram_cache import cached_images, preprocessing_code
from datamodules.volcano_events import load_volcano
from datamodules.volcano_records import CLASS_NAMES, UNKNOWN, BadTraces, VolcanoEvents
from datamodules.waveform_preprocessing import Preprocessing

Domain = Literal["source", "target"]
DOMAINS: tuple[Domain, Domain] = ("source", "target")
TELLING_AUC, TELLING_ERRORS = 0.6, 4.0
"""A record's length tells its class when its AUC is above the first (or below one minus it) and so many standard errors
from .5."""

CITATIONS = {
    "Llaima": "Curilem et al. 2018, IJCNN; Mendeley Data 10.17632/dv8nwdd36k (reported as CC BY-NC 3.0)",
    "NVCh": "Espinosa-Curilem, Zenodo record 17163020",
    "CAU": "Espinosa-Curilem, Zenodo record 17163020",
}


class TransferSource:
    """Events and images of the source and the target volcano, read or made on first use.

    Args:
        volcanoes: Name or folder of each domain's volcano.
        sampling_rates_hz: Where a user's folder does not say it.
        data_root: See `load_volcano`.
        cache_root: Where twins and images are kept.
        synthetic_seed: Seed of twins.
        synthetic_share: Share of their events.
        preprocessing: From record to image.
        bad_traces: See `load_volcano`.

    Raises:
        DataError: From any member, for anything the user can mend.
    """

    def __init__(
        self,
        volcanoes: Mapping[Domain, str],
        *,
        sampling_rates_hz: Mapping[Domain, float | None],
        data_root: Path | None,
        cache_root: Path,
        synthetic_seed: int,
        synthetic_share: float,
        preprocessing: Preprocessing,
        bad_traces: BadTraces,
    ) -> None:
        self.volcanoes, self.sampling_rates_hz = volcanoes, sampling_rates_hz
        self.data_root, self.cache_root, self.synthetic_seed = data_root, cache_root, synthetic_seed
        self.synthetic_share = synthetic_share
        self.preprocessing, self.bad_traces = preprocessing, bad_traces

    @cached_property
    def events(self) -> Mapping[Domain, VolcanoEvents]:
        """Events of both domains.

        Raises:
            DataError: One volcano twice, an event in both, or a source without both classes.
        """
        loaded: dict[Domain, VolcanoEvents] = {}
        for domain in DOMAINS:
            loaded[domain] = load_volcano(
                self.volcanoes[domain],
                self.data_root,
                self.cache_root,
                self.synthetic_seed,
                sampling_rate_hz=self.sampling_rates_hz[domain],
                bad_traces=self.bad_traces,
                synthetic_share=self.synthetic_share,
            )
        source, target = loaded["source"], loaded["target"]
        if self.volcanoes["source"] == self.volcanoes["target"]:
            raise DataError(f"source and target are both {source.name}: name two volcanoes.")
        in_source = dict(zip(source.content, source.ids, strict=True))
        both = [(in_source[c], each) for c, each in zip(target.content, target.ids, strict=True) if c in in_source]
        if both:
            raise DataError(
                f"{len(both)} events of the target {target.name} are in the source {source.name} too, first "
                f"{both[0][1]} (there {both[0][0]}): training and test events must differ, so remove them from one."
            )
        for name, count in zip(CLASS_NAMES, source.counts(), strict=True):
            if count == 0:
                raise DataError(
                    f"the source {source.name} has no {name} event: a source needs labelled events of both classes, "
                    "LP and VT; add some, or choose another source."
                )
        return loaded

    def images(self, domain: Domain) -> npt.NDArray[np.float32]:
        """`(event, 1, size, size)`, a read-only memory map; made where they are missing."""
        return self._images[domain]

    @cached_property
    def _images(self) -> Mapping[Domain, npt.NDArray[np.float32]]:
        return {domain: cached_images(self.events[domain], self.preprocessing, self.cache_root) for domain in DOMAINS}

    @cached_property
    def length_auc(self) -> float:
        """How well the length of a source record tells VT from LP: .5 not at all, 0 or 1 altogether."""
        source = self.events["source"]
        known = source.labels != UNKNOWN
        return rank_auc(source.durations_s()[known], source.labels[known])

    @property
    def length_tells(self) -> bool:
        """Whether the length of a source record gives its class away, by more than chance does in so many records."""
        labels = self.events["source"].labels
        n_lp, n_vt = int((labels == 0).sum()), int((labels == 1).sum())
        if not n_lp or not n_vt:
            return False
        by_chance = np.sqrt((n_lp + n_vt + 1) / (12.0 * n_lp * n_vt))  # standard error of an AUC of .5
        return bool(abs(self.length_auc - 0.5) > max(TELLING_AUC - 0.5, TELLING_ERRORS * by_chance))

    def describe(self) -> DataSource:
        """Kind, sentence and provenance; synthetic as soon as one of the volcanoes is."""
        source, target = self.events["source"], self.events["target"]
        kind: Literal["real", "synthetic"] = "real" if source.kind == target.kind == "real" else "synthetic"
        values: dict[str, str | int | float] = {"kind": kind, "record_length_auc": round(self.length_auc, 4)}
        for domain, events in zip(DOMAINS, (source, target), strict=True):
            values |= {domain: events.name, f"{domain}_kind": events.kind, f"{domain}_events": len(events)}
            values |= {f"{domain}_sampling_rate_hz": events.sampling_rate_hz}
            if events.kind == "real" and events.name in CITATIONS:
                values[f"{domain}_citation"] = CITATIONS[events.name]
        if kind == "synthetic":
            values |= {"synthetic_seed": self.synthetic_seed, "synthetic_share": self.synthetic_share}
        values |= {f"preprocessing_{name}": str(value) for name, value in self.preprocessing.as_dict().items()}
        return DataSource(kind, f"source: {source.sentence}; target: {target.sentence}", values)

    def input_hashes(self) -> dict[str, str]:
        """Content hash of each volcano's records, and of the code that makes images of them."""
        hashes = {f"{domain} {self.events[domain].name}": self.events[domain].sha256 for domain in DOMAINS}
        return {**hashes, "preprocessing": preprocessing_code()}

    def summary(self) -> str:
        """What was found, in some lines."""
        lines = [self.describe().sentence]
        for domain in DOMAINS:
            events = self.events[domain]
            low, high = np.percentile(events.durations_s(), [0, 100])
            images = self.images(domain)
            lines.append(
                f"  {domain:<8} {events.name}: {len(events):,} events, {events.sampling_rate_hz:g} Hz, "
                f"{low:.1f} .. {high:.1f} s without padding, images {images.shape[2]} x {images.shape[3]}"
            )
        tells = "tells the class" if self.length_tells else "does not tell the class"
        lines.append(f"  the length of a source record {tells} (AUC {self.length_auc:.2f})")
        return "\n".join(lines)


def rank_auc(score: npt.NDArray[np.float64], label: npt.NDArray[np.int64]) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, ties counting half."""
    from scipy.stats import rankdata

    n_one, n_zero = int((label == 1).sum()), int((label == 0).sum())
    ranks = float(rankdata(score)[label == 1].sum())
    return (ranks - n_one * (n_one + 1) / 2) / (n_one * n_zero)
