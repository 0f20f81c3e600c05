"""Two volcanoes as a Lightning data module: labelled events of one, unlabelled ones of the other. Wiring only.

Training batches pair images of both volcanoes (paper, Algorithm 1); no label of a target event is in them, nor in what
is validated on. Reading is `volcano_events`, images `waveform_preprocessing`, splits `spectrogram_splits`, the order of
samples `spectrogram_sampling`.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.openfwi_source import DataSource
from datamodules.shared_batches import SharedBatchDataModule
from datamodules.spectrogram_dataset import LabelledBatch, LabelledEvents, TransferBatch, TransferPairs
from datamodules.spectrogram_sampling import TransferBatches
from datamodules.spectrogram_source import DOMAINS, Domain, TransferSource
from datamodules.spectrogram_splits import fold_of_rows, validation_fraction_rows
from datamodules.volcano_records import CLASS_NAMES, UNKNOWN, EventTable
from datamodules.waveform_preprocessing import Preprocessing

__all__ = ["LabelledBatch", "SpectrogramDataModule", "TransferBatch"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]


class SpectrogramDataModule(SharedBatchDataModule):
    """Spectrograms of the LP and VT events of a labelled and of an unlabelled volcano.

    Args:
        source: The labelled volcano: `Llaima`, `Deception`, `NVCh`, `CAU`, or a folder (see `volcano_folder`).
        target: The unlabelled one; its labels, where there are any, serve `test_dataloader` alone.
        data_root: Folder that holds the volcanoes' folders; None: synthetic twins of Llaima and Deception.
        cache_root: Where twins and images are kept.
        batch_size: Images of each volcano in a global batch, shared by all processes.
        class_balanced: Source batches hold both classes equally often.
        standardization: See `Preprocessing`, as all up to `size`.
        order: `ours` or `as_published`.
        mean_removal: Remove tail and mean.
        band_pass: Filter at 1-10 Hz.
        padding: `background` or `zero`.
        floor_db: Range of the image in dB.
        crop: Keep 0-25 Hz.
        resize: `antialiased` or `bilinear`.
        size: Pixels of either axis.
        validation_fraction: Share of the source's events kept back, of each class.
        validation_fold: Keep back this one of `n_folds` stratified folds instead.
        n_folds: Number of folds.
        source_sampling_rate_hz: Of a folder that does not say it.
        target_sampling_rate_hz: The same for the target.
        bad_traces: `refuse` constant or non-finite records, or `leave_out`.
        synthetic_seed: Seed of the twins; None: `seed`.
        synthetic_share: Share of the published number of events that twins have.
        seed: Seed of the order of samples and of the split.
        num_workers: Worker processes for reading.

    Raises:
        DataError: An argument is out of its range (here), or the data are not as they should be (on first use).
    """

    def __init__(
        self,
        source: str = "Llaima",
        target: str = "Deception",
        data_root: str | None = None,
        cache_root: str = "cache",
        batch_size: int = 32,
        class_balanced: bool = False,
        standardization: Literal["none", "imf"] = "none",
        order: Literal["ours", "as_published"] = "ours",
        mean_removal: bool = True,
        band_pass: bool = True,
        padding: Literal["background", "zero"] = "background",
        floor_db: float | None = 60.0,
        crop: bool = True,
        resize: Literal["antialiased", "bilinear"] = "antialiased",
        size: int = 64,
        validation_fraction: float = 0.1,
        validation_fold: int | None = None,
        n_folds: int = 5,
        source_sampling_rate_hz: float | None = None,
        target_sampling_rate_hz: float | None = None,
        bad_traces: Literal["refuse", "leave_out"] = "refuse",
        synthetic_seed: int | None = None,
        synthetic_share: float = 1.0,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        if batch_size < 2:
            raise DataError(f"batch_size is {batch_size}: it must be a whole number of at least 2.")
        for name, value in {"seed": seed, "num_workers": num_workers, "synthetic_seed": synthetic_seed or 0}.items():
            if value < 0:
                raise DataError(f"{name} is {value}: it must not be negative.")
        if not 0 < validation_fraction <= 0.5:
            raise DataError(f"validation_fraction is {validation_fraction}: it must be above 0 and at most 0.5.")
        if not 0 < synthetic_share <= 1:
            raise DataError(f"synthetic_share is {synthetic_share}: it must be above 0 and at most 1.")
        if n_folds < 2 or not 0 <= (validation_fold or 0) < n_folds:
            raise DataError(
                f"validation_fold is {validation_fold} of n_folds {n_folds}: at least 2 folds, counted from 0, are "
                "wanted."
            )
        self.source_volcano, self.target_volcano = source, target
        self.batch_size, self.class_balanced, self.seed, self.num_workers = (
            batch_size,
            class_balanced,
            seed,
            num_workers,
        )
        self._validation = (validation_fraction, validation_fold, n_folds)
        self.image_maker = Preprocessing(
            standardization=standardization,
            order=order,
            mean_removal=mean_removal,
            band_pass=band_pass,
            padding=padding,
            floor_db=floor_db,
            crop=crop,
            resize=resize,
            size=size,
        )
        self._data = TransferSource(
            {"source": source, "target": target},
            sampling_rates_hz={"source": source_sampling_rate_hz, "target": target_sampling_rate_hz},
            data_root=Path(data_root).expanduser() if data_root else None,
            cache_root=Path(cache_root).expanduser(),
            synthetic_seed=seed if synthetic_seed is None else synthetic_seed,
            synthetic_share=synthetic_share,
            preprocessing=self.image_maker,
            bad_traces=bad_traces,
        )

    # ---- Lightning's hooks, in its order -----------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Read or make the events of both volcanoes and their images. Rank 0 only."""
        _ = self._split
        for domain in DOMAINS:
            self._data.images(domain)
        if self._data.length_tells and self.image_maker.padding == "zero":
            rank_zero_warn(
                f"the length of {self.events('source').volcano}'s records tells their class (AUC "
                f"{self._data.length_auc:.2f}) and zero padding shows it: set padding to background."
            )

    def train_dataloader(self) -> DataLoader[TransferBatch]:
        """Pairs of source and target images; an epoch is one pass over the larger volcano."""
        source, target = self._data.events["source"], self._data.events["target"]
        training, _ = self._split
        rank, world_size = self._ranks
        batches = TransferBatches(
            training, source.labels[training], np.arange(len(target)), batch_size=self.batch_size, seed=self.seed,
            epoch=self._epoch, rank=rank, world_size=world_size, class_balanced=self.class_balanced,
        )  # fmt: skip
        pairs = TransferPairs(self._images("source"), source.labels, self._images("target"))
        return self._loader(pairs, batch_size=None, sampler=batches)

    def val_dataloader(self) -> list[DataLoader[LabelledBatch]]:
        """The source's validation events with labels, then all target events without."""
        return [self._evaluation_loader("source", self._split[1]), self._evaluation_loader("target", withheld=True)]

    def test_dataloader(self) -> list[DataLoader[LabelledBatch]]:
        """All target events, then all source events, with labels."""
        return [self._evaluation_loader("target"), self._evaluation_loader("source")]

    def predict_dataloader(self) -> DataLoader[LabelledBatch]:
        """All target events, without labels."""
        return self._evaluation_loader("target", withheld=True)

    # ---- for modules, figures, provenance and `make data` --------------------------------------------------------

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of classes 0 and 1."""
        return CLASS_NAMES

    @property
    def preprocessing(self) -> dict[str, str | int | float | bool | None]:
        """All switches between record and image, their version, and the image's axes; `Preprocessing.from_dict`."""
        return self.image_maker.as_dict()

    @property
    def source_class_frequencies(self) -> Tensor:
        """Share of each class among the source's training events, `(2,)` (paper: w^s)."""
        labels = self._data.events["source"].labels[self._split[0]]
        return torch.tensor([(labels == label).mean() for label in (0, 1)], dtype=torch.float32)

    def training_images(self, domain: Domain) -> Tensor:
        """All images that training may see, `(n, 1, size, size)`: the source without its validation part."""
        images = self._images(domain)
        return torch.from_numpy(np.array(images[self._split[0]] if domain == "source" else images))

    @property
    def image_mean(self) -> Tensor:
        """Mean of each pixel over the training images of both volcanoes, `(1, size, size)`."""
        return torch.cat([self.training_images(domain) for domain in DOMAINS]).mean(dim=0)

    def events(self, domain: Domain) -> EventTable:
        """The events of a volcano, labels included; a batch's `index` counts in it."""
        return self._data.events[domain].table()

    def images(self, domain: Domain) -> FloatArray:
        """Images of all events of a volcano, `(event, 1, size, size)`, read only."""
        return self._images(domain)

    def waveforms(self, domain: Domain) -> list[FloatArray]:
        """Records of all events as stored, `(sample,)` each."""
        return self._data.events[domain].waveforms

    def waveform(self, domain: Domain, row: int) -> tuple[FloatArray, float]:
        """One record as stored, `(sample,)`, and its sampling rate in Hz."""
        return self._data.events[domain].waveforms[row], self._data.events[domain].sampling_rate_hz

    def split_rows(self) -> tuple[IntArray, IntArray]:
        """Rows of the source's event table: training, validation."""
        return self._split

    @property
    def source(self) -> DataSource:
        """Real or synthetic, in words and in plain values (of both volcanoes)."""
        described = self._data.describe()
        training, validation = self._split
        counts = {"source_training_events": len(training), "source_validation_events": len(validation)}
        return DataSource(described.kind, described.sentence, {**described.provenance, **counts})

    def input_hashes(self) -> dict[str, str]:
        """Content hash of each volcano's records and of the preprocessing's code."""
        return self._data.input_hashes()

    def verify(self) -> str:
        """Prepare everything and say what was found.

        Raises:
            DataError: The first fault found.
        """
        self.prepare_data()
        training, validation = self._split
        split = f"  split    {len(training):,} source events to train on, {len(validation):,} to validate on"
        return f"{self._data.summary()}\n{split}"

    # ---- what the above share ------------------------------------------------------------------------------------

    @property
    def _split(self) -> tuple[IntArray, IntArray]:
        if self._split_rows is None:
            self._split_rows = self._make_split()
        return self._split_rows

    _split_rows: tuple[IntArray, IntArray] | None = None

    def _make_split(self) -> tuple[IntArray, IntArray]:
        events = self._data.events["source"]
        labelled = np.flatnonzero(events.labels != UNKNOWN)
        labels, groups = events.labels[labelled], _groups_without_copies(events.groups, events.content, labelled)
        fraction, fold, n_folds = self._validation
        if fold is None:
            chosen = validation_fraction_rows(labels, groups, fraction, self.seed)
        else:
            chosen = np.flatnonzero(fold_of_rows(labels, groups, n_folds, self.seed) == fold)
        return np.delete(labelled, chosen), labelled[chosen]

    def _images(self, domain: Domain) -> FloatArray:
        return self._data.images(domain)

    def _evaluation_loader(
        self, domain: Domain, rows: IntArray | None = None, *, withheld: bool = False
    ) -> DataLoader[LabelledBatch]:
        events = self._data.events[domain]
        labels = np.full(len(events), UNKNOWN, dtype=np.int64) if withheld else events.labels
        dataset = LabelledEvents(self._images(domain), labels, np.arange(len(events)) if rows is None else rows)
        return self._loader(dataset, batch_size=None, sampler=self._evaluation_batches(dataset))


def _groups_without_copies(groups: tuple[str, ...], content: list[str], rows: IntArray) -> list[str]:
    """Groups of some rows; events with the same samples are of one group, or one could validate its own copy."""
    leader: dict[str, str] = {}
    joined: dict[str, str] = {}

    def root(group: str) -> str:
        while joined.get(group, group) != group:
            group = joined[group]
        return group

    for row in rows:
        first = leader.setdefault(content[row], groups[row])
        joined[root(groups[row])] = root(first)
    return [root(groups[row]) for row in rows]
