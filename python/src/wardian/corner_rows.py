"""Rows that reach a model's corners: missing values, zeros, extremes and unseen words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .sample import Sample
from .tables import is_missing

# Columns that get a row of their own for each kind of corner; more would make long files.
_COLUMNS = 8
# Rows in which one of these columns has no value.
_EACH = 3
UNSEEN_WORDS = ("wardian unseen", "", "Ä☂")


@dataclass(frozen=True)
class Corner:
    """Made-up rows of one kind: ``missing``, ``zeros``, ``extremes`` or ``unseen``.

    Attributes:
        kind: The kind.
        rows: The rows.
        columns: The numbers of the columns without a value, in rows of the kind ``missing``.
    """

    kind: str
    rows: Sample
    columns: tuple[int, ...] = ()


def typical_rows(sample: Sample, count: int) -> Sample:
    """Picks rows of the sample: those with a column's least or greatest value or a missing one
    first, then others at even distances.
    """
    import numpy as np

    chosen: dict[int, None] = {}
    for number in range(sample.width):
        if not sample.is_numeric(number):
            continue
        values = sample.column(number).astype(np.float64)
        missing = np.isnan(values)
        if missing.any():
            chosen[int(np.argmax(missing))] = None
        if not missing.all():
            chosen[int(np.nanargmin(values))] = None
            chosen[int(np.nanargmax(values))] = None
        if len(chosen) >= count // 2:
            break
    for number in np.linspace(0, len(sample) - 1, num=min(count, len(sample)), dtype=int):
        chosen.setdefault(int(number), None)
    return sample.take(sorted(list(chosen)[:count]))


def corners(sample: Sample) -> list[Corner]:
    """Makes rows of each kind that the columns of the sample allow."""
    if sample.kind == "texts":
        return [Corner("unseen", Sample(_texts(["", "   ", *UNSEEN_WORDS]), "texts"))]

    made = [
        ("zeros", _zeros(sample)),
        ("extremes", _extremes(sample)),
        ("unseen", _unseen(sample)),
    ]
    return [
        *_missing(sample),
        *(Corner(kind, _stack(rows)) for kind, rows in made if rows),
    ]


def _missing(sample: Sample) -> list[Corner]:
    """Rows without the value of each of the first columns, and one without any."""
    able = [number for number in range(sample.width) if _may_lack_values(sample, number)]
    made = [corner for number in able[:_COLUMNS] for corner in missing(sample, (number,))]
    return [*made, *missing(sample, tuple(able))] if len(able) > 1 else made


def _may_lack_values(sample: Sample, number: int) -> bool:
    """True for columns that can have missing values as they are: not for whole numbers."""
    return sample.column(number).dtype.kind in "fO" or sample.has_one_missing_value(number)


def missing(sample: Sample, columns: tuple[int, ...]) -> Iterator[Corner]:
    """Yields rows without the values of columns, for each way to write a missing value there.

    Columns of whole numbers become floating-point numbers.
    """
    count = _EACH if len(columns) == 1 else 1
    rows = sample.take([len(sample) * index // count for index in range(count)])
    ways = [missing_values(sample, number) for number in columns]
    for way in range(max((len(values) for values in ways), default=0)):
        changes = {
            number: values[min(way, len(values) - 1)]
            for number, values in zip(columns, ways, strict=True)
        }
        yield Corner("missing", _without(rows, changes), columns)


def missing_values(sample: Sample, number: int) -> list[Any]:
    """Returns what stands for a missing value in a column: what the sample has, or else all that
    a caller may give.
    """
    import numpy as np

    if sample.column(number).dtype != object or sample.has_one_missing_value(number):
        return [np.nan]
    values = [value for value in sample.column(number) if is_missing(value)]
    ways = [value for value in values if value is None][:1]
    ways += [value for value in values if value is not None][:1]
    return ways or [np.nan, None]


def _zeros(sample: Sample) -> list[Sample]:
    numbers = [number for number in range(sample.width) if sample.is_numeric(number)]
    return [_with(sample, 0, {number: 0 for number in numbers})] if numbers else []


def _extremes(sample: Sample) -> list[Sample]:
    """All columns at their least and greatest values, and as far again beyond them."""
    import numpy as np

    lows: dict[int, Any] = {}
    highs: dict[int, Any] = {}
    below: dict[int, Any] = {}
    above: dict[int, Any] = {}
    for number in range(sample.width):
        if not sample.is_numeric(number):
            continue
        values = sample.column(number)
        if values.dtype.kind == "b" or (values.dtype.kind == "f" and np.isnan(values).all()):
            continue
        low, high = np.nanmin(values), np.nanmax(values)
        lows[number], highs[number] = low, high
        if values.dtype.kind == "f":
            below[number], above[number] = low - (high - low), high + (high - low)
    made = [_with(sample, 0, values) for values in (lows, highs, below, above) if values]
    return made


def _unseen(sample: Sample) -> list[Sample]:
    words = [number for number in range(sample.width) if _has_words(sample, number)]
    return [
        _with(sample, index, {number: word})
        for index, number in enumerate(words[:_COLUMNS])
        for word in UNSEEN_WORDS
        if word or _has_empty_text(sample, number)
    ]


def _has_empty_text(sample: Sample, number: int) -> bool:
    """True if an empty text is a word of the column. In others it stands for a missing value."""
    return any(isinstance(value, str) and not value for value in sample.column(number))


def _has_words(sample: Sample, number: int) -> bool:
    if sample.is_numeric(number):
        return False
    return any(isinstance(value, str) for value in sample.column(number)[:100])


def _with(sample: Sample, index: int, changes: dict[int, Any]) -> Sample:
    """Returns a row of the sample with other values in some columns."""
    row = sample.take([index % len(sample)])
    if sample.kind == "frame":
        frame = row.rows.copy()
        for number, value in changes.items():
            column = frame.columns[number]
            if isinstance(value, str):
                frame[column] = frame[column].astype(object)
                frame[column] = [value]
            else:
                frame[column] = _column_of(frame[column].dtype, value)
        return Sample(frame, "frame")

    array = row.rows.copy()
    for number, value in changes.items():
        array[0, number] = value
    return Sample(array, "array")


def _column_of(dtype: Any, value: Any) -> Any:
    """Returns a column of one number."""
    import pandas as pd

    if pd.api.types.is_extension_array_dtype(dtype):
        return pd.array([value], dtype=dtype)
    return dtype.type(value)


def _without(rows: Sample, changes: dict[int, Any]) -> Sample:
    """Returns the rows with the same missing values in each."""
    import numpy as np

    if rows.kind == "array":
        array = rows.rows.copy() if rows.rows.dtype.kind in "fO" else rows.rows.astype(np.float64)
        for number, value in changes.items():
            array[:, number] = value
        return Sample(array, "array")

    frame = rows.rows.copy()
    for number, value in changes.items():
        frame[frame.columns[number]] = _empty_column(frame.iloc[:, number].dtype, value, len(rows))
    return Sample(frame, "frame")


def _empty_column(dtype: Any, value: Any, count: int) -> Any:
    import numpy as np
    import pandas as pd

    if pd.api.types.is_extension_array_dtype(dtype):
        return pd.array([None] * count, dtype=dtype)
    return np.full(count, value, dtype=object if dtype == object else np.float64)


def _stack(rows: list[Sample]) -> Sample:
    first, *others = rows
    for other in others:
        first = first.joined(other)
    return first


def _texts(texts: list[str]) -> Any:
    import numpy as np

    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
