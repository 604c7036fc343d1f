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
    if sample.kind != "frame":
        return None

    import pandas as pd

    words = [
        isinstance(dtype, pd.CategoricalDtype)
        and any(isinstance(category, str) for category in dtype.categories)
        for dtype in sample.rows.dtypes
    ]
    if not any(words):
        return None
    return [
        TensorSpec(name, "BYTES" if is_text else datatype, (-1, 1))
        for name, is_text in zip(names or sample.names or [], words, strict=True)
    ]
