"""Rows as callers give them: frames, arrays, lists and dictionaries, with one face.

A table has columns, with or without names. Its kind decides in what the answer is given: a frame is
answered by a frame, an array by an array, and a list by a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .tensors import FLOATS, check_range, pack


class Table:
    """Rows in columns.

    Attributes:
        names: The names of the columns; ``None`` if they have none.
        kind: ``"frame"``, ``"array"`` or ``"list"``: what the caller gave.
        index: The index of a frame; ``None`` for other kinds.
    """

    names: list[str] | None
    kind: str
    index: Any = None

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def width(self) -> int:
        """The number of columns."""
        raise NotImplementedError

    def column(self, number: int) -> Any:
        """Returns the elements of a column: a sequence or a numpy array."""
        raise NotImplementedError

    def slice(self, start: int, end: int) -> Table:
        """Returns the rows from ``start`` to before ``end``."""
        raise NotImplementedError

    def label(self, number: int) -> str:
        """Returns the name of a column for an error."""
        return repr(self.names[number]) if self.names else f"number {number}"

    def matrix(self, order: Sequence[int], datatype: str) -> bytes:
        """Packs columns side by side, row by row."""
        columns = [numeric_column(self, number, datatype) for number in order]
        for number, column in zip(order, columns, strict=True):
            check_range(column, datatype, f"column {self.label(number)}")
        if columns and hasattr(columns[0], "astype"):
            import numpy as np

            return pack(np.column_stack(columns), datatype)
        rows = zip(*(list(column) for column in columns), strict=True)
        return pack([value for row in rows for value in row], datatype)


class FrameTable(Table):
    """A frame of pandas."""

    kind = "frame"

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]
        self.index = frame.index

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def width(self) -> int:
        return len(self.names or ())

    def column(self, number: int) -> Any:
        return plain_values(self._frame.iloc[:, number])

    def slice(self, start: int, end: int) -> Table:
        return FrameTable(self._frame.iloc[start:end])


class ArrayTable(Table):
    """An array of numpy with two dimensions."""

    kind = "array"
    names = None

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows.shape[0]

    @property
    def width(self) -> int:
        return self._rows.shape[1]

    def column(self, number: int) -> Any:
        return self._rows[:, number]

    def slice(self, start: int, end: int) -> Table:
        return ArrayTable(self._rows[start:end])

    def matrix(self, order: Sequence[int], datatype: str) -> bytes:
        if self._rows.dtype.kind not in "biuf" or list(order) != list(range(self.width)):
            return super().matrix(order, datatype)
        if datatype not in FLOATS and self._rows.dtype.kind == "f":
            return super().matrix(order, datatype)
        check_range(self._rows, datatype, "a column")
        return pack(self._rows, datatype)


class ListTable(Table):
    """Columns of plain Python values."""

    kind = "list"

    def __init__(self, columns: list[list[Any]], names: list[str] | None, rows: int) -> None:
        self._columns = columns
        self.names = names
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    @property
    def width(self) -> int:
        return len(self._columns)

    def column(self, number: int) -> Any:
        return self._columns[number]

    def slice(self, start: int, end: int) -> Table:
        columns = [column[start:end] for column in self._columns]
        return ListTable(columns, self.names, max(0, min(end, self._rows) - start))


def plain_values(column: Any) -> Any:
    """Returns a column of a frame as a numpy array, with NaN for pandas' missing numbers."""
    import numpy as np

    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, np.dtype) or kind not in "biuf":
        return column.to_numpy()
    if column.isna().any():
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.to_numpy(getattr(column.dtype, "numpy_dtype", None))


def table(rows: Any) -> Table:
    """Reads rows.

    Accepts a frame or series of pandas, an array of numpy or a sparse matrix of scipy with one or
    two dimensions, a list of rows (lists or dictionaries), a list of texts, and a dictionary of
    columns.

    Raises:
        TypeError: for anything else.
        ValueError: if the rows do not have the same columns.
    """
    if hasattr(rows, "iloc"):
        return FrameTable(rows.to_frame() if not hasattr(rows, "columns") else rows)
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if hasattr(rows, "ndim") and hasattr(rows, "dtype"):
        if rows.ndim == 1 and rows.dtype.kind in "OUST":
            rows = rows.reshape(-1, 1)
        if rows.ndim != 2:
            raise ValueError(f"rows are an array of two dimensions; this one has {rows.ndim}")
        return ArrayTable(rows)
    if isinstance(rows, Mapping):
        return _table_of_columns(rows)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        return _table_of_rows(rows)
    raise TypeError(f"rows are a frame, an array or a list, not {type(rows).__name__}")


def _table_of_columns(columns: Mapping[Any, Any]) -> ListTable:
    for name, column in columns.items():
        if isinstance(column, (str, bytes)) or not hasattr(column, "__iter__"):
            raise ValueError(
                f"column {str(name)!r} is {column!r:.60}, not a list; a dictionary has a list for "
                "each column, and a single row is written [{…}]"
            )
    lists = [list(column) for column in columns.values()]
    lengths = {len(column) for column in lists}
    if len(lengths) > 1:
        raise ValueError(f"the columns have different lengths: {sorted(lengths)}")
    return ListTable(lists, [str(name) for name in columns], lengths.pop() if lengths else 0)


def _table_of_rows(rows: Sequence[Any]) -> ListTable:
    if not rows:
        return ListTable([], None, 0)
    first = rows[0]
    if isinstance(first, Mapping):
        names = list(first)
        for number, row in enumerate(rows):
            if set(row) != set(names):
                raise ValueError(f"row {number} has the keys {sorted(map(str, row))}, not {names}")
        columns = [[row[name] for row in rows] for name in names]
        return ListTable(columns, [str(name) for name in names], len(rows))
    if isinstance(first, (str, bytes)):
        return ListTable([list(rows)], None, len(rows))
    if not hasattr(first, "__len__"):
        raise ValueError("rows are lists of values; for a single row write [[…]]")
    for number, row in enumerate(rows):
        if len(row) != len(first):
            raise ValueError(f"row {number} has {len(row)} values, and row 0 has {len(first)}")
    return ListTable([list(column) for column in zip(*rows, strict=True)], None, len(rows))


def numeric_column(rows: Table, number: int, datatype: str) -> Any:
    """Returns a column as numbers; missing values are NaN.

    Raises:
        ValueError: if the column has texts, or missing values or fractions for a datatype of whole
            numbers.
    """
    column = rows.column(number)
    if hasattr(column, "astype"):
        return _numeric_array(rows, number, column, datatype)
    return [_number(rows, number, value, datatype) for value in column]


def _numeric_array(rows: Table, number: int, column: Any, datatype: str) -> Any:
    import numpy as np

    if column.dtype.kind in "biu":
        return column
    if column.dtype.kind == "f" and datatype in FLOATS:
        return column
    values = [_number(rows, number, value, datatype) for value in column.tolist()]
    if datatype in FLOATS:
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=object)


def _number(rows: Table, number: int, value: Any, datatype: str) -> float | int:
    if is_missing(value):
        if datatype in FLOATS:
            return math.nan
        text = f"has missing values, and the model takes whole numbers there ({datatype})"
        raise ValueError(f"column {rows.label(number)} {text}")
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        text = f"has the value {value!r}, and the model takes numbers there ({datatype})"
        raise ValueError(f"column {rows.label(number)} {text}")
    if datatype in FLOATS:
        try:
            return float(value)
        except OverflowError:
            text = f"has a value that is too large for its datatype ({datatype})"
            raise ValueError(f"column {rows.label(number)} {text}") from None
    if math.isinf(value) or value != int(value):
        text = f"has the value {value!r}, and the model takes whole numbers there ({datatype})"
        raise ValueError(f"column {rows.label(number)} {text}")
    return int(value)


def text_column(rows: Table, number: int, missing: str = "") -> list[str | bytes]:
    """Returns a column as texts. Missing values become ``missing``, whole numbers their digits."""
    column = rows.column(number)
    values = column.tolist() if hasattr(column, "tolist") else column
    return [missing if is_missing(value) else _text(value) for value in values]


def _text(value: Any) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def is_missing(value: Any) -> bool:
    """True for ``None``, NaN and the missing values of pandas."""
    if value is None:
        return True
    if isinstance(value, (str, bytes)):
        return False
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(value != value)
