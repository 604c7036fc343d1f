"""Columns of categories, in the frames that XGBoost and LightGBM are trained on."""

from __future__ import annotations

from collections.abc import Sequence

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
    """
    texts = {
        number
        for number in category_columns(sample)
        if any(isinstance(value, str) for value in sample.rows.dtypes.iloc[number].categories)
    }
    if not texts:
        return None
    return [
        TensorSpec(name, "BYTES" if number in texts else datatype, (-1, 1))
        for number, name in enumerate(names or sample.names or [])
    ]


def category_columns(sample: Sample) -> list[int]:
    """Returns the numbers of the columns that have categories."""
    if sample.kind != "frame":
        return []

    import pandas as pd

    dtypes = enumerate(sample.rows.dtypes)
    return [number for number, dtype in dtypes if isinstance(dtype, pd.CategoricalDtype)]
