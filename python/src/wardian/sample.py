"""The rows with which a model is saved: they give its inputs, and the golden requests."""

from __future__ import annotations

from typing import Any

from .tables import Table, is_missing, plain_values, table


class Sample:
    """Rows in the form in which the model was trained on them.

    Attributes:
        kind: ``"frame"`` (a frame of pandas), ``"array"`` (numpy, two dimensions) or ``"texts"``
            (one text for each row).
        rows: The rows.
    """

    def __init__(self, rows: Any, kind: str) -> None:
        self.rows = rows
        self.kind = kind

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> list[str] | None:
        """The names of the columns; ``None`` if they have none."""
        return [str(name) for name in self.rows.columns] if self.kind == "frame" else None

    @property
    def width(self) -> int:
        """The number of columns."""
        return 1 if self.kind == "texts" else self.rows.shape[1]

    def column(self, number: int) -> Any:
        """Returns a column as a numpy array, as pandas converts it."""
        if self.kind == "texts":
            return self.rows
        if self.kind == "frame":
            return plain_values(self.rows.iloc[:, number])
        return self.rows[:, number]

    def is_numeric(self, number: int) -> bool:
        """True if a column has numbers or booleans."""
        if self.kind == "frame":
            import pandas as pd

            dtype = self.rows.dtypes.iloc[number]
            if isinstance(dtype, pd.CategoricalDtype):
                return False
            return pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)
        return self.column(number).dtype.kind in "biuf"

    def lacks_values(self, number: int) -> bool:
        """True if a value of a column is missing."""
        column = self.column(number)
        if column.dtype.kind == "f":
            return bool((column != column).any())
        return column.dtype == object and any(is_missing(value) for value in column)

    def has_one_missing_value(self, number: int) -> bool:
        """True if the type of a column has one missing value, however it is given."""
        import pandas as pd

        return self.kind == "frame" and pd.api.types.is_extension_array_dtype(
            self.rows.dtypes.iloc[number]
        )

    def take(self, numbers: Any) -> Sample:
        """Returns the rows with these numbers."""
        if self.kind == "frame":
            return Sample(self.rows.iloc[numbers].reset_index(drop=True), self.kind)
        return Sample(self.rows[numbers], self.kind)

    def slice(self, start: int, end: int) -> Sample:
        """Returns the rows from ``start`` to before ``end``."""
        return self.take(list(range(start, min(end, len(self)))))

    def joined(self, other: Sample) -> Sample:
        """Returns the rows of both."""
        import numpy as np

        if self.kind == "frame":
            import pandas as pd

            joined = pd.concat([self.rows, other.rows], ignore_index=True)
            return Sample(joined.astype(self.rows.dtypes.to_dict(), errors="ignore"), self.kind)
        return Sample(np.concatenate([self.rows, other.rows]), self.kind)

    def given(self) -> Any:
        """Returns the rows as the original takes them."""
        return self.rows.tolist() if self.kind == "texts" else self.rows

    def table(self) -> Table:
        """Returns the rows as a caller of the served model gives them."""
        return table(self.rows)

    def describe(self, number: int) -> str:
        """Writes a row for an error."""
        if self.kind == "frame":
            return str({str(name): value for name, value in self.rows.iloc[number].items()})
        row = self.rows[number]
        return repr(row) if self.kind == "texts" else str(row.tolist())


def sample_of(rows: Any) -> Sample:
    """Reads a sample.

    Raises:
        TypeError: if it is not a frame, an array, a sparse matrix or a list.
        ValueError: if it has no rows or not two dimensions, complex numbers, or two columns of the
            same name.
    """
    import numpy as np

    if hasattr(rows, "iloc"):
        return _not_empty(_pandas_sample(rows))
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    if not isinstance(rows, (list, tuple, np.ndarray)):
        raise TypeError(f"a sample is a frame, an array or a list, not {type(rows).__name__}")
    if _is_texts(rows):
        texts = np.empty(len(rows), dtype=object)
        texts[:] = [str(text) for text in rows]
        return _not_empty(Sample(texts, "texts"))

    array = np.asarray(rows)
    if array.ndim != 2:
        raise ValueError(f"a sample has two dimensions, rows and columns; this has {array.ndim}")
    if array.dtype.kind == "c":
        raise ValueError("a sample has no complex numbers")
    return _not_empty(Sample(array, "array"))


def _pandas_sample(rows: Any) -> Sample:
    import numpy as np

    if hasattr(rows, "columns"):
        names = [str(name) for name in rows.columns]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"the sample has several columns called {doubled[0]!r}; rename them")
        return Sample(rows.reset_index(drop=True), "frame")
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [str(text) for text in rows]
    return Sample(texts, "texts")


def _is_texts(rows: Any) -> bool:
    return len(rows) > 0 and getattr(rows, "ndim", 1) == 1 and isinstance(rows[0], str)


def _not_empty(sample: Sample) -> Sample:
    if len(sample) == 0:
        raise ValueError("the sample has no rows")
    return sample
