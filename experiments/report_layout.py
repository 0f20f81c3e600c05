"""How a report is arranged: which figures of metrics.json stand in which chapter, and how.

A paper's own arrangement is `LAYOUT` in `experiments/<paper>_report.py`. Figures whose names follow a pattern, such as
`inversion/<trained on>/<measure>`, become one table with a row and a column for each part; the rest are listed with the
words that `Experiment.metrics` has for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Headline:
    """One of the few figures that stand at the top.

    Args:
        metric: Name in metrics.json.
        label: What it is, in a few words.
        note: How to read it.
    """

    metric: str
    label: str
    note: str


@dataclass(frozen=True)
class Pivot:
    """A table of figures whose names follow a pattern.

    Args:
        caption: What it shows.
        pattern: Regular expression with the groups `row` and `column`; names it does not match whole are left alone.
        corner: Heading of the first column.
        columns: Column -> heading, in order; others follow as they are named.
        rows: Row -> label, in order; others follow as they are named.
    """

    caption: str
    pattern: str
    corner: str
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """A part of the report.

    Args:
        title: Its title.
        text: A sentence or two on how to read it.
        prefixes: Beginnings of the names of the figures that it lists.
        pivots: Its tables.
        pictures: Beginnings of the file names of its pictures.
        list_first: Whether the listed figures stand above the tables.
    """

    title: str
    text: str = ""
    prefixes: tuple[str, ...] = ()
    pivots: tuple[Pivot, ...] = ()
    pictures: tuple[str, ...] = ()
    list_first: bool = False


@dataclass(frozen=True)
class Layout:
    """How a paper's report is arranged.

    Args:
        headlines: Figures at the top.
        chapters: In order; what none of them takes stands in a last one.
        signatures: Import path of `(metrics, reference) -> signatures`, each with name, state, evidence and advice.
        reference: Variant whose run the signatures compare with.
    """

    headlines: tuple[Headline, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    signatures: str | None = None
    reference: str | None = None
