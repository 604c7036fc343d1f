"""Rows that reach a model's corners: missing values, zeros, extremes and unseen words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .sample import Sample

# Columns that get a row of their own for each kind of corner; more would make long files.
_COLUMNS = 8
# Rows in which one of these columns has no value.
_EACH = 3
UNSEEN_WORDS = ("wardian unseen", "", "Ä☂")


@dataclass(frozen=True)
class Corner:
    """Made-up rows of one kind: ``missing``, ``zeros``, ``extremes`` or ``unseen``."""

    kind: str
    rows: Sample


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
        ("missing", _missing(sample)),
        ("zeros", _zeros(sample)),
        ("extremes", _extremes(sample)),
        ("unseen", _unseen(sample)),
    ]
    return [Corner(kind, _stack(rows)) for kind, rows in made if rows]


def _missing(sample: Sample) -> list[Sample]:
    """A row for each of the first columns without its value, and one without any."""
    import numpy as np

    able = [
        number
        for number in range(sample.width)
        if sample.is_numeric(number) and sample.column(number).dtype.kind == "f"
    ]
    rows = [
        _with(sample, len(sample) * index // _EACH, {number: np.nan})
        for number in able[:_COLUMNS]
        for index in range(_EACH)
    ]
    return [*rows, _with(sample, 0, {number: np.nan for number in able})] if able else []


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
    ]


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
                frame[column] = frame[column].dtype.type(value)
        return Sample(frame, "frame")

    array = row.rows.copy()
    for number, value in changes.items():
        array[0, number] = value
    return Sample(array, "array")


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
