"""The images of a volcano's events, made once: named by the records, the preprocessing and its code."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules import imf_standardization, spectrogram_image, waveform_padding, waveform_preprocessing
from datamodules.errors import DataError
from datamodules.row_cache import cached_rows, content_hash, source_hash
from datamodules.volcano_records import VolcanoEvents
from datamodules.waveform_preprocessing import Image, Preprocessing

_POOL_FROM = 32  # fewer decompositions are done before a process has started


def preprocessing_code() -> str:
    """Hash of the code between record and image."""
    return source_hash(waveform_preprocessing, waveform_padding, spectrogram_image, imf_standardization)


def cached_images(
    events: VolcanoEvents,
    preprocessing: Preprocessing,
    cache_root: Path,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> npt.NDArray[np.float32]:
    """Images of all events.

    Args:
        events: The volcano.
        preprocessing: From record to image.
        cache_root: Images stand under `volcano/images/` in it.
        workers: Threads, or for IMF-STD processes; None for one a core.
        progress: Show a progress bar.

    Returns:
        `(event, 1, size, size)` float32 in [0, 1], a read-only memory map.

    Raises:
        DataError: A record of which no image can be made, or a cache that cannot be written.
    """
    key = (tuple(events.content), tuple(sorted(preprocessing.as_dict().items(), key=str)), preprocessing_code())
    folder = cache_root / "volcano" / "images"
    shape = (len(events), 1, preprocessing.size, preprocessing.size)
    workers = min(workers or os.cpu_count() or 1, len(events))
    with ExitStack() as stack:
        make: Callable[[int], Image] = lambda row: _image(preprocessing, events, row)  # noqa: E731
        slow = preprocessing.standardization == "imf" and workers > 1 and len(events) >= _POOL_FROM
        if slow and not (folder / f"{content_hash((*key, shape))}.npy").exists():
            # Decomposition is Python, so that threads would wait for each other.
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
            make = lambda row: pool.submit(  # noqa: E731
                preprocessing.image, events.waveforms[row], events.sampling_rate_hz
            ).result()
        what = f"{events.name} spectrograms" + (" (IMF-STD)" if preprocessing.standardization == "imf" else "")
        return cached_rows(
            folder, key, shape, lambda row, *_: make(row), what=what, workers=workers, progress=progress, unit="event"
        )


def _image(preprocessing: Preprocessing, events: VolcanoEvents, row: int) -> Image:
    try:
        return preprocessing.image(events.waveforms[row], events.sampling_rate_hz)
    except DataError as error:
        raise DataError(f"{events.name}, event {events.ids[row]} ({events.paths[row]}): {error}") from None
