"""The clock of a file: its times as seconds and back, to the microsecond.

Inside, times are seconds from a reference near the picks, so that float64 has digits to spare. Outside they have the
form in which they came: plain seconds of an arbitrary zero, or ISO-8601 with the file's separator and time zone.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.table import Table

_MICROSECOND = timedelta(microseconds=1)
_FORMS = {True: "ISO-8601", False: "seconds"}


@dataclass(frozen=True)
class Clock:
    """How a file tells the time.

    Args:
        start: What 0 s stands for: a date where times are ISO-8601, else seconds.
        separator: Between date and time, `T` or a blank.
        zulu: Whether UTC is written `Z`.
    """

    start: datetime | float = 0.0
    separator: str = "T"
    zulu: bool = False

    @property
    def is_iso(self) -> bool:
        """Whether times are ISO-8601."""
        return isinstance(self.start, datetime)

    @property
    def name(self) -> str:
        """`ISO-8601` or `seconds`."""
        return _FORMS[self.is_iso]

    def text(self, time_s: float) -> str:
        """A time in the file's form, with microseconds."""
        if not isinstance(self.start, datetime):
            return f"{self.start + time_s:.6f}"
        time = self.start + round(time_s * 1e6) * _MICROSECOND
        text = time.isoformat(self.separator, "microseconds")
        return text.replace("+00:00", "Z") if self.zulu else text

    def seconds(self, text: str) -> float:
        """Seconds from the reference.

        Raises:
            ValueError: When the text is no time of this form.
        """
        if not isinstance(self.start, datetime):
            seconds = float(text)
            if not math.isfinite(seconds):
                raise ValueError("not finite")
            return seconds - self.start
        time = datetime.fromisoformat(text)
        if (time.tzinfo is None) != (self.start.tzinfo is None):
            raise ValueError("one has a time zone, the other has not")
        return (time - self.start).total_seconds()


def read_times(table: Table, name: str) -> tuple[Clock, np.ndarray]:
    """A column of times.

    Args:
        table: A table with at least one row.
        name: The column.

    Returns:
        The clock, and `(row,)` float64 seconds from its reference: the whole second before the earliest time, or zero
        where that is near.

    Raises:
        DataError: When a cell is no time, or has another form than the first.
    """
    texts = table.column(name)
    if not _is_number(texts[0]):
        return _dates(table, name, texts)
    seconds = np.empty(len(texts))
    for row, text in enumerate(texts):
        try:
            seconds[row] = float(text)
        except ValueError:
            raise DataError(_not_a_time(table, name, row, text, "seconds")) from None
    if not np.isfinite(seconds).all():
        row = int(np.flatnonzero(~np.isfinite(seconds))[0])
        raise DataError(f"{table.where(row)}: {name} is {texts[row]!r}, a finite time is wanted; mend or delete it.")
    start = math.floor(seconds.min()) if np.abs(seconds).max() > 1e5 else 0.0
    return Clock(float(start)), seconds - start


def _dates(table: Table, name: str, texts: list[str]) -> tuple[Clock, np.ndarray]:
    times: list[datetime] = []
    for row, text in enumerate(texts):
        try:
            times.append(datetime.fromisoformat(text))
        except ValueError:
            raise DataError(_not_a_time(table, name, row, text, "ISO-8601")) from None
    aware = [time.tzinfo is not None for time in times]
    if any(aware) != all(aware):
        row = aware.index(not aware[0])
        raise DataError(
            f"{table.where(row)}: mixed time formats: {texts[row]!r} {'has' if aware[row] else 'lacks'} a time zone, "
            f"unlike row 1 ({texts[0]!r}); write all times alike."
        )
    zone = times[0].tzinfo
    start = min(times).astimezone(zone).replace(microsecond=0) if zone else min(times).replace(microsecond=0)
    if zone is not None:
        start = start.replace(tzinfo=timezone(start.utcoffset() or timedelta(0)))
    seconds = np.fromiter(((time - start).total_seconds() for time in times), float, len(times))
    return Clock(start, " " if " " in texts[0] else "T", texts[0].endswith(("Z", "z"))), seconds


def _not_a_time(table: Table, name: str, row: int, text: str, form: str) -> str:
    other = partial(_is_number, text) if form == "ISO-8601" else partial(_is_date, text)
    if row and other() and text.lower() != "nan":
        return (
            f"{table.where(row)}: mixed time formats: {name} is {text!r}, but row 1 has {form}; "
            "write all times in one form, ISO-8601 or seconds."
        )
    return (
        f"{table.where(row)}: {name} is {text!r}, which is no time; "
        "ISO-8601, such as 2016-10-14T00:00:01.960, or seconds are wanted."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
