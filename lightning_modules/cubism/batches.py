"""What the module expects of its batches and of the data module that makes them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor


class TransferBatch(Protocol):
    """Labelled source and unlabelled target.

    Attributes:
        source_image: `(batch, 1, size, size)` in [0, 1], rows are frequencies (lowest first), columns are time.
        source_label: `(batch,)` int64.
        target_image: `(batch, 1, size, size)`, the same.
    """

    @property
    def source_image(self) -> Tensor:
        """Source spectrograms."""
        ...

    @property
    def source_label(self) -> Tensor:
        """Their classes."""
        ...

    @property
    def target_image(self) -> Tensor:
        """Target spectrograms."""
        ...


class LabelledBatch(Protocol):
    """Events to judge.

    Attributes:
        image: `(batch, 1, size, size)` in [0, 1].
        label: `(batch,)` int64, -1 for unknown.
        index: `(batch,)` int64, row of the volcano's event table.
    """

    @property
    def image(self) -> Tensor:
        """Spectrograms."""
        ...

    @property
    def label(self) -> Tensor:
        """Their classes."""
        ...

    @property
    def index(self) -> Tensor:
        """Their rows."""
        ...


class TransferData(Protocol):
    """What the module asks of its data module, after `setup`.

    Attributes:
        class_names: Names in the order of the class numbers.
        source_class_frequencies: `(class,)`, shares of the classes among the source's training events (W^s).
        preprocessing: How the images were made, plain values.
        training_images: `source` or `target` -> `(n, 1, size, size)`, without labels.
    """

    class_names: Sequence[str]
    source_class_frequencies: Any
    preprocessing: Mapping[str, Any]
    training_images: Callable[[str], Tensor]
