"""Columns of categories, in the frames that XGBoost and LightGBM are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import NotSaved
from ..sample import Sample
from ..tensors import TensorSpec


def category_inputs(
    sample: Sample, names: Sequence[str] | None, datatype: str
) -> list[TensorSpec] | None:
    """Returns an input for each column, if there are columns of categories that are texts.

    Such a column is an input of texts, so that a category is told by its name and not by a number
    that depends on the frame.

    Args:
        sample: The rows.
        names: The names that the library gives to the columns.
        datatype: The datatype of the other columns.

    Raises:
        NotSaved: if a category is the empty text.
    """
    texts = {
        number
        for number in category_columns(sample)
        if any(isinstance(value, str) for value in sample.rows.dtypes.iloc[number].categories)
    }
    if not texts:
        return None
    for number in texts:
        check_no_empty_category(
            str(sample.rows.columns[number]), sample.rows.dtypes.iloc[number].categories
        )
    return [
        TensorSpec(name, "BYTES" if number in texts else datatype, (-1, 1))
        for number, name in enumerate(names or sample.names or [])
    ]


def check_no_empty_category(column: str, categories: Iterable[Any]) -> None:
    """Checks that an empty text can stand for a missing category.

    Raises:
        NotSaved: if it is a category itself.
    """
    if any(isinstance(category, str) and not category for category in categories):
        raise NotSaved(
            f"column {column!r} has the category '' (an empty text), which also stands for a "
            "missing one in requests; give it a name, such as 'none', or make it missing, and fit "
            "again"
        )


def category_columns(sample: Sample) -> list[int]:
    """Returns the numbers of the columns that have categories."""
    if sample.kind != "frame":
        return []

    import pandas as pd

    dtypes = enumerate(sample.rows.dtypes)
    return [number for number, dtype in dtypes if isinstance(dtype, pd.CategoricalDtype)]
